"""The evaluation of one model, or of several over each other, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from seldon.sar.charts import Bar, Line, bar_chart, line_chart

Metrics = Mapping[str, Any]
"""The ``metrics`` of the API's evaluation, as JSON."""


def precision(evaluations: Sequence[tuple[str, Metrics]]) -> Markup:
    """Share of test users with a hit in their first k, one line a model."""
    lines = [
        Line(name, [(one["k"], one["percentage"]) for one in metrics["precisionMetrics"]])
        for name, metrics in evaluations
    ]
    return Markup(line_chart(lines, "k, length of the list", "precision@k, % of test users"))


def diversity(evaluations: Sequence[tuple[str, Metrics]]) -> Markup:
    """What share of the recommendations falls on less and more popular items."""
    several = len(evaluations) > 1
    buckets = zip(
        *(m["diversityMetrics"]["percentileBuckets"] for _, m in evaluations), strict=True
    )
    bars = [
        Bar(
            f"{bucket['min']}–{bucket['max']}",
            bucket["percentage"],
            note=evaluations[number][0] if several else "",
            series=number,
        )
        for group in buckets
        for number, bucket in enumerate(group)
    ]
    return Markup(bar_chart(bars, "popularity percentile of the item", "% of recommendations"))
