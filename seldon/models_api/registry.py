"""Models, their statuses and the default model: one row a model, and the row is the queue."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from seldon.models_api.changes import SQLiteChanges
from seldon.models_api.database import DEFAULT, UNFINISHED, Database, facts, models
from seldon.models_api.schemas import Model, ModelStatus, ModelSummary

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

# One statement: of several at once each is done whole, the last one stays.
_SET_DEFAULT = sa.text(
    "INSERT INTO facts (name, value) "
    "SELECT 'default_model', id FROM models WHERE id = :id AND status = 'Completed' "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_STATUS = sa.select(models.c.status).where(models.c.id == sa.bindparam("id"))
_STATUS_OF_DEFAULT = sa.select(models.c.id, models.c.status).join_from(
    facts, models, sa.and_(DEFAULT, models.c.id == facts.c.value)
)


class ModelRegistry:
    """The table of models.

    Parameters
    ----------
    database : Database
    clock : callable
        Seconds since 1970.

    Raises
    ------
    RegistryUnavailable
        From every method; see `Database`.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._changes: SQLiteChanges[str | None, tuple[str, ModelStatus] | None] | None = None
        if self._database.file is not None:
            self._changes = SQLiteChanges(self._database.file)

    def create(self, parameters: dict[str, Any], description: str | None) -> Model:
        """A new model, `Created`, waiting for a trainer."""
        model_id, created = str(uuid.uuid4()), int(self._clock() * 1e6)
        row = models.insert().values(
            id=model_id,
            created=created,
            description=description,
            status=ModelStatus.Created.name,
            parameters=parameters,
        )
        with self._database.begin() as connection:
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
        columns = (models.c.id, models.c.description, models.c.created, models.c.status)
        with self._database.begin() as connection:
            rows = connection.execute(sa.select(*columns).order_by(models.c.id)).all()
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
        with self._database.begin() as connection:
            row = connection.execute(sa.select(models).where(models.c.id == model_id)).first()
        return None if row is None else _model(row)

    def default(self) -> Model | None:
        """The default model; `None` when none is set."""
        statement = sa.select(models).join_from(
            facts, models, sa.and_(DEFAULT, models.c.id == facts.c.value)
        )
        with self._database.begin() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _model(row)

    def set_default(self, model_id: str) -> bool:
        """Whether there is a completed model of that id; then it is the default now."""
        with self._database.begin() as connection:
            return connection.execute(_SET_DEFAULT, {"id": model_id}).rowcount == 1

    def delete(self, model_id: str) -> bool:
        """Whether there was such a model; the default is cleared when it was the default."""
        with self._database.begin() as connection:
            cleared = facts.delete().where(DEFAULT, facts.c.value == model_id)
            connection.execute(cleared)
            gone = connection.execute(models.delete().where(models.c.id == model_id))
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
        with self._database.begin() as connection:
            if model_id is None:
                row = connection.execute(_STATUS_OF_DEFAULT).first()
                return None if row is None else (row.id, ModelStatus[row.status])
            status = connection.execute(_STATUS, {"id": model_id}).scalar()
        return None if status is None else (model_id, ModelStatus[status])

    def waiting_before(self, model_id: str) -> int:
        """How many unfinished models a trainer takes up before this one."""
        mine = sa.select(models.c.created).where(models.c.id == model_id).scalar_subquery()
        earlier = sa.or_(
            models.c.created < mine, sa.and_(models.c.created == mine, models.c.id < model_id)
        )
        count = sa.select(sa.func.count()).select_from(models).where(UNFINISHED, earlier)
        with self._database.begin() as connection:
            return int(connection.execute(count).scalar_one())

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()
        if self._changes is not None:
            self._changes.close()


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
