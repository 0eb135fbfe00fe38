"""An evaluation as one HTML file that opens without network: tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon import metrics
from seldon.metrics import Comparison
from seldon.sar.charts import Bar, Line, bar_chart, line_chart
from seldon.sar.evaluation import Evaluation, Trial, coverage, per_user

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Compared:
    """Another model the reported one was compared with, by user."""

    name: str
    metrics: Mapping[str, Comparison]


def report(
    name: str,
    facts: Mapping[str, object],
    trial: Trial,
    evaluation: Evaluation,
    k: int,
    rng: np.random.Generator,
    compared: Compared | None = None,
) -> str:
    """The page.

    Parameters
    ----------
    name : str
        What the model is called in the title.
    facts : mapping
        Shown as a table at the top: parameters, number of events, date.
    trial, evaluation
        What `seldon.sar.evaluation` made.
    k : int
        List length of the plots.
    rng : numpy.random.Generator
        For the intervals in the plots.
    compared : Compared, optional
    """
    sections = [
        ("Model", _facts(facts)),
        ("Ranking metrics", _metrics_table(evaluation)),
    ]
    if compared is not None:
        sections.append((f"Compared with {compared.name}", _comparison_table(compared)))
    if evaluation.diversity is not None:
        sections.append(("As the Product Recommendations API reports it", _api_tables(evaluation)))
        sections += _plots(trial, k, rng)
    body = "".join(f"<section><h2>{escape(h)}</h2>{text}</section>" for h, text in sections)
    return _PAGE.format(title=escape(f"Evaluation of {name}"), style=_STYLE, body=body)


def _facts(facts: Mapping[str, object]) -> str:
    words = {True: "yes", False: "no", None: "–"}
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>"
        f"{escape(words[value] if value is None or isinstance(value, bool) else str(value))}"
        "</td></tr>"
        for name, value in facts.items()
    )
    return f'<table class="facts">{rows}</table>'


def _metrics_table(evaluation: Evaluation) -> str:
    """A row per metric, a column per k."""
    cells: dict[str, dict[str, str]] = {}
    for full, i in evaluation.metrics.items():
        name, _, k = full.partition("@")
        cells.setdefault(name, {})[k] = f"{i.mean:.4f} ({i.low:.3f}–{i.high:.3f})"
    for full, value in evaluation.coverage.items():
        name, _, k = full.partition("@")
        cells.setdefault(name, {})[k] = f"{value:.4f}"
    ks = list(next(iter(cells.values()), {}))
    rows = [[name, *(row[k] for k in ks)] for name, row in cells.items()]
    note = (
        f"<p>{evaluation.users_scored:,} of {evaluation.users_in_test:,} test users have training "
        "events and were scored. In brackets: 95 % intervals, bootstrap over users. Novelty is "
        "in bits.</p>"
    )
    return note + _table(["metric", *(f"at {k}" for k in ks)], rows)


def _comparison_table(compared: Compared) -> str:
    rows = [
        [name, f"{c.difference:+.4f}", f"{c.low:+.4f} to {c.high:+.4f}", f"{c.p_value:.3f}"]
        for name, c in compared.metrics.items()
    ]
    note = "<p>Difference by user; above 0 this model is better. p: sign-flip test.</p>"
    return note + _table(["metric", "difference", "95 % interval", "p"], rows)


def _api_tables(evaluation: Evaluation) -> str:
    found = evaluation.diversity
    assert found is not None
    precision = [[f"{p.k}", f"{p.percentage:.3f}"] for p in evaluation.precision]
    buckets = [[f"{b.minimum}–{b.maximum}", f"{b.percentage:.3f}"] for b in found.buckets]
    note = (
        f"<p>{found.total_items_recommended:,} items recommended, "
        f"{found.unique_items_recommended:,} distinct, of "
        f"{found.unique_items_in_train_set:,} in training.</p>"
    )
    return (
        _table(["k", "precision, % of test users"], precision)
        + _table(["popularity percentile", "% of recommendations"], buckets)
        + note
    )


def _plots(trial: Trial, k: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    return [
        ("Popularity", _popularity(trial, k)),
        (f"nDCG@{k} by history length", _by_history(trial, k, rng)),
        (f"Recall@{k} by popularity of the item", _by_popularity(trial, k, rng)),
        ("Catalogue coverage", _coverage(trial)),
    ]


def _popularity(trial: Trial, k: int) -> str:
    """Events and recommendations of the items in falling order of events, log-log."""
    order = np.argsort(-trial.popularity, kind="stable")
    shown = trial.lists[:, :k]
    recommended = np.bincount(shown[shown >= 0], minlength=len(order))[order]
    edges = np.unique(np.geomspace(1, len(order) + 1, 60).astype(int))
    ranks = [(low + high - 1) / 2 for low, high in pairwise(edges.tolist())]
    lines = [
        Line(name, list(zip(ranks, _means(counts, edges), strict=True)))
        for name, counts in (
            ("training events", trial.popularity[order]),
            ("recommendations", recommended),
        )
    ]
    return line_chart(lines, "item, by falling popularity", "times (mean of neighbours)", log=True)


def _means(counts: Array, edges: Array) -> list[float]:
    return [float(counts[low - 1 : high - 1].mean()) for low, high in pairwise(edges.tolist())]


def _by_history(trial: Trial, k: int, rng: np.random.Generator) -> str:
    values = per_user(trial, k)["ndcg"]
    last = 8
    bucket = np.minimum(np.log2(np.maximum(trial.history, 1)).astype(int), last)
    bars = [
        _bar(
            f"{2**last}+" if b == last else _between(2**b, 2 ** (b + 1) - 1),
            values[bucket == b],
            rng,
        )
        for b in np.unique(bucket).tolist()
    ]
    return bar_chart(bars, "training events of the user (below: number of users)", f"nDCG@{k}")


def _by_popularity(trial: Trial, k: int, rng: np.random.Generator) -> str:
    """Share of held-out pairs found, by the percentile of their item's popularity."""
    size = len(trial.popularity)
    place = np.empty(size, np.int64)
    place[np.argsort(trial.popularity, kind="stable")] = np.arange(size)
    found = _found(trial, k)
    known = trial.item >= 0
    decile = 10 * place[trial.item[known]] // size
    bars = [
        _bar(_between(10 * d, 10 * d + 10), found[known][decile == d], rng)
        for d in range(10)
        if (decile == d).any()
    ]
    return bar_chart(
        bars,
        "popularity percentile of the item (below: number of held-out pairs)",
        f"share found in the first {k}",
    )


def _found(trial: Trial, k: int) -> Array:
    """Whether each held-out pair stands in its user's first k, 0 or 1."""
    width = len(trial.popularity) + 1
    lists = trial.lists[:, :k]
    shown = np.arange(len(lists))[:, None] * width + lists
    pair = trial.row * width + trial.item
    return (np.isin(pair, shown[lists >= 0]) & (trial.item >= 0)).astype(float)


def _coverage(trial: Trial) -> str:
    ks = range(1, trial.lists.shape[1] + 1)
    line = Line("share of items shown", [(k, coverage(trial, k)) for k in ks])
    return line_chart([line], "k", "share of the catalogue shown")


def _bar(label: str, values: Array, rng: np.random.Generator) -> Bar:
    (interval,) = metrics.mean_intervals(values[:, None], rng, resamples=200)
    return Bar(label, interval.mean, (interval.low, interval.high), f"{len(values):,}")


def _between(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{lines}</table>"


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #66707e; --rule: #d9dee5;
        --paper: #ffffff; --c0: #2f6fb7; --c1: #d9822b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --rule: #38414d;
        --paper: #171c23; --c0: #6ea8e6; --c1: #f0a860; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1240px; margin: 2rem auto; padding: 0 1.5rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr));
       gap: 1rem 2.5rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } section { min-width: 0; }
h2 { font-size: 1.1rem; margin: 1rem 0 .4rem; }
table { border-collapse: collapse; margin: .4rem 0 1rem; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--rule); text-align: right;
         white-space: nowrap; }
td:first-child, th:first-child, .facts td { text-align: left; }
.facts td:last-child { white-space: normal; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); }
p { color: var(--soft); margin: .2rem 0; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 11.5px; }
svg .note { fill: var(--soft); font-size: 10px; } svg .title { fill: var(--soft); }
.grid { stroke: var(--rule); } .line { fill: none !important; stroke-width: 2; }
.whisker { stroke: var(--ink); fill: none; }
.c0 { fill: var(--c0); } .line.c0 { stroke: var(--c0); }
.c1 { fill: var(--c1); } .line.c1 { stroke: var(--c1); }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<main>{body}</main>
</body>
</html>
"""
