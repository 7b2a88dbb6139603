"""What only the ledger on disk must do."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tapetum.errors import SettingsError
from tapetum.ledger import OperationRecord, OperationState
from tapetum.ledger.sql import SqlLedger
from tapetum.tasks.plan import Task

NAME = "projects/p/operations/1"


def create(ledger: SqlLedger, name: str = NAME, tasks: int = 3) -> None:
    ledger.create(
        OperationRecord(name, "p", "v1", b"", tasks, 1),
        [Task(name, first, first, 1, "gs://out/", b"x") for first in range(1, tasks + 1)],
    )


def test_everything_is_there_after_reopening(tmp_path: Path):
    ledger = SqlLedger(tmp_path / "ledger.sqlite")
    create(ledger)
    held = ledger.claim("gone", 3600)
    assert held is not None
    ledger.record(held, done=1, images=1, failed=0)
    ledger.close()

    again = SqlLedger(tmp_path / "ledger.sqlite")
    record = again.get(NAME)
    assert record is not None
    assert (record.state, record.images_done) == (OperationState.RUNNING, 1)
    claims = [again.claim("new", 3600) for _ in range(3)]
    assert [one.task.first for one in claims if one] == [2, 3]
    again.close()


def test_two_processes_worth_of_engines_share_one_file(tmp_path: Path):
    """Writers from two engines wait for each other instead of failing."""
    ledgers = [SqlLedger(tmp_path / "ledger.sqlite") for _ in range(2)]
    create(ledgers[0], tasks=60)
    done: list[int] = []

    def work(ledger: SqlLedger) -> None:
        while (claimed := ledger.claim("worker", 60)) is not None:
            ledger.record(claimed, done=1, images=1, failed=0)
            ledger.complete(claimed)
            done.append(claimed.task.first)

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = ledgers[1].get(NAME)
    assert record is not None
    assert sorted(done) == list(range(1, 61))
    assert (record.state, record.images_done) == (OperationState.DONE, 60)
    for ledger in ledgers:
        ledger.close()


def test_a_file_of_an_older_version_is_refused_by_name(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    SqlLedger(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE operations DROP COLUMN method")
    with pytest.raises(SettingsError, match=r"it lacks operations\.method"):
        SqlLedger(path)


def test_a_file_that_keeps_suspects_goes_on_without_them(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    with closing(SqlLedger(path)) as ledger:
        create(ledger)
    with closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE tasks ADD COLUMN suspect INTEGER")
        old.execute("ALTER TABLE tasks ADD COLUMN poison VARCHAR NOT NULL DEFAULT ''")
        old.execute("UPDATE tasks SET suspect = 1, poison = '1 2'")
        old.commit()
    with closing(SqlLedger(path)) as ledger:
        create(ledger, "projects/p/operations/2")
        claims = [ledger.claim("new", 3600) for _ in range(6)]
        assert all(claims)
