"""The database of the models API: its tables, its versions, its connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from seldon.errors import InvalidSetting, MissingExtra, RegistryUnavailable
from seldon.models_api.schemas import ModelStatus

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

SCHEMA = "1"
WAIT_SECONDS = 5
"""How long a locked database is waited for before the caller gets a 503."""

metadata = sa.MetaData()
# Also for text that callers choose: PostgreSQL's TEXT refuses NUL, JSON escapes it.
_JSON = sa.JSON(none_as_null=True)
models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("created", sa.BigInteger, nullable=False, index=True),  # microseconds, UTC
    sa.Column("description", _JSON),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("parameters", _JSON, nullable=False),
    sa.Column("statistics", _JSON),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("host", sa.String(255)),
    sa.Column("token", sa.String(64)),
    sa.Column("heartbeat", sa.Double),  # seconds since 1970
)
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(64), nullable=False),
)
DEFAULT = facts.c.name == "default_model"
UNFINISHED = models.c.status.in_([ModelStatus.Created.name, ModelStatus.InProgress.name])


class Database:
    """A SQLite file or a PostgreSQL database with our tables, usable after a fork.

    Parameters
    ----------
    url : str
        ``sqlite:////var/lib/models/registry.sqlite`` for one host,
        ``postgresql://user@host/name`` for several.

    Raises
    ------
    InvalidSetting
        The file is no database, or a newer version of this package wrote it.
    RegistryUnavailable
        Also from `begin`: it cannot be reached, or stays locked for `WAIT_SECONDS`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine_of: tuple[int, Engine] | None = None
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    @cached_property
    def file(self) -> str | None:
        """The SQLite file; None when it is another kind of database."""
        url = sa.make_url(self._url)
        is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
        return url.database if is_file else None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
            raise RegistryUnavailable(
                f"the registry {self._shown_url} cannot be used now: {_cause(error)}"
            ) from error

    @property
    def _engine(self) -> Engine:
        # Connections must not cross a fork: each process makes its own.
        if self._engine_of is None or self._engine_of[0] != os.getpid():
            self._engine_of = (os.getpid(), _engine(self._url))
        return self._engine_of[1]

    @cached_property
    def _shown_url(self) -> str:
        return sa.make_url(self._url).render_as_string(hide_password=True)

    def _prepare(self) -> None:
        """Make the tables; refuse a file that is no database, or one of a newer version."""
        try:
            with self.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # Several hosts may start at once; CREATE IF NOT EXISTS is no lock there.
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7305114)"))
                else:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    _check_file(connection)
                metadata.create_all(connection)
                version = connection.execute(
                    sa.select(facts.c.value).where(facts.c.name == "schema")
                ).scalar()
                if version is None:
                    connection.execute(facts.insert().values(name="schema", value=SCHEMA))
        except sa.exc.DatabaseError as error:
            raise InvalidSetting(
                f"MODELS_DATABASE: {self._shown_url} is no usable registry: {_cause(error)}; "
                "restore it from a copy, or move it away to start with an empty one"
            ) from error
        if version not in (None, SCHEMA):
            raise InvalidSetting(
                f"MODELS_DATABASE: {self._shown_url} has schema {version!r}, this version "
                f"knows {SCHEMA!r}; a newer version of seldon-recommender wrote it: use that one"
            )

    def close(self) -> None:
        """Close this process's connections."""
        if self._engine_of is not None:
            self._engine_of[1].dispose()
            self._engine_of = None


def _check_file(connection: Connection) -> None:
    report = connection.execute(sa.text("PRAGMA quick_check(1)")).scalar()
    if report != "ok":
        raise sa.exc.DatabaseError("PRAGMA quick_check", None, Exception(report))


def _engine(url: str) -> Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        try:
            return sa.create_engine(
                parsed, pool_pre_ping=True, connect_args={"connect_timeout": WAIT_SECONDS}
            )
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
    engine = sa.create_engine(parsed, connect_args={"timeout": WAIT_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
