"""The report is one file that needs nothing else, and its plots show what was measured."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from seldon.sar.charts import Bar, Line, bar_chart, line_chart
from seldon.sar.evaluation import evaluate, paired, try_out
from seldon.sar.report import Compared, report
from tests.sar.test_evaluation import events


class Page(HTMLParser):
    """Open tags, attributes and text of a page; refuses tags that are not closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(0)
    train = events([(u, int(i)) for u in range(80) for i in rng.zipf(1.5, 1 + u % 20) % 50])
    test = events([(u, int(i)) for u in range(90) for i in rng.zipf(1.5, 3) % 50])
    popular = np.argsort(-np.bincount(train.item), kind="stable")
    trial = try_out(lambda users, n: np.tile(popular[:n], (len(users), 1)), train, test, 10)
    poor = try_out(lambda users, n: np.tile(popular[-n:], (len(users), 1)), train, test, 10)
    found = evaluate(trial, [5, 10], rng)
    compared = Compared("<the old one>", paired(trial, poor, [10], rng))
    text = report("<b>shop</b>", {"similarity": "Jaccard & Co"}, trial, found, 10, rng, compared)
    return text, Page(text), found


def test_it_needs_no_network_and_no_script(page):
    text, parsed, _ = page
    assert "default-src 'none'" in text
    assert "://" not in text
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in parsed.tags}
    assert not any({"href", "src", "onload"} & set(attributes) for _, attributes in parsed.tags)


def test_names_are_text_not_markup(page):
    words = " ".join(page[1].words)
    assert "Evaluation of <b>shop</b>" in words
    assert "Jaccard & Co" in words
    assert "Compared with <the old one>" in words
    assert "b" not in {tag for tag, _ in page[1].tags}


def test_it_shows_what_was_measured(page):
    _, parsed, found = page
    ndcg = found.metrics["ndcg@10"]
    assert f"{ndcg.mean:.4f} ({ndcg.low:.3f}–{ndcg.high:.3f})" in parsed.words
    assert f"{found.precision[4].percentage:.3f}" in parsed.words
    assert sum(tag == "svg" for tag, _ in parsed.tags) == 4


def test_nobody_scored_leaves_a_page_without_plots():
    train, test = events([("a", "x")]), events([("b", "x")])
    trial = try_out(lambda users, n: np.empty((0, n), int), train, test, 5)
    rng = np.random.default_rng(0)
    parsed = Page(report("m", {}, trial, evaluate(trial, [5], rng), 5, rng))
    assert "svg" not in {tag for tag, _ in parsed.tags}
    assert "0 of 1 test users" in " ".join(parsed.words)


def bars_in(svg):
    found = re.findall(r'<rect class="c0" x="[\d.]+" y="([\d.]+)" \S+ height="([\d.]+)"', svg)
    return [(float(y), float(height)) for y, height in found]


def test_bars_are_as_high_as_their_values():
    (_, half), (_, whole) = bars_in(bar_chart([Bar("a", 0.2), Bar("b", 0.4)], "x", "y"))
    assert whole == pytest.approx(2 * half, abs=0.2)


def test_a_line_keeps_the_proportions_of_its_values():
    svg = line_chart([Line("l", [(0, 0), (1, 1), (2, 4)])], "x", "y")
    points = re.search(r'points="([^"]+)"', svg)[1].split()
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in points)
    assert x2 - x0 == pytest.approx(2 * (x1 - x0), abs=0.2)
    assert y0 - y2 == pytest.approx(4 * (y0 - y1), abs=0.3)


def test_a_log_chart_leaves_out_zeros_and_keeps_ratios():
    svg = line_chart([Line("l", [(1, 1), (10, 0), (10, 100), (100, 10)])], "x", "y", log=True)
    points = re.search(r'points="([^"]+)"', svg)[1].split()
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in points)
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.2)
    assert y0 - y1 == pytest.approx(2 * (y0 - y2), abs=0.2)


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1e-9], [1e9, 3.0], [0.3], [-1.0, 2.0]])
def test_axes_hold_any_values(values):
    svg = line_chart([Line("l", list(enumerate(values)))], "x", "y")
    for number in re.findall(r'points="([^"]+)"', svg)[0].replace(",", " ").split():
        assert -1 <= float(number) <= 561


def test_charts_of_nothing_say_so():
    assert "nothing to show" in bar_chart([], "x", "y")
    assert "nothing to show" in line_chart([Line("l", [(0, 0)])], "x", "y", log=True)
