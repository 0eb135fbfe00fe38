"""Sample interactions with something to find in them: `python -m seldon.sample --output DIR`."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidParameter, SeldonError

END = dt.datetime(2026, 1, 1)
"""Where time ends in a sample; fixed, so that one seed always gives the same files."""

_DAYS = 90
_IN_CLUSTER = 0.85  # how often a session stays with its own kind of item
_SESSION_LENGTH = 5  # mean; geometric
_LONGEST_SESSION = 20


@dataclass(frozen=True)
class Sample:
    """Interactions, and the hidden structure they were drawn from.

    Attributes
    ----------
    user, item : ndarray of int64, shape (n_events,)
        Ids from 1 up.
    time : ndarray of int64, shape (n_events,)
        Seconds since 1970-01-01 UTC, rising.
    cluster : ndarray of int64, shape (n_items,)
        The kind of item ``i + 1``, from 0 up. A session keeps mostly to one kind.
    """

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    cluster: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)


def sample_interactions(
    users: int,
    items: int,
    events: int,
    rng: np.random.Generator,
    end: dt.datetime = END,
) -> Sample:
    """Draw interactions that look like a shop's.

    A few items are met very often (popularity falls with the power 0.8 of the rank), a few
    users come very often, everybody has two favourite kinds of item, and events come in
    sessions that keep to one kind. So popularity, item similarity and sequences each have
    something to learn.

    Parameters
    ----------
    users, items, events : int
        How many, each at least 1. Not every user and item need appear.
    rng : numpy.random.Generator
    end : datetime
        Everything happens in the 90 days before; UTC.
    """
    for name, number in {"users": users, "items": items, "events": events}.items():
        if number < 1:
            raise InvalidParameter(f"{name}={number} must be at least 1")
    n_clusters = min(items, max(2, round(items**0.5 / 2)))
    cluster = rng.permutation(items) % n_clusters
    favourites = rng.integers(n_clusters, size=(users, 2))

    session, start = _sessions(events, rng)
    n_sessions = session[-1] + 1
    visitor = rng.choice(users, n_sessions, p=_skewed(users, 0.5, rng))
    theme = favourites[visitor, rng.integers(2, size=n_sessions)]
    item = _draw_items(np.where(rng.random(events) < _IN_CLUSTER, theme[session], -1), cluster, rng)

    first = int(end.replace(tzinfo=dt.UTC).timestamp()) - _DAYS * 86_400
    began = first + rng.integers((_DAYS - 1) * 86_400, size=n_sessions)
    waited = np.cumsum(rng.integers(20, 300, size=events))
    time = began[session] + waited - waited[start[session]]

    order = np.argsort(time, kind="stable")
    return Sample(visitor[session][order] + 1, item[order] + 1, time[order], cluster)


def write_sample(sample: Sample, folder: str | os.PathLike[str], client: str = "test1") -> None:
    """Write a sample in the formats that the trainers read.

    ``interactions.csv`` has a line ``user,item,yyyy-MM-ddTHH:mm:ss`` per event and no header,
    ``actions.jsonl`` the same as a Seldon server's actions, and ``catalog.csv`` a line
    ``item,name,category,description,feature=value,…`` per item.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    stamps = np.datetime_as_string(sample.time.astype("datetime64[s]")).tolist()
    rows = list(zip(sample.user.tolist(), sample.item.tolist(), stamps, strict=True))
    _write(target / "interactions.csv", (f"{user},{item},{at}\n" for user, item, at in rows))
    _write(target / "actions.jsonl", (_action(client, *row) for row in rows))
    kinds = enumerate(sample.cluster.tolist(), 1)
    _write(target / "catalog.csv", (_catalog_line(item, kind) for item, kind in kinds))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m seldon.sample`; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m seldon.sample",
        description="Write sample interactions, Seldon actions and a catalog.",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where to write")
    parser.add_argument("--users", type=int, default=1_000, help="default: %(default)s")
    parser.add_argument("--items", type=int, default=2_000, help="default: %(default)s")
    parser.add_argument("--events", type=int, default=50_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--client", default="test1", help="in the actions; default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        if options.seed < 0:
            raise InvalidParameter(f"seed={options.seed} must be at least 0")
        rng = np.random.default_rng(options.seed)
        sample = sample_interactions(options.users, options.items, options.events, rng)
        write_sample(sample, options.output, options.client)
    except (SeldonError, OSError) as error:
        print(f"seldon.sample: {error}", file=sys.stderr)
        return 1
    print(f"{len(sample)} events written to {options.output}")
    return 0


def _sessions(
    events: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The session of each event, and the first event of each session."""
    lengths = np.minimum(rng.geometric(1 / _SESSION_LENGTH, size=events), _LONGEST_SESSION)
    ends = np.cumsum(lengths)
    start = np.concatenate([[0], ends[ends < events]])
    session = np.searchsorted(start, np.arange(events), side="right") - 1
    return session, start


def _skewed(n: int, power: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Probabilities that fall with the power of a rank; the ranks are shuffled."""
    weights = rng.permutation(np.arange(1, n + 1)) ** -power
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares


def _draw_items(
    wanted: npt.NDArray[np.int64], cluster: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """An item by popularity out of each wanted cluster, or out of all where that is -1."""
    by_cluster = np.argsort(cluster, kind="stable")
    cumulated = np.cumsum(_skewed(len(cluster), 0.8, rng)[by_cluster])
    edges = np.searchsorted(cluster[by_cluster], np.arange(cluster.max() + 2))
    bounds = np.concatenate([[0.0], cumulated])[edges]
    low = np.where(wanted < 0, 0.0, bounds[wanted])
    high = np.where(wanted < 0, cumulated[-1], bounds[wanted + 1])
    drawn = np.searchsorted(cumulated, low + rng.random(len(wanted)) * (high - low), side="right")
    # Rounding may carry a draw over its cluster's upper edge.
    last = np.where(wanted < 0, len(cluster), edges[wanted + 1]) - 1
    items: npt.NDArray[np.int64] = by_cluster[np.minimum(drawn, last)]
    return items


def _action(client: str, user: int, item: int, stamp: str) -> str:
    return (
        json.dumps(
            {
                "userid": user,
                "itemid": item,
                "client_userid": str(user),
                "client_itemid": str(item),
                "type": 1,
                "value": 1.0,
                "timestamp_utc": f"{stamp}Z",
                "client": client,
                "rectag": "default",
            }
        )
        + "\n"
    )


def _catalog_line(item: int, kind: int) -> str:
    shade = "light" if item % 2 else "dark"
    return f"{item},Item {item},kind-{kind},,kind=kind-{kind},shade={shade}\n"


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(lines)


if __name__ == "__main__":
    raise SystemExit(main())
