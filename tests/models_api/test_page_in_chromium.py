"""The page in a real browser, from a real gunicorn, on a model of generated sample data."""

import json
import shutil
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

from seldon.sample import sample_interactions, write_sample
from tests.services.processes import gunicorn

pytestmark = [pytest.mark.service, pytest.mark.slow]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1200,1000",
)
HOSTILE = "<img src=x onerror=alert(1)>"
WAIT = 60


@contextmanager
def chromium(profile):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Reader:
    """Somebody who looks at the page; everything the console says is kept in `complaints`."""

    def __init__(self, driver, root):
        self.driver = driver
        self.root = root
        self.complaints = []

    def open(self, path):
        self.driver.get(f"{self.root}{path}")
        self._look()

    def follow(self, css):
        """Click on what leads to another page, and wait until that is there."""
        # A click may come back before its page does, so the old one is marked.
        self.driver.execute_script("window.leaving = true")
        self.all(css)[0].click()
        self.wait(
            lambda: self.driver.execute_script(
                "return !window.leaving && document.readyState === 'complete'"
            )
        )

    def type(self, css, text):
        element = self.all(css)[0]
        element.clear()
        element.send_keys(text)

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    @property
    def text(self):
        return self.driver.execute_script("return document.body.innerText")

    def wait(self, for_what):
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.wait import WebDriverWait

        # The page may load itself anew at any moment.
        waiting = WebDriverWait(self.driver, WAIT, ignored_exceptions=[WebDriverException])
        waiting.until(lambda _: for_what())
        self._look()

    def _look(self):
        self.complaints += [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("WARNING", "SEVERE")
        ]


@pytest.fixture
def service(tmp_path):
    """Address of a running service, with sample events and a hostile item in `shop`."""
    shop = tmp_path / "inputs/shop"
    write_sample(sample_interactions(200, 80, 4000, np.random.default_rng(5)), shop, "shop")
    lines = (shop / "interactions.csv").read_text().splitlines(keepends=True)
    hostile = [f"h{user},{item},2025-12-01\n" for user in range(9) for item in (HOSTILE, 1)]
    (shop / "usage.csv").write_text("".join([*lines[:3200], *hostile, "h1,2,never\n"]))
    (shop / "evaluation.csv").write_text("".join(lines[3200:]))
    environment = {
        "SELDON_API_KEYS": json.dumps({"admin": ["key-of-the-owner"]}),
        "SELDON_MODELS_ROOT": str(tmp_path / "models"),
        "SELDON_MODELS_INPUT_ROOT": str(tmp_path / "inputs"),
        "OMP_NUM_THREADS": "1",
    }
    log = tmp_path / "log"
    with gunicorn("recommender:app", log=log, env=environment) as (_, port):
        yield f"http://127.0.0.1:{port}"


def api(root, path):
    asked = urllib.request.Request(
        f"{root}/api/models{path}", headers={"x-api-key": "key-of-the-owner"}
    )
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")
def test_a_person_trains_tries_and_compares(service, tmp_path):
    with chromium(tmp_path / "profile") as driver:
        reader = Reader(driver, service)
        reader.open("/models")
        assert "/models/login" in driver.current_url
        assert not reader.all("[name=username]")[0].is_displayed()
        reader.type("[name=key]", "key-of-the-owner")
        reader.follow(".login button")
        assert driver.current_url == f"{service}/models"
        assert "There is no model yet" in reader.text
        assert driver.execute_script("return document.cookie") == ""

        # Two trainings by the form; the page follows them by itself.
        ids = [_train(reader, name, function) for name, function in (("one", 0), (HOSTILE, 1))]
        metrics = api(service, f"/{ids[0]}")["statistics"]["evaluation"]["metrics"]
        assert len(reader.all("figure svg")) == 2
        assert "usage.csv:3219" in reader.text
        heights = driver.execute_script(
            "return [...document.querySelectorAll('figure svg')].map(e => e.clientHeight)"
        )
        assert min(heights) > 100, "the style sheet is not applied"

        # What the page recommends is what the API recommends, and the reasons add up.
        reader.open(f"/models/{ids[0]}")
        assert f"{metrics['precisionMetrics'][0]['usersInTest']:,} users" in reader.text
        reader.type("[name=itemId]", "1")
        reader.follow(".questions button")
        expected = api(service, f"/{ids[0]}/recommend?itemId=1")
        names = [element.text for element in reader.all(".answer .item")]
        assert names == [one["recommendedItemId"] for one in expected]
        assert HOSTILE in names and not reader.all("img")
        scores = [element.text for element in reader.all(".answer .score")]
        assert scores == [f"{one['score']:.6f}" for one in expected]
        reader.type("[name=events]", "1,Purchase\n2")
        reader.follow(".questions form + form button")
        reader.all(".answer li:last-child summary")[0].click()
        parts = reader.all(".answer li:last-child tbody td:last-child")
        total = reader.all(".answer li:last-child tfoot td")[0].text
        assert sum(float(part.text) for part in parts) == pytest.approx(float(total), abs=2e-6)

        reader.open(f"/models/compare?a={ids[0]}&b={ids[1]}")
        reader.follow(".questions a")
        assert " items of A are also in B" in reader.text
        assert len(reader.all("polyline")) == 2 and len(reader.all(".differs")) >= 1

        # A narrow screen scrolls down only.
        driver.set_window_size(500, 900)
        for path in ("", f"/{ids[0]}", f"/compare?a={ids[0]}&b={ids[1]}&itemId=1", "/train"):
            reader.open(f"/models{path}")
            assert driver.execute_script(
                "return document.documentElement.scrollWidth <= window.innerWidth"
            ), f"{path} is wider than the window"

        reader.follow("nav button")
        reader.open(f"/models/{ids[0]}")
        assert "/models/login" in driver.current_url
        assert reader.complaints == []


def _train(reader, name, function):
    """Start a training, wait until the page says it is done; the model's id."""
    from selenium.webdriver.support.select import Select

    reader.open("/models/train")
    reader.type("[name=description]", name)
    reader.type("[name=blobContainerName]", "shop")
    reader.type("[name=usageRelativePath]", "usage.csv")
    reader.type("[name=evaluationUsageRelativePath]", "evaluation.csv")
    Select(reader.all("[name=similarityFunction]")[0]).select_by_index(function)
    reader.follow(".train > button")
    assert name in reader.text
    reader.wait(lambda: reader.all(".state .status.Completed, .state .status.Failed"))
    assert "Completed" in reader.text, reader.text
    return reader.driver.current_url.rpartition("/")[2]
