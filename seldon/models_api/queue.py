"""The training queue: rows of models that are not finished, and the runs that own them.

A trainer claims a run with one conditional UPDATE that writes its own token into the row; every
later write of that run asks for the token, so a trainer that was taken for dead cannot touch what
another one does now.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from seldon.models_api.database import UNFINISHED, Database, models
from seldon.models_api.schemas import ModelStatus

MAXIMUM_ATTEMPTS = 3
MAXIMUM_MESSAGE = 10_000

# One statement, since several may complete at once. A default that is gone is none.
_FIRST_DEFAULT = sa.text(
    "INSERT INTO facts (name, value) VALUES ('default_model', :id) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value "
    "WHERE NOT EXISTS (SELECT 1 FROM models WHERE models.id = facts.value)"
)
_RUNNING = models.c.status == ModelStatus.InProgress.name


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


class TrainingQueue:
    """What a trainer asks of the table of models, and writes into it.

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

    def unfinished(self) -> list[QueuedModel]:
        """Models to be trained or in training, oldest first."""
        statement = sa.select(models).where(UNFINISHED).order_by(models.c.created, models.c.id)
        with self._database.begin() as connection:
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
        with self._database.begin() as connection:
            return connection.execute(sa.select(models.c.id).where(UNFINISHED)).first() is not None

    def claim(self, queued: QueuedModel, host: str) -> Run | None:
        """Take `queued` up, unless somebody changed its row since it was looked at."""
        token = secrets.token_hex(16)
        seen = models.c.token.is_(None) if queued.token is None else models.c.token == queued.token
        claim = (
            models.update()
            .where(models.c.id == queued.id, models.c.status == queued.status.name, seen)
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
        with self._database.begin() as connection:
            if connection.execute(claim).rowcount != 1:
                return None
            parameters = connection.execute(
                sa.select(models.c.parameters).where(models.c.id == queued.id)
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
        with self._database.begin() as connection:
            written = connection.execute(
                _of(run).values(
                    status=ModelStatus.Completed.name,
                    message="Model Training Completed Successfully",
                    statistics=statistics,
                )
            )
            if written.rowcount != 1:
                return False
            connection.execute(_FIRST_DEFAULT, {"id": run.model_id})
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
        statement = sa.select(models.c.id).where(
            models.c.id == run.model_id, models.c.token == run.token, _RUNNING
        )
        with self._database.begin() as connection:
            return connection.execute(statement).first() is not None

    def _write(self, run: Run, **values: Any) -> bool:
        with self._database.begin() as connection:
            return connection.execute(_of(run).values(**values)).rowcount == 1


def _of(run: Run) -> sa.Update:
    """An UPDATE of the row as long as `run` owns it."""
    return models.update().where(models.c.id == run.model_id, models.c.token == run.token, _RUNNING)


def _trimmed(message: str) -> str:
    message = message.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(message) <= MAXIMUM_MESSAGE:
        return message
    return f"{message[:MAXIMUM_MESSAGE]}... [trimmed]"
