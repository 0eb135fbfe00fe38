"""Models, their statuses and the default model: one row a model, and the row is the queue.

SQLite for one host, PostgreSQL for several. A trainer claims a run with one conditional
UPDATE that writes its own token into the row; every later write of that run asks for the
token, so a trainer that was taken for dead cannot touch what another one does now.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from seldon.errors import InvalidSetting, MissingExtra, RegistryUnavailable
from seldon.models_api.changes import SQLiteChanges
from seldon.models_api.schemas import Model, ModelStatus, ModelSummary

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine, Row

SCHEMA = "1"
MAXIMUM_ATTEMPTS = 3
MAXIMUM_MESSAGE = 10_000
WAIT_SECONDS = 5
"""How long a locked database is waited for before the caller gets a 503."""

_metadata = sa.MetaData()
# Also for text that callers choose: PostgreSQL's TEXT refuses NUL, JSON escapes it.
_JSON = sa.JSON(none_as_null=True)
_models = sa.Table(
    "models",
    _metadata,
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
_facts = sa.Table(
    "facts",
    _metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(64), nullable=False),
)
_DEFAULT = _facts.c.name == "default_model"
_RUNNING = _models.c.status == ModelStatus.InProgress.name
_COMPLETED = _models.c.status == ModelStatus.Completed.name
_UNFINISHED = _models.c.status.in_([ModelStatus.Created.name, ModelStatus.InProgress.name])
_STATUS = sa.select(_models.c.status).where(_models.c.id == sa.bindparam("id"))
_DEFAULT_STATUS = sa.select(_models.c.id, _models.c.status).join_from(
    _facts, _models, sa.and_(_DEFAULT, _models.c.id == _facts.c.value)
)


@dataclass(frozen=True)
class Run:
    """One attempt to train one model, held by one trainer.

    Attributes
    ----------
    model_id : str
    token : str
        What the row says while this attempt owns it.
    attempt : int
        From 1.
    parameters : dict
        The JSON of the request, defaults filled in.
    """

    model_id: str
    token: str
    attempt: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class QueuedModel:
    """A model that is not finished: to be claimed as it stood when it was looked at."""

    id: str
    status: ModelStatus
    attempts: int
    host: str | None
    heartbeat: float | None
    token: str | None
    message: str | None


class ModelRegistry:
    """The table of models.

    Parameters
    ----------
    url : str
        A database URL: ``sqlite:////var/lib/models/registry.sqlite`` or
        ``postgresql://user@host/name``.
    clock : callable
        Seconds since 1970.

    Raises
    ------
    InvalidSetting
        The file is no database, or a newer version of this package wrote it.
    RegistryUnavailable
        From every method: the database cannot be reached, or stays locked for 5 seconds.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._clock = clock
        self._engine_of: tuple[int, Engine] | None = None
        self._changes: SQLiteChanges[str | None, tuple[str, ModelStatus] | None] | None = None
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        file = sa.make_url(url).database
        if url.startswith("sqlite") and file not in (None, "", ":memory:"):
            self._changes = SQLiteChanges(str(file))

    # What the API asks.

    def create(self, parameters: dict[str, Any], description: str | None) -> Model:
        """A new model, `Created`, waiting for a trainer."""
        model_id, created = str(uuid.uuid4()), int(self._clock() * 1e6)
        row = _models.insert().values(
            id=model_id,
            created=created,
            description=description,
            status=ModelStatus.Created.name,
            parameters=parameters,
        )
        with self._begin() as connection:
            connection.execute(row)
        return Model(
            id=model_id,
            description=description,
            creation_time=_moment(created),
            model_status=ModelStatus.Created,
            parameters=parameters,
        )

    def summaries(self) -> list[ModelSummary]:
        """Every model, by id."""
        columns = (_models.c.id, _models.c.description, _models.c.created, _models.c.status)
        with self._begin() as connection:
            rows = connection.execute(sa.select(*columns).order_by(_models.c.id)).all()
        return [
            ModelSummary(
                id=row.id,
                description=row.description,
                creation_time=_moment(row.created),
                model_status=ModelStatus[row.status],
            )
            for row in rows
        ]

    def get(self, model_id: str) -> Model | None:
        with self._begin() as connection:
            row = connection.execute(sa.select(_models).where(_models.c.id == model_id)).first()
        return None if row is None else _model(row)

    def default(self) -> Model | None:
        """The default model; `None` when none is set."""
        statement = sa.select(_models).join_from(
            _facts, _models, sa.and_(_DEFAULT, _models.c.id == _facts.c.value)
        )
        with self._begin() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _model(row)

    def set_default(self, model_id: str) -> bool:
        """Whether there is a completed model of that id; then it is the default now."""
        completed = sa.select(sa.literal("default_model"), _models.c.id).where(
            _models.c.id == model_id, _COMPLETED
        )
        with self._begin() as connection:
            if connection.execute(completed).first() is None:
                return False
            connection.execute(_facts.delete().where(_DEFAULT))
            connection.execute(_facts.insert().from_select(["name", "value"], completed))
        return True

    def delete(self, model_id: str) -> bool:
        """Whether there was such a model; the default is cleared when it was the default."""
        with self._begin() as connection:
            cleared = _facts.delete().where(_DEFAULT, _facts.c.value == model_id)
            connection.execute(cleared)
            gone = connection.execute(_models.delete().where(_models.c.id == model_id))
            return gone.rowcount == 1

    def status(self, model_id: str | None) -> tuple[str, ModelStatus] | None:
        """Id and status of a model, of the default model for `None`; `None` when unknown.

        Every recommendation asks. SQLite can say in microseconds that nothing was written since
        the last answer; then that still holds.
        """
        known = self._changes.known_answers() if self._changes else {}
        if model_id not in known:
            known[model_id] = self._ask_status(model_id)
        return known[model_id]

    def _ask_status(self, model_id: str | None) -> tuple[str, ModelStatus] | None:
        with self._begin() as connection:
            if model_id is None:
                row = connection.execute(_DEFAULT_STATUS).first()
                return None if row is None else (row.id, ModelStatus[row.status])
            status = connection.execute(_STATUS, {"id": model_id}).scalar()
        return None if status is None else (model_id, ModelStatus[status])

    def waiting_before(self, model_id: str) -> int:
        """How many unfinished models a trainer takes up before this one."""
        mine = sa.select(_models.c.created).where(_models.c.id == model_id).scalar_subquery()
        earlier = sa.or_(
            _models.c.created < mine, sa.and_(_models.c.created == mine, _models.c.id < model_id)
        )
        count = sa.select(sa.func.count()).select_from(_models).where(_UNFINISHED, earlier)
        with self._begin() as connection:
            return int(connection.execute(count).scalar_one())

    # What the trainer asks.

    def unfinished(self) -> list[QueuedModel]:
        """Models to be trained or in training, oldest first."""
        statement = sa.select(_models).where(_UNFINISHED).order_by(_models.c.created, _models.c.id)
        with self._begin() as connection:
            rows = connection.execute(statement).all()
        return [
            QueuedModel(
                row.id,
                ModelStatus[row.status],
                row.attempts,
                row.host,
                row.heartbeat,
                row.token,
                row.message,
            )
            for row in rows
        ]

    def has_unfinished(self) -> bool:
        """Whether there is anything to train, or in training."""
        with self._begin() as connection:
            return (
                connection.execute(sa.select(_models.c.id).where(_UNFINISHED)).first() is not None
            )

    def claim(self, queued: QueuedModel, host: str) -> Run | None:
        """Take `queued` up, unless somebody changed its row since it was looked at."""
        token = secrets.token_hex(16)
        seen = (
            _models.c.token.is_(None) if queued.token is None else _models.c.token == queued.token
        )
        claim = (
            _models.update()
            .where(_models.c.id == queued.id, _models.c.status == queued.status.name, seen)
            .values(
                status=ModelStatus.InProgress.name,
                message="Starting Model Training",
                attempts=queued.attempts + 1,
                host=host,
                token=token,
                heartbeat=self._clock(),
                statistics=None,
            )
        )
        with self._begin() as connection:
            if connection.execute(claim).rowcount != 1:
                return None
            parameters = connection.execute(
                sa.select(_models.c.parameters).where(_models.c.id == queued.id)
            ).scalar_one()
        return Run(queued.id, token, queued.attempts + 1, parameters)

    def beat(self, run: Run) -> bool:
        """Say that `run` is alive; whether it is still wanted."""
        return self._write(run, heartbeat=self._clock())

    def progress(self, run: Run, message: str) -> bool:
        """Show where `run` is; whether it is still wanted."""
        return self._write(run, message=_trimmed(message))

    def complete(self, run: Run, statistics: dict[str, Any]) -> bool:
        """`Completed`; the first model to complete becomes the default when there is none."""
        first = sa.select(sa.literal("default_model"), sa.literal(run.model_id)).where(
            ~sa.exists().where(_DEFAULT)
        )
        with self._begin() as connection:
            written = connection.execute(
                _of(run).values(
                    status=ModelStatus.Completed.name,
                    message="Model Training Completed Successfully",
                    statistics=statistics,
                )
            )
            if written.rowcount != 1:
                return False
            connection.execute(_facts.insert().from_select(["name", "value"], first))
        return True

    def fail(self, run: Run, message: str, statistics: dict[str, Any] | None = None) -> bool:
        """`Failed`, with the cause and what is known of the input."""
        return self._write(
            run,
            status=ModelStatus.Failed.name,
            message=_trimmed(message),
            statistics=statistics,
        )

    def give_back(self, run: Run) -> bool:
        """Let another trainer take `run` up as if this attempt had not been made."""
        return self._write(
            run,
            status=ModelStatus.Created.name,
            message=None,
            token=None,
            host=None,
            heartbeat=None,
            attempts=run.attempt - 1,
        )

    def is_wanted(self, run: Run) -> bool:
        """Whether the row still belongs to `run`."""
        statement = sa.select(_models.c.id).where(
            _models.c.id == run.model_id, _models.c.token == run.token, _RUNNING
        )
        with self._begin() as connection:
            return connection.execute(statement).first() is not None

    def _write(self, run: Run, **values: Any) -> bool:
        with self._begin() as connection:
            return connection.execute(_of(run).values(**values)).rowcount == 1

    def close(self) -> None:
        """Close this process's connections."""
        if self._engine_of is not None:
            self._engine_of[1].dispose()
            self._engine_of = None
        if self._changes is not None:
            self._changes.close()

    # Connections.

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
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
            self._engine_of = (os.getpid(), _engine(self.url))
        return self._engine_of[1]

    @cached_property
    def _shown_url(self) -> str:
        return sa.make_url(self.url).render_as_string(hide_password=True)

    def _prepare(self) -> None:
        """Make the tables; refuse a file that is no database, or one of a newer version."""
        try:
            with self._begin() as connection:
                if connection.dialect.name == "postgresql":
                    # Several hosts may start at once; CREATE IF NOT EXISTS is no lock there.
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7305114)"))
                else:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    _check_file(connection)
                _metadata.create_all(connection)
                version = connection.execute(
                    sa.select(_facts.c.value).where(_facts.c.name == "schema")
                ).scalar()
                if version is None:
                    connection.execute(_facts.insert().values(name="schema", value=SCHEMA))
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


def _check_file(connection: Connection) -> None:
    report = connection.execute(sa.text("PRAGMA quick_check(1)")).scalar()
    if report != "ok":
        raise sa.exc.DatabaseError("PRAGMA quick_check", None, Exception(report))


def _of(run: Run) -> sa.Update:
    """An UPDATE of the row as long as `run` owns it."""
    return _models.update().where(
        _models.c.id == run.model_id, _models.c.token == run.token, _RUNNING
    )


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


def _model(row: Row[Any]) -> Model:
    return Model(
        id=row.id,
        description=row.description,
        creation_time=_moment(row.created),
        model_status=ModelStatus[row.status],
        model_status_message=row.message,
        parameters=row.parameters,
        statistics=row.statistics,
    )


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(
        microsecond=microseconds % 1_000_000
    )


def _trimmed(message: str) -> str:
    message = message.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(message) <= MAXIMUM_MESSAGE:
        return message
    return f"{message[:MAXIMUM_MESSAGE]}... [trimmed]"


def _cause(error: sa.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
