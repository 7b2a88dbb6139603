"""The tables of the SQL ledger."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

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
    Column("method", String, nullable=False),
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
    Column("principal", String, nullable=False, default=""),
    Index("operations_by_project", "project", "serial"),
    Index("operations_by_end", "state", "updated"),
    sqlite_autoincrement=True,
)

task_rows = Table(
    "tasks",
    metadata,
    Column("operation", ForeignKey(operation_rows.c.serial), primary_key=True),
    Column("file", Integer, primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("output_uri", String, nullable=False),
    Column("requests", LargeBinary, nullable=False),
    Column("project", String, nullable=False),
    Column("done", Integer, nullable=False, default=0),
    Column("running", Boolean, nullable=False, default=False),
    Column("waits_until", BigInteger, nullable=False, default=0),
    Column("owner", String, nullable=False, default=""),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0),
    Column("strikes", Integer, nullable=False, default=0),
    Index("tasks_by_turn", "running", "project", "operation", "file", "first"),
)

#: When each project last had a turn: the smallest number is next.
turn_rows = Table(
    "turns",
    metadata,
    Column("serial", _Serial, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False, unique=True),
    Column("number", BigInteger, nullable=False, default=0),
)
