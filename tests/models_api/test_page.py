"""The page at /models: who gets in, what is shown, and that nothing of it can run."""

import html
import re

import pytest

from seldon.models_api.keys import ApiKeys
from seldon.models_api.page.session import COOKIE, Sessions
from tests.models_api.conftest import ADMIN, ADMIN_2, RECOMMEND

UNKNOWN = "0b8f2c1e-6f0e-4d53-9a55-0c7e8f1d2a34"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')
HOSTILE = "<script>alert(1)</script>"


class Browser:
    """Follows what the page offers: links it was given, forms with their token."""

    def __init__(self, app):
        self.client = app.test_client()

    def get(self, path, status=200):
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path, form_of="/models", **fields):
        token = TOKEN.search(self.get(form_of))[1]
        return self.client.post(path, data={"form_token": token, **fields})

    def login(self, key=ADMIN, **fields):
        return self.client.post("/models/login", data={"key": key, **fields})


@pytest.fixture
def stranger(app):
    return Browser(app)


@pytest.fixture
def browser(app):
    browser = Browser(app)
    assert browser.login().status_code == 303
    return browser


@pytest.fixture
def completed(client, train):
    """Id of a completed model of T7 with support threshold 3."""

    def completed(**parameters):
        answer = client.create(**{"supportThreshold": 3, **parameters})
        assert answer.status_code == 201, answer.text
        train()
        return answer.json["id"]

    return completed


def shown(page):
    """The text of a page, white space made one blank."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


# Who gets in.


@pytest.mark.parametrize(
    "path", ["", "/", "/train", "/compare", f"/{UNKNOWN}", f"/{UNKNOWN}/recommend?itemId=1", "/x"]
)
def test_without_a_session_the_key_is_asked_for(stranger, path):
    answer = stranger.client.get(f"/models{path}")
    assert answer.status_code == 303
    assert answer.location.startswith("/models/login?next=/models")


def test_the_key_opens_the_page_that_was_asked_for(stranger):
    asked = stranger.client.get("/models/train?again=")
    form = stranger.get(asked.location)
    target = html.unescape(re.search(r'name="next" value="([^"]*)"', form)[1])
    answer = stranger.login(next=target)
    assert (answer.status_code, answer.location) == (303, "/models/train?again=")
    assert "Start training" in stranger.get(answer.location)


@pytest.mark.parametrize("key", [ADMIN, ADMIN_2, f" {ADMIN}\n"])
def test_each_admin_key_opens_it(stranger, key):
    assert stranger.login(key).status_code == 303
    assert "There is no model yet" in stranger.get("/models")


@pytest.mark.parametrize(
    "key", ["", " ", "wrong", RECOMMEND, ADMIN.upper(), "schlüssel", "\0", "€"]
)
def test_row_47_other_keys_do_not(stranger, key):
    answer = stranger.login(key)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert "not an admin key" in answer.text
    assert stranger.client.get("/models").status_code == 303


@pytest.mark.parametrize(
    "settings", [{"API_KEYS": {"admin": ["schlüssel-€"], "recommend": []}}], indirect=True
)
def test_a_key_that_is_not_ascii(stranger):
    assert stranger.login("schlussel-€").status_code == 401
    assert stranger.login(" schlüssel-€ ").status_code == 303


def test_row_48_the_cookie_is_no_key_and_no_script_can_read_it(stranger):
    cookie = stranger.login().headers["Set-Cookie"]
    assert ADMIN not in cookie
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/models", "Max-Age=28800"):
        assert attribute in cookie
    assert "Secure" not in cookie
    secure = stranger.client.post("/models/login", data={"key": ADMIN}, base_url="https://x/")
    assert "Secure" in secure.headers["Set-Cookie"]


def test_the_key_is_nowhere_on_the_pages(browser, completed):
    model = completed(description="mine")
    for path in ("", "/train", f"/{model}", f"/{model}/recommend?itemId=A", f"/{model}/delete"):
        assert ADMIN not in browser.get(f"/models{path}")


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", ADMIN, "\N{SNOWMAN}", "." * 1000])
def test_a_made_up_cookie_opens_nothing(app, cookie):
    client = app.test_client()
    client.set_cookie(COOKIE, cookie, path="/models")
    assert client.get("/models").status_code == 303


def test_sessions_end_with_time_and_with_the_keys():
    keys = ApiKeys(["one", "two"], [])
    cookie = Sessions(keys).begin()
    assert Sessions(ApiKeys(["two", "one"], [])).is_open(cookie)
    assert not Sessions(keys, seconds=-1).is_open(cookie)
    assert not Sessions(ApiKeys(["one"], [])).is_open(cookie)
    # Not the last character: of its six bits two mean nothing.
    other = "a" if cookie[-9] != "a" else "b"
    assert not Sessions(keys).is_open(f"{cookie[:-9]}{other}{cookie[-8:]}")


def test_a_recommend_key_makes_no_session(stranger):
    answer = stranger.login(RECOMMEND)
    assert answer.status_code == 401 and "Set-Cookie" not in answer.headers


def test_logging_out(browser):
    answer = browser.post("/models/logout")
    assert (answer.status_code, answer.location) == (303, "/models/login")
    assert browser.client.get("/models").status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/models\\@evil.example",
        "/modelsx",
        "/models/\r\nX-Evil: 1",
        "javascript:alert(1)",
        "",
    ],
)
def test_the_login_form_sends_nobody_elsewhere(stranger, target):
    assert stranger.login(next=target).location == "/models"


def test_a_form_from_elsewhere_changes_nothing(browser, client, completed):
    model = completed()
    for fields in ({}, *({"form_token": token} for token in ("", "0" * 64, "é"))):
        for path in (f"/models/{model}/delete", f"/models/{model}/default", "/models/train"):
            answer = browser.client.post(path, data=fields)
            assert answer.status_code == 403
            assert "out of date" in answer.text
    assert len(client("GET", "/api/models").json) == 1


def test_the_token_of_another_session_is_no_token(app, browser):
    other = Browser(app)
    other.login()
    token = TOKEN.search(other.get("/models"))[1]
    answer = browser.client.post("/models/logout", data={"form_token": token})
    assert answer.status_code == 403


# What comes with every answer.


def test_row_50_a_strict_policy_and_nothing_from_elsewhere(browser, stranger, completed):
    model = completed(evaluationUsageRelativePath="t7/usage.csv")
    pages = ["/train", f"/{model}", f"/{model}/recommend?itemId=A", f"/{model}/delete", "/none"]
    pages += [f"/compare?a={model}&b={model}&itemId=A", "", "/login"]
    for path in pages:
        answer = browser.client.get(f"/models{path}")
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"(src|href|action)=\"(https?:)?//", answer.text)
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", answer.text)
    for name in ("page.css", "live.js"):
        with stranger.client.get(f"/models/static/{name}") as answer:
            assert answer.status_code == 200
            assert not re.search(r"https?://", answer.text)


def test_row_50_the_page_can_be_switched_off(settings, place):
    from seldon.models_api import mount
    from seldon.operation.log import RequestLog
    from seldon.web import create_web_app

    app = create_web_app("test", settings, RequestLog())
    mount(app, {**settings, "MODELS_PAGE": False})
    answers = [app.test_client().get(path).status_code for path in ("/models", "/models/login")]
    app.extensions["models_api"].registry.close()
    assert answers == [404, 404]


def test_row_53_hostile_names_and_ids_are_text(browser, client, completed):
    image, quotes = '<img src=x onerror="alert(1)">', "'\"><b>&amp;"
    quoted = '"' + image.replace('"', '""') + '"'
    rows = "".join(f"u{n},{item},2017-04-01\n" for n in range(4) for item in (quoted, quotes))
    client("PUT", "/api/inputs/shop/hostile/usage.csv", data=rows.encode())
    client("PUT", "/api/inputs/shop/hostile/<u>.csv", data=b"u1,A,never\n")
    model = completed(description=HOSTILE, usageRelativePath="hostile")
    pages = ["/models", f"/models/{model}", f"/models/{model}/delete"]
    pages = [browser.get(path) for path in (*pages, f"/models/train?again={model}")]
    assert "hostile/<u>.csv:1" in shown(pages[1])
    for path in (f"/models/{model}/recommend", "/models/compare"):
        for question in (
            {"itemId": image},
            {"events": f"{quotes}\n{HOSTILE}", "userId": HOSTILE},
            {"events": f"{HOSTILE},{HOSTILE}"},
            {"itemId": quotes, "recommendationCount": HOSTILE},
        ):
            query = {**question, "a": model, "b": model}
            pages.append(browser.client.get(path, query_string=query).text)
    assert f"1 {quotes} 1.000000" in shown(pages[4]) and f"1 {image} 1.000000" in shown(pages[5])
    for page in pages:
        assert not re.search(r"<script(?! src)|<img|<u>|<b>", page)


# What it shows.


def test_an_empty_registry_says_what_to_do(browser):
    said = shown(browser.get("/models"))
    assert "python -m seldon.models --url http://localhost upload usage.csv" in said


def test_a_model_from_waiting_to_trained(browser, client, train):
    model = client.create(description="first", supportThreshold=3).json["id"]
    client.create(description="second")
    listed = browser.get("/models")
    assert "data-live" in listed and "live.js" in listed and "<noscript><meta" in listed
    assert "Waiting for 1 other training" in shown(listed)
    waiting = browser.get(f"/models/{model}")
    assert "data-live" in waiting and "Waiting for a trainer" in shown(waiting)
    train()
    listed, page = browser.get("/models"), browser.get(f"/models/{model}")
    assert "data-live" not in listed + page and "live.js" not in listed + page
    assert "first default" in shown(listed)
    said = shown(page)
    assert "20 of 20 lines used" in said
    assert "Users 7" in said and "Items with usage 5" in said
    assert "supportThreshold 3" in said and "enableBackfilling yes" in said
    assert "Not evaluated" in said


def test_progress_while_training(browser, client, place):
    model = client.create().json["id"]
    (queued,) = place.queue.unfinished()
    run = place.queue.claim(queued, "here")
    place.queue.progress(run, "Core Training: 42 %")
    page = browser.get(f"/models/{model}")
    assert '<progress max="100" value="42"' in page
    assert "Training Core Training: 42 %" in shown(page)


def test_faults_of_files_by_name_and_line(browser, client, completed):
    rows = b"u1,A,2017-04-01\nu1,B,never\n\nu2,A,2017-04-01\nu@2,B,2017-04-01\nu2,C,soon\n"
    client("PUT", "/api/inputs/shop/bad/usage.csv", data=rows)
    said = shown(browser.get(f"/models/{completed(usageRelativePath='bad/usage.csv')}"))
    assert "2 of 5 lines used, 3 left out" in said
    assert "2 BadTimestampFormat : the third field is no date" in said
    assert "bad/usage.csv:2" in said and "bad/usage.csv:5" in said


def test_a_failed_model_says_why_and_offers_another_try(browser, client, completed):
    client("PUT", "/api/inputs/shop/none/usage.csv", data=b"nothing\n" * 200)
    page = browser.get(f"/models/{completed(usageRelativePath='none')}")
    said = shown(page)
    assert "Failed Failed to parse usage file(s)" in said
    assert "After 100 errors reading stopped" in said
    again = html.unescape(re.search(r'href="([^"]*again=[^"]*)"', page)[1])
    form = browser.get(again)
    assert 'value="none"' in form and 'name="supportThreshold" type="number" value="3"' in form
    assert "Try it" not in said and "Make it the default" not in said


def test_the_evaluation_is_drawn_and_written(browser, client, completed):
    model = completed(evaluationUsageRelativePath="t7/usage.csv", allowSeedItemsInRecommendations=1)
    metrics = client("GET", f"/api/models/{model}").json["statistics"]["evaluation"]["metrics"]
    page = browser.get(f"/models/{model}")
    assert page.count("<svg viewBox") == 2
    for one in metrics["precisionMetrics"]:
        assert f"{one['k']} {one['percentage']:.3f}" in shown(page)
    for bucket in metrics["diversityMetrics"]["percentileBuckets"]:
        assert f"{bucket['min']}–{bucket['max']} {bucket['percentage']:.3f}" in shown(page)


def test_trying_an_item_gives_what_the_api_gives_and_why(browser, client, completed):
    model = completed(enableUserAffinity=True)
    pairs = client.ranked(f"/api/models/{model}/recommend?itemId=A&recommendationCount=3")
    said = shown(browser.get(f"/models/{model}/recommend?itemId=A&recommendationCount=3"))
    for rank, (item, score) in enumerate(pairs, 1):
        assert f"{rank} {item} {score:.6f}" in said
        if score:
            assert f"A the request 1.0000 × {score:.6f} = {score:.6f} Score {score:.6f}" in said


def test_the_reasons_add_up(completed, app):
    from seldon.models_api.page.question import ask, question_of

    events = "A,Purchase,2017-03-01T00:00:00Z\nC, RemoveShopCart\n\nE,,2017-04-01\nnope"
    model = completed(
        enableUserAffinity=True, enableUserToItemRecommendations=True, enableBackfilling=False
    )
    recommender = app.extensions["models_api"].recommender(model)
    now = 1_491_100_000.0
    for form in (
        {"events": events},
        {"events": events, "userId": "u4"},
        {"userId": "u1"},
        {"itemId": "A"},
    ):
        question = question_of(form)
        answer = ask(recommender, question, now)
        assert answer.items
        for one in answer.items:
            assert one.score == pytest.approx(sum(r.score for r in one.reasons), rel=1e-12)
        assert answer.history == {"u4": 3, "u1": 3}.get(question.user, 0)
        assert answer.unknown == (("nope",) if question.events else ())
    (first, second, third, fourth) = question_of({"events": events}).events
    assert (first.item, first.event_type, first.time) == ("A", "Purchase", 1488326400.0)
    assert (second.item, second.event_type, second.time) == ("C", "RemoveShopCart", None)
    assert (third.event_type, third.time, fourth.item) == (None, 1491004800.0, "nope")


def test_what_looks_odd_is_explained(browser, completed):
    model = completed()
    for query, said in (
        ("itemId=nope", "Not in this model: nope"),
        ("itemId=nope", "filled in from the most popular items, with score 0"),
        ("events=A%0A&userId=u1", "without enableUserToItemRecommendations"),
        ("", "Ask for an item, or for a person"),
    ):
        assert said in shown(browser.get(f"/models/{model}/recommend?{query}"))


def test_what_the_model_does_not_know_of_users(browser, completed):
    model = completed(enableUserToItemRecommendations=True, enableBackfilling=False)
    said = shown(browser.get(f"/models/{model}/recommend?userId=nobody"))
    assert "This model knows no user nobody" in said
    assert "Nothing to recommend" in said
    assert "3 stored events of u1 were used" in shown(
        browser.get(f"/models/{model}/recommend?userId=u1&recommendationCount=1")
    )


def test_a_question_with_a_mistake(browser, completed):
    model = completed()
    for query, said in (
        ("itemId=A&recommendationCount=101", "recommendationCount must be between 1 and 100"),
        ("events=A%0AB,Clik", 'Line 2: Error converting value "Clik"'),
        ("events=%0AA,,then", 'Line 2: Error converting value "then"'),
    ):
        page = browser.get(f"/models/{model}/recommend?{query}", status=400)
        assert said in shown(page)
    for events in ("%00", "%22A", "%22%22%22,", "%0D,%0B%1C", "%FF%FE", "A" * 60_000):
        browser.get(f"/models/{model}/recommend?events={events}&userId={events}")


def test_comparing_two_models(browser, client, completed):
    a = completed(description="one", evaluationUsageRelativePath="t7/usage.csv")
    b = completed(description="two", similarityFunction="Lift", enableBackfilling=False)
    assert f'<option value="{b}" selected' in browser.get("/models")
    page = browser.get(f"/models/compare?a={a}&b={b}&itemId=A")
    said = shown(page)
    assert "similarityFunction Jaccard Lift" in said and "Users 7 7" in said
    assert "Only A was evaluated" in said
    ours, theirs = (client.ranked(f"/api/models/{m}/recommend?itemId=A") for m in (a, b))
    common = len({item for item, _ in ours} & {item for item, _ in theirs})
    assert f"{common} of {len(ours)} items of A are also in B" in said
    assert f"1 {ours[0][0]} {ours[0][1]:.6f}" in said
    assert f"{theirs[0][0]} {theirs[0][1]:.6f}" in said
    assert "differs" in page
    both = completed(evaluationUsageRelativePath="t7/usage.csv", supportThreshold=4)
    page = browser.get(f"/models/compare?a={a}&b={both}")
    assert page.count("<polyline") == 2 and "Neither" not in shown(page)


def test_comparing_what_is_not_trained(browser, client, completed):
    waiting, ready = client.create().json["id"], None
    said = shown(browser.get(f"/models/compare?a={waiting}&b={waiting}"))
    assert "Neither model is trained" in said
    ready = completed()
    client("DELETE", f"/api/models/{waiting}")
    browser.get(f"/models/compare?a={ready}&b={waiting}", status=404)
    browser.get(f"/models/compare?a={ready}&b=x", status=400)
    browser.get("/models/compare", status=400)


# What it changes.


def test_making_a_model_the_default(browser, client, completed):
    completed()
    model = completed()
    page = f"/models/{model}"
    assert browser.post(f"{page}/default", page).location == page
    assert client("GET", "/api/models/default").json["id"] == model
    assert "Make it the default" not in browser.get(page)
    waiting = client.create().json["id"]
    assert browser.post(f"/models/{waiting}/default").status_code == 404
    assert client("GET", "/api/models/default").json["id"] == model


def test_deleting_asks_first(browser, client, place, completed):
    model = completed()
    assert "calls without a model id will answer 404" in shown(
        browser.get(f"/models/{model}/delete")
    )
    assert client("GET", f"/api/models/{model}").status_code == 200
    answer = browser.post(f"/models/{model}/delete", f"/models/{model}/delete")
    assert (answer.status_code, answer.location) == (303, "/models")
    assert client("GET", f"/api/models/{model}").status_code == 404
    assert not place.store.folder(model).exists()
    browser.get(f"/models/{model}", status=404)
    assert browser.post(f"/models/{model}/delete").status_code == 404


def test_training_from_the_form(browser, client, train):
    answer = browser.post(
        "/models/train",
        description=" by form ",
        blobContainerName="shop",
        usageRelativePath="t7",
        supportThreshold="3",
        similarityFunction="Lift",
        cooccurrenceUnit="User",
        decayPeriodInDays="30",
        enableUserAffinity="true",
    )
    assert answer.status_code == 303
    train()
    model = client("GET", f"/api{answer.location}").json
    assert (model["description"], model["modelStatus"]) == ("by form", "Completed")
    parameters = model["parameters"]
    assert parameters["similarityFunction"] == "Lift"
    assert parameters["enableUserAffinity"] and not parameters["enableBackfilling"]
    assert "catalogFileRelativePath" not in parameters


def test_a_training_form_with_mistakes_comes_back_filled_in(browser, client):
    answer = browser.post(
        "/models/train",
        blobContainerName="shop",
        usageRelativePath="../t7",
        supportThreshold="two",
        decayPeriodInDays="0",
        description=HOSTILE,
    )
    assert answer.status_code == 400
    assert "Error converting value \"two\" to type 'Int32'" in shown(answer.text)
    assert "decayPeriodInDays must be between 1" in shown(answer.text)
    assert 'value="../t7"' in answer.text and HOSTILE not in answer.text
    assert 'name="enableBackfilling" value="true">' in answer.text
    answer = browser.post("/models/train", decayPeriodInDays="9" * 5000)
    assert answer.status_code == 400 and "to type 'Int32'" in shown(answer.text)
    answer = browser.post("/models/train", blobContainerName="nope", usageRelativePath="../t7")
    assert answer.status_code == 400 and "There is no such container" in shown(answer.text)
    assert client("GET", "/api/models").json == []


# What goes wrong.


def test_pages_that_are_not_there(browser):
    for path in ("/none", f"/{UNKNOWN}", f"/{UNKNOWN}/recommend?itemId=A", "/..%2f..%2fetc"):
        assert "<h1>That did not work</h1>" in browser.get(f"/models{path}", status=404)


def test_a_model_that_is_not_trained_cannot_be_tried(browser, client):
    model = client.create().json["id"]
    said = shown(browser.get(f"/models/{model}/recommend?itemId=A", status=400))
    assert "Model must be in the 'Completed' status" in said


def test_row_49_a_failure_shows_no_cause(browser, monkeypatch, place, completed):
    model = completed()
    (place.store.folder(model) / "items.npy").write_bytes(b"broken")
    said = browser.get(f"/models/{model}/recommend?itemId=A", status=500)
    assert "The log has the cause" in said and str(place.store.root) not in said

    def fails(self):
        raise RuntimeError("secret cause")

    monkeypatch.setattr("seldon.models_api.registry.ModelRegistry.summaries", fails)
    assert "secret cause" not in browser.get("/models", status=500)


def test_row_45_a_locked_registry_is_no_crash(browser, monkeypatch):
    from seldon.errors import RegistryUnavailable

    def locked(self):
        raise RegistryUnavailable("database is locked")

    monkeypatch.setattr("seldon.models_api.registry.ModelRegistry.summaries", locked)
    answer = browser.client.get("/models")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Try again in a moment" in answer.text
