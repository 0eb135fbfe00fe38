"""A home for the versions of one model: folders side by side and a pointer to the current one.

    home/
      versions/1/ 2/ 3/     model folders, never changed once they are there
      current               {"version": 3, "previous": [2, 1]}
      .lock                 held for the instant in which the pointer moves

The pointer is a small file replaced by rename, not a symbolic link: image layers, object stores
and volume plug-ins keep files but not always links. It holds the way back too, so that pointer
and history cannot disagree. Any saved `seldon.Recommender` can live here.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seldon.errors import Conflict, InvalidModel, ModelNotFound
from seldon.folders import MANIFEST, open_folder
from seldon.locations import Location
from seldon.whole_files import sync, whole_file

POINTER = "current"
VERSIONS = "versions"
LOWER_IS_BETTER = frozenset({"logloss"})


@dataclass(frozen=True)
class Pointer:
    """Which version is current.

    Attributes
    ----------
    version : int
    previous : tuple of int
        Where `rollback` leads, the nearest first.
    """

    version: int
    previous: tuple[int, ...] = ()


def resolve(location: Location) -> Path:
    """The model folder `location` means: its current version, or itself when it is no home.

    Raises
    ------
    ModelNotFound
        A home in which nothing was promoted yet.
    """
    path = Path(location)
    if not (path / VERSIONS).is_dir():
        return path
    pointer = current(path)
    if pointer is None:
        raise ModelNotFound(f"{path} has no current version; promote one of {versions(path)}")
    return path / VERSIONS / str(pointer.version)


def pointing_file(location: Location) -> Path:
    """The one file that is replaced whenever `resolve` would lead to another model."""
    path = Path(location)
    return path / (POINTER if (path / VERSIONS).is_dir() else MANIFEST)


def current(home: Location) -> Pointer | None:
    """The pointer of `home`, None when nothing was promoted yet."""
    path = Path(home) / POINTER
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Pointer(int(document["version"]), tuple(map(int, document["previous"])))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(
            f"{path}: not a pointer to a version ({error!r}); expected "
            '{"version": 2, "previous": [1]}'
        ) from error


def versions(home: Location) -> list[int]:
    """Numbers of the versions in `home`, rising."""
    folder = Path(home) / VERSIONS
    return sorted(int(p.name) for p in folder.glob("[0-9]*") if p.name.isdigit())


def add(home: Location, folder: Location) -> int:
    """Bring a model folder into `home` as its next version; nothing is promoted.

    Files are hard links where the file system allows, so that it costs no disk; model folders
    are replaced as a whole, never written into, which makes that safe.

    Raises
    ------
    ModelNotFound, InvalidModel
        `folder` is no model folder, or is damaged; every checksum is compared.

    Returns
    -------
    int
        The new version's number.
    """
    source = open_folder(resolve(folder))
    store = Path(home) / VERSIONS
    store.mkdir(parents=True, exist_ok=True)
    arriving = Path(tempfile.mkdtemp(prefix=".arriving.", dir=store))
    try:
        for name in [*source.files, MANIFEST]:
            (arriving / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source.path / name, arriving / name)
        arriving.chmod(0o755)
        with _locked(home):
            number = max([0, *versions(home)]) + 1
            arriving.rename(store / str(number))
            sync(store)
    except BaseException:
        shutil.rmtree(arriving, ignore_errors=True)
        raise
    return number


def promote(home: Location, version: int, *, expected: int | None) -> Pointer:
    """Make `version` the current one: of two promotes at once, one wins.

    Parameters
    ----------
    expected : int, optional
        The version the caller saw as current when it decided; None when there was none.

    Raises
    ------
    Conflict
        Another version became current in between.
    ModelNotFound, InvalidModel
        There is no such version, or its files do not match its manifest.
    """
    folder = Path(home) / VERSIONS / str(version)
    if not folder.is_dir():
        raise ModelNotFound(f"{home} has no version {version}; it has {versions(home)}")
    open_folder(folder)
    with _locked(home):
        before = current(home)
        found = before.version if before else None
        if found != expected:
            raise Conflict(
                f"{home}: version {found} is current, not {expected}: somebody else promoted "
                "in between; look at it and promote again"
            )
        if before is None:
            return _point(home, Pointer(version))
        if found == version:
            return before
        previous = (before.version, *(v for v in before.previous if v != version))
        return _point(home, Pointer(version, previous))


def rollback(home: Location) -> Pointer:
    """Make the version before the current one current again.

    Raises
    ------
    ModelNotFound
        There is no earlier version that is still kept.
    """
    with _locked(home):
        before = current(home)
        kept = [v for v in before.previous if v in versions(home)] if before else []
        if not kept:
            raise ModelNotFound(f"{home} has no earlier version to go back to")
        open_folder(Path(home) / VERSIONS / str(kept[0]))
        return _point(home, Pointer(kept[0], tuple(kept[1:])))


def prune(home: Location, keep: int) -> list[int]:
    """Delete all but the current version, the `keep` before it, and those not yet promoted.

    Workers that still serve a deleted version keep it mapped until they swap.

    Returns
    -------
    list of int
        What was deleted.
    """
    with _locked(home):
        pointer = current(home)
        if pointer is None:
            return []
        newest = max(pointer.version, *pointer.previous, 0)
        wanted = {pointer.version, *pointer.previous[:keep]}
        deleted = [v for v in versions(home) if v <= newest and v not in wanted]
        if not deleted:
            return []
        _point(home, Pointer(pointer.version, pointer.previous[:keep]))
        for version in deleted:
            leaving = Path(tempfile.mkdtemp(prefix=".leaving.", dir=Path(home) / VERSIONS))
            (Path(home) / VERSIONS / str(version)).rename(leaving / str(version))
            shutil.rmtree(leaving, ignore_errors=True)
    return deleted


def refusal(
    new: Mapping[str, Any] | None, old: Mapping[str, Any] | None, metric: str, margin: float
) -> str | None:
    """The gate: why a model should not replace the current one, None when it may.

    Parameters
    ----------
    new, old : mapping, optional
        Metric name to value of the two models on the same events; None when never evaluated.
    metric : str
        One that only the new model has lets it pass, one that neither has does not. Larger is
        better, except for those in `LOWER_IS_BETTER`.
    margin : float
        How much worse is allowed, as a share of the old value: 0.02 is two percent.
    """
    if not old or metric not in old:
        if old and new and metric not in new:
            known = ", ".join(sorted(old))
            return f"neither model was evaluated by {metric} (the current one has: {known})"
        return None
    if not new or metric not in new:
        known = ", ".join(sorted(new)) if new else "none"
        return f"the new model has no {metric} to compare with the current one's (it has: {known})"
    ours, theirs = float(new[metric]), float(old[metric])
    loss = ours - theirs if metric in LOWER_IS_BETTER else theirs - ours
    # Not `loss <= …`: NaN must not pass.
    if ours == ours and not loss > margin * abs(theirs):
        return None
    return (
        f"its {metric} is {ours:.6g}, the current model's is {theirs:.6g}: "
        f"worse by more than the margin of {margin:.1%}"
    )


@contextmanager
def _locked(home: Location) -> Iterator[None]:
    with (Path(home) / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _point(home: Location, pointer: Pointer) -> Pointer:
    document = {"version": pointer.version, "previous": list(pointer.previous)}
    with whole_file(Path(home) / POINTER) as path:
        path.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return pointer


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
        sync(target)
