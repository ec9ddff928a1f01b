"""Opens the store's database, and runs transactions on it: one writer at a time, on SQLite and on PostgreSQL."""

import logging
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event, func, insert, make_url, select, text
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from kshot import full_disk
from kshot.errors import KshotError
from kshot.lifecycle.project.private_state import private_database
from kshot.redaction import redacted
from kshot.serve.messages.refusals import Refused, disk_full, store_unreachable
from kshot.serve.store import tables

WRITER = 0x6B73686F74  # PostgreSQL's advisory lock of this store: "kshot"
BUSY_MS = 20_000  # how long SQLite waits for another writer, and a checkpoint for readers
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database:
    """engine: of the store's database; `is_sqlite`: whether it is the embedded one."""

    engine: Engine
    is_sqlite: bool
    _idle: "deque[PoolProxiedConnection]" = field(default_factory=deque)  # of `row`

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent state of the store, whatever is written meanwhile. Raises Refused if it cannot be reached."""
        with translated_errors(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The only writer, also among processes; commits at the end of the block. Raises Refused as `reading`."""
        with translated_errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(kshot_writing=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(select(func.pg_advisory_xact_lock(WRITER)))
                yield connection

    def row(self, statement: Select[Any], **values: Any) -> tuple[Any, ...] | None:
        """The first row of a SELECT whose parameters are `values`; None without one. Raises Refused as `reading`.

        Called by every request: on SQLite by the driver itself, which takes a tenth of the time.
        """
        if not self.is_sqlite:
            with self.reading() as connection:
                found = connection.execute(statement, values).first()
                return None if found is None else tuple(found)
        with translated_errors():
            try:
                raw = self._idle.pop()
            except IndexError:
                raw = self.engine.raw_connection()
                raw.detach()  # from the pool, whose connections are those of transactions
            try:
                found = raw.cursor().execute(_sqlite_text(statement), values).fetchone()
            except sqlite3.Error as error:
                raw.close()
                raise store_unreachable(_line(error)) from error
            self._idle.append(raw)
        return found if found is None else tuple(found)

    def forget(self) -> None:
        """Overwrite what was deleted: SQLite keeps old pages in its log until a checkpoint."""
        if self.is_sqlite:
            with self.engine.connect() as connection:
                driver = connection.connection.dbapi_connection
                assert driver is not None
                held_by_a_reader, *_ = driver.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if held_by_a_reader:
                    _LOG.warning("deleted entries stay in the database's log until the next deletion: it is being read")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()


def open_database(address: str) -> Database:
    """The database at an SQLAlchemy URL, with its tables, which are created if new. Raises KshotError."""
    try:
        url = make_url(address)
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise KshotError(f"the gallery store {redacted(address)} is no SQLite or PostgreSQL; needs one of them")
        is_sqlite = url.get_backend_name() == "sqlite"
        if is_sqlite:
            from pathlib import Path

            private_database(Path(str(url.database)))
        # pool_pre_ping: a server that was restarted closes connections, which the next request would fail on.
        engine = create_engine(url, pool_pre_ping=not is_sqlite, pool_size=20, max_overflow=40)
        if is_sqlite:
            _prepare_sqlite(engine)
        database = Database(engine, is_sqlite)
        with database.writing() as connection:
            tables.METADATA.create_all(connection)
            found = connection.scalar(select(tables.STORE.c.version))
            if found is None:
                connection.execute(insert(tables.STORE).values(version=tables.VERSION))
            elif found > tables.VERSION:
                raise KshotError(f"the gallery store {redacted(address)} is of a newer kshot; install that one")
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise KshotError(f"the gallery store {redacted(address)} cannot be opened: {error}; needs an URL") from error
    except (SQLAlchemyError, Refused) as error:
        raise KshotError(f"the gallery store {redacted(address)} cannot be opened: {_line(error)}") from error
    return database


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def settings(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions by itself, and only on a write
        for line in (
            f"busy_timeout = {BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # an acknowledged change survives a power failure
            "foreign_keys = ON",
            "secure_delete = ON",  # the pages of deleted rows are overwritten
        ):
            connection.execute(f"PRAGMA {line}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail if another one wrote in between.
        writing = connection.get_execution_options().get("kshot_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@cache
def _sqlite_text(statement: Select[Any]) -> str:
    return str(statement.compile(dialect=sqlite_dialect(paramstyle="named")))


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn errors of the database and of its disk into a Refused of one line."""
    try:
        yield
    except DBAPIError as error:
        if _is_full(error):
            raise disk_full() from error
        raise store_unreachable(_line(error.orig or error)) from error
    except SQLAlchemyError as error:
        raise store_unreachable(_line(error)) from error
    except OSError as error:
        if full_disk.is_full(error):
            raise disk_full() from error
        raise store_unreachable(error.strerror or _line(error)) from error


def _is_full(error: DBAPIError) -> bool:
    code = error.orig.sqlite_errorcode if isinstance(error.orig, sqlite3.Error) else 0
    return code & 0xFF == sqlite3.SQLITE_FULL or full_disk.says_full(str(error.orig))


def now() -> str:
    """The time as the store writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def is_reachable(database: Database) -> bool:
    """Whether the database answers."""
    try:
        with database.reading() as connection:
            connection.execute(text("SELECT 1"))
    except Refused:
        return False
    return True


def _line(error: BaseException) -> str:
    return redacted(" ".join(str(error).split()))[:200]
