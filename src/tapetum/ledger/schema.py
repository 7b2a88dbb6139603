"""The tables of the SQL ledger."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
)
from sqlalchemy.schema import CreateColumn

metadata = MetaData()
# SQLite only numbers rows by itself in a column that is exactly INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")

operation_rows = Table(
    "operations",
    metadata,
    Column("serial", _Serial, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, unique=True),
    Column("project", String, nullable=False),
    Column("api_version", String, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("state", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("images", Integer, nullable=False),
    Column("images_done", Integer, nullable=False, default=0),
    Column("images_failed", Integer, nullable=False, default=0),
    Column("tasks_left", Integer, nullable=False),
    Column("error_code", Integer, nullable=False, default=0),
    Column("error_message", String, nullable=False, default=""),
    Column("hidden", Boolean, nullable=False, default=False),
    Column("principal", String, nullable=False, server_default=""),
    Index("operations_by_project", "project", "serial"),
    Index("operations_by_end", "state", "updated"),
    sqlite_autoincrement=True,
)

task_rows = Table(
    "tasks",
    metadata,
    Column("operation", ForeignKey(operation_rows.c.serial), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("output_uri", String, nullable=False),
    Column("requests", LargeBinary, nullable=False),
    Column("done", Integer, nullable=False, default=0),
    Column("running", Boolean, nullable=False, default=False),
    Column("waits_until", BigInteger, nullable=False, default=0),
    Column("owner", String, nullable=False, default=""),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0),
    Column("strikes", Integer, nullable=False, default=0),
    Column("suspect", Integer),
    Column("poison", String, nullable=False, default=""),
    Index("tasks_by_turn", "running", "operation", "first"),
)


def prepare(connection: Connection) -> None:
    """Make the tables that are missing, and the columns that an older ledger does not have yet:
    those have a ``server_default``."""
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = CreateColumn(column).compile(connection)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
