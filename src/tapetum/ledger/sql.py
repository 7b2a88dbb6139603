"""The ledger in SQL, through SQLAlchemy Core. SQLite in WAL mode.

Every change is one short transaction that starts as a writer, so that two processes over one
file wait for each other instead of failing half-way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    case,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    inspect,
    select,
    true,
    update,
)
from sqlalchemy.exc import DatabaseError

from tapetum.errors import LeaseLost, SettingsError
from tapetum.ledger import (
    CANCELLED,
    SECOND,
    Claim,
    Clock,
    OperationRecord,
    OperationState,
)
from tapetum.ledger.schema import metadata, operation_rows, task_rows, turn_rows
from tapetum.tasks.plan import Task

_RECORD_COLUMNS = [
    operation_rows.c[name] for name in OperationRecord.__slots__ if name in operation_rows.c
]
#: Strikes of a task but for its last claim. A recorded shard may have wiped that one already.
_WITHOUT_THIS_CLAIM = case((task_rows.c.strikes > 0, task_rows.c.strikes - 1), else_=0)
_ENDED = (OperationState.DONE, OperationState.CANCELLED)


def _now() -> int:
    return time.time_ns() // 1000


class SqlLedger:
    """Operations and tasks as rows of the SQLite file ``path``.

    Raises `SettingsError` when the file cannot be opened or is no ledger of this version.
    """

    def __init__(self, path: Path, clock: Clock = _now) -> None:
        self._clock = clock
        self._engine = create_engine(
            f"sqlite:///{path}", connect_args={"timeout": 30}, pool_size=8, max_overflow=56
        )
        event.listen(self._engine, "connect", _configure_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        try:
            with self._write() as connection:
                metadata.create_all(connection)
                _migrate(connection)
                lacking = _lacking(connection)
        except DatabaseError as error:
            self._engine.dispose()
            raise SettingsError(f"The ledger {path} cannot be used: {error.orig}.") from error
        if lacking:
            self._engine.dispose()
            raise SettingsError(
                f"The ledger {path} is of an older version: it lacks {', '.join(lacking)}. "
                "Finish its operations with that version, or move the file away."
            )

    def create(self, record: OperationRecord, tasks: Sequence[Task]) -> OperationRecord:
        with self._write() as connection:
            added = connection.execute(
                insert(operation_rows)
                .values(
                    name=record.name,
                    project=record.project,
                    api_version=record.api_version,
                    method=record.method,
                    response=record.response,
                    state=record.state,
                    created=record.created,
                    updated=record.created,
                    images=record.images,
                    principal=record.principal,
                    tasks_left=len(tasks),
                    error_code=record.error_code,
                    error_message=record.error_message,
                )
                .returning(*_RECORD_COLUMNS)
            )
            created = _record(added.mappings().one())
            rows = [
                {
                    "operation": created.serial,
                    "file": task.file,
                    "first": task.first,
                    "last": task.last,
                    "batch_size": task.batch_size,
                    "output_uri": task.output_uri,
                    "requests": task.requests,
                    "project": created.project,
                }
                for task in tasks
            ]
            if rows:
                connection.execute(insert(task_rows), rows)
                is_known = select(turn_rows.c.serial).where(turn_rows.c.project == created.project)
                if connection.execute(is_known).one_or_none() is None:
                    connection.execute(insert(turn_rows).values(project=created.project))
            return created

    def get(self, name: str) -> OperationRecord | None:
        query = select(*_RECORD_COLUMNS).where(
            operation_rows.c.name == name, operation_rows.c.hidden.is_(False)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _record(row)

    def recent(
        self, project: str | None, done: bool | None, before: int | None, limit: int
    ) -> list[OperationRecord]:
        query = select(*_RECORD_COLUMNS).where(operation_rows.c.hidden.is_(False))
        if project is not None:
            query = query.where(operation_rows.c.project == project)
        if done is not None:
            ended = operation_rows.c.state.in_(_ENDED)
            query = query.where(ended if done else ~ended)
        if before is not None:
            query = query.where(operation_rows.c.serial < before)
        query = query.order_by(operation_rows.c.serial.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def cancel(self, name: str) -> None:
        with self._write() as connection:
            serial = self._serial(connection, name)
            if serial is not None:
                state = OperationState.CANCELLED
                self._end(connection, serial, state, CANCELLED.code, CANCELLED.message)

    def delete(self, name: str) -> None:
        with self._write() as connection:
            is_named = operation_rows.c.name == name
            connection.execute(update(operation_rows).where(is_named).values(hidden=True))
            connection.execute(
                delete(operation_rows).where(is_named, operation_rows.c.state.in_(_ENDED))
            )

    def claim(self, owner: str, lease: float) -> Claim | None:
        now = self._clock()
        waits = task_rows.c.running.is_(False) & (task_rows.c.waits_until <= now)
        with self._write() as connection:
            project = _take_turn(connection, waits)
            if project is None:
                return None
            key = connection.execute(
                select(task_rows.c.operation, task_rows.c.file, task_rows.c.first)
                .where(waits, task_rows.c.project == project)
                .order_by(task_rows.c.operation, task_rows.c.file, task_rows.c.first)
                .limit(1)
            ).one()
            is_task = (
                (task_rows.c.operation == key.operation)
                & (task_rows.c.file == key.file)
                & (task_rows.c.first == key.first)
            )
            row = connection.execute(select(task_rows).where(is_task)).mappings().one()
            connection.execute(
                update(task_rows)
                .where(is_task)
                .values(
                    running=True,
                    owner=owner,
                    lease_until=now + int(lease * SECOND),
                    attempt=task_rows.c.attempt + 1,
                    strikes=task_rows.c.strikes + 1,
                )
            )
            operation = connection.execute(
                update(operation_rows)
                .where(operation_rows.c.serial == key.operation)
                .values(state=OperationState.RUNNING, updated=now)
                .returning(
                    operation_rows.c.name,
                    operation_rows.c.api_version,
                    operation_rows.c.principal,
                )
            ).one()
        return _claim(row, operation, owner)

    def heartbeat(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        until = self._clock() + int(lease * SECOND)
        lost = []
        with self._write() as connection:
            for claim in claims:
                change = update(task_rows).where(_is_held(claim)).values(lease_until=until)
                if connection.execute(change).rowcount == 0:
                    lost.append(claim)
        return lost

    def record(self, claim: Claim, done: int, images: int, failed: int) -> None:
        with self._write() as connection:
            self._change_held(connection, claim, done=done, strikes=0)
            connection.execute(
                update(operation_rows)
                .where(operation_rows.c.name == claim.task.operation)
                .values(
                    images_done=operation_rows.c.images_done + images,
                    images_failed=operation_rows.c.images_failed + failed,
                    updated=self._clock(),
                )
            )

    def complete(self, claim: Claim) -> None:
        with self._write() as connection:
            gone = connection.execute(delete(task_rows).where(_is_held(claim)))
            if gone.rowcount == 0:
                raise _lost(claim)
            left = connection.execute(
                update(operation_rows)
                .where(operation_rows.c.name == claim.task.operation)
                .values(tasks_left=operation_rows.c.tasks_left - 1)
                .returning(operation_rows.c.serial, operation_rows.c.tasks_left)
            ).one()
            if left.tasks_left == 0:
                self._end(connection, left.serial, OperationState.DONE, 0, "")

    def release(self, claim: Claim, *, wait: float = 0.0, strike: bool = False) -> None:
        strikes = task_rows.c.strikes if strike else _WITHOUT_THIS_CLAIM
        with self._write() as connection:
            connection.execute(
                update(task_rows)
                .where(_is_held(claim))
                .values(
                    running=False,
                    owner="",
                    waits_until=self._clock() + int(wait * SECOND),
                    strikes=strikes,
                )
            )

    def fail(self, claim: Claim, code: int, message: str) -> None:
        held = select(task_rows.c.operation).where(_is_held(claim))
        with self._write() as connection:
            serial = connection.execute(held).scalar_one_or_none()
            if serial is not None:
                self._end(connection, serial, OperationState.DONE, code, message)

    def expire(self) -> int:
        return self._give_back(task_rows.c.lease_until < self._clock())

    def reclaim(self) -> int:
        return self._give_back(true())

    def purge(self, before: int) -> int:
        with self._write() as connection:
            gone = connection.execute(
                delete(operation_rows).where(
                    operation_rows.c.state.in_(_ENDED), operation_rows.c.updated < before
                )
            ).rowcount
            has_operations = exists().where(operation_rows.c.project == turn_rows.c.project)
            connection.execute(delete(turn_rows).where(~has_operations))
            return gone

    def close(self) -> None:
        self._engine.dispose()

    def _give_back(self, which: ColumnElement[bool]) -> int:
        with self._write() as connection:
            return connection.execute(
                update(task_rows)
                .where(task_rows.c.running.is_(True), which)
                .values(running=False, owner="", strikes=_WITHOUT_THIS_CLAIM)
            ).rowcount

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        writer = self._engine.execution_options(writes=True)
        with writer.begin() as connection:
            yield connection

    def _serial(self, connection: Connection, name: str) -> int | None:
        query = select(operation_rows.c.serial).where(operation_rows.c.name == name)
        return connection.execute(query).scalar_one_or_none()

    def _change_held(self, connection: Connection, claim: Claim, **values: Any) -> None:
        change = update(task_rows).where(_is_held(claim)).values(**values)
        if connection.execute(change).rowcount == 0:
            raise _lost(claim)

    def _end(
        self, connection: Connection, serial: int, state: OperationState, code: int, message: str
    ) -> None:
        ended = connection.execute(
            update(operation_rows)
            .where(operation_rows.c.serial == serial, operation_rows.c.state.not_in(_ENDED))
            .values(state=state, error_code=code, error_message=message, updated=self._clock())
        )
        if ended.rowcount:
            connection.execute(delete(task_rows).where(task_rows.c.operation == serial))
            connection.execute(
                delete(operation_rows).where(
                    operation_rows.c.serial == serial, operation_rows.c.hidden.is_(True)
                )
            )


def _take_turn(connection: Connection, waits: ColumnElement[bool]) -> str | None:
    """The project whose turn it is, of those with a task that ``waits``, and from then on its turn
    is the last."""
    has_tasks = exists().where(waits, task_rows.c.project == turn_rows.c.project)
    order = (turn_rows.c.number, turn_rows.c.serial)
    turn = select(turn_rows.c.project).where(has_tasks).order_by(*order).limit(1)
    project = connection.execute(turn).scalar_one_or_none()
    if project is not None:
        last = select(func.max(turn_rows.c.number)).scalar_subquery()
        is_its = turn_rows.c.project == project
        connection.execute(update(turn_rows).where(is_its).values(number=last + 1))
    return project


def _migrate(connection: Connection) -> None:
    """Take out what older versions kept with a task to find images that end a process."""
    columns = {column["name"] for column in inspect(connection).get_columns(task_rows.name)}
    for name in ("suspect", "poison"):
        if name in columns:
            connection.exec_driver_sql(f"ALTER TABLE {task_rows.name} DROP COLUMN {name}")


def _lacking(connection: Connection) -> list[str]:
    """Columns that tables made by an older version do not have."""
    there = {
        (table, column["name"])
        for (_, table), columns in inspect(connection).get_multi_columns().items()
        for column in columns
    }
    return [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if (table.name, column.name) not in there
    ]


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can find the file changed in between and
    # fails at once, whatever the time-out. Writers therefore take the lock when they begin.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_held(claim: Claim) -> Any:
    operation = (
        select(operation_rows.c.serial)
        .where(operation_rows.c.name == claim.task.operation)
        .scalar_subquery()
    )
    return (
        (task_rows.c.operation == operation)
        & (task_rows.c.file == claim.task.file)
        & (task_rows.c.first == claim.task.first)
        & task_rows.c.running.is_(True)
        & (task_rows.c.owner == claim.owner)
        & (task_rows.c.attempt == claim.attempt)
    )


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"{claim.task.operation} from {claim.task.first}: the lease is lost.")


def _record(row: RowMapping) -> OperationRecord:
    return OperationRecord(**{**row, "state": OperationState(row["state"])})


def _claim(row: RowMapping, operation: Any, owner: str) -> Claim:
    """The claim made of a task's row as it was just before."""
    strikes = row["strikes"] + 1
    task = Task(
        operation=operation.name,
        first=row["first"],
        last=row["last"],
        batch_size=row["batch_size"],
        output_uri=row["output_uri"],
        requests=row["requests"],
        file=row["file"],
        api_version=operation.api_version,
        principal=operation.principal,
        done=row["done"],
    )
    return Claim(task, owner, row["attempt"] + 1, strikes)
