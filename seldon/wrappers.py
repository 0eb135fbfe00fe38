"""The documented way to save and load: objects that hold the credentials of the storage."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from seldon import saved
from seldon.base import Recommender
from seldon.extension import Extension
from seldon.locations import Location


class Wrapper:
    """Where models are kept, and how to get there.

    Parameters
    ----------
    work_folder : str
        Where copies of remote folders stand while they are read or written. Each has a name
        of its own and is removed afterwards.
    aws_key, aws_secret : str, optional
        For ``s3://`` locations. Without them the usual places are searched, such as
        ``AWS_ACCESS_KEY_ID`` and instance roles.
    """

    def __init__(
        self,
        work_folder: str = "/tmp",
        aws_key: str | None = None,
        aws_secret: str | None = None,
    ) -> None:
        self.work_folder = work_folder
        self.aws_key = aws_key
        self.aws_secret = aws_secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}(work_folder={self.work_folder!r})"

    def get_work_folder(self) -> str:
        """The `work_folder` given."""
        return self.work_folder

    def create_work_folder(self) -> None:
        """Make the work folder if it is not there."""
        Path(self.work_folder).mkdir(parents=True, exist_ok=True)

    def storage(self, location: Location) -> dict[str, Any]:
        """Options of the file system of `location`: the credentials, for S3 only."""
        if str(location).startswith(("s3://", "s3a://")) and self.aws_key:
            return {"key": self.aws_key, "secret": self.aws_secret}
        return {}


class RecommenderWrapper(Wrapper):
    """Saves and loads a `seldon.Recommender`."""

    def save_recommender(self, recommender: Recommender, location: Location) -> None:
        """Write `recommender` to `location`, a path or an fsspec URL."""
        saved.write(
            recommender,
            location,
            storage=self.storage(location),
            work_folder=self.work_folder,
        )

    def load_recommender(
        self, recommender_folder: Location, *, trusted: bool | Collection[str] = False
    ) -> Recommender:
        """Load what `save_recommender` wrote; `trusted` as for `seldon.load_recommender`."""
        return saved.read(
            recommender_folder,
            Recommender,
            "rec",
            trusted=trusted,
            storage=self.storage(recommender_folder),
            work_folder=self.work_folder,
        )


class ExtensionWrapper(Wrapper):
    """Saves and loads a `seldon.Extension`."""

    def save_extension(self, extension: Extension, location: Location) -> None:
        """Write `extension` to `location`, a path or an fsspec URL."""
        saved.write(
            extension,
            location,
            storage=self.storage(location),
            work_folder=self.work_folder,
        )

    def load_extension(
        self, extension_folder: Location, *, trusted: bool | Collection[str] = False
    ) -> Extension:
        """Load what `save_extension` wrote; `trusted` as for `seldon.load_recommender`."""
        return saved.read(
            extension_folder,
            Extension,
            "ext",
            trusted=trusted,
            storage=self.storage(extension_folder),
            work_folder=self.work_folder,
        )
