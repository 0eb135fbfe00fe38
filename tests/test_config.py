"""Settings: three layers, every mistake named with its cure."""

import json
import subprocess
import sys

import pytest

import recommender_config
from seldon.config import settings
from seldon.errors import InvalidSetting
from seldon.settings import SECRET, SETTINGS
from tests.services.processes import ROOT


def read(module=None, environ=None, **overrides):
    return settings(module, environ or {}, **overrides)


def test_the_shipped_file_names_every_setting_with_its_default():
    shipped = {n: v for n, v in vars(recommender_config).items() if n.isupper()}
    assert shipped == {name: setting.default for name, setting in SETTINGS.items()}


def test_a_file_of_the_old_documentation_is_enough():
    values, origins = read(
        {
            "RECOMMENDER_ALG": "example_alg",
            "MEMCACHE": {"servers": ["192.168.59.103:11211"], "pool_size": 1},
        }
    )
    assert values["MEMCACHE"] == {"servers": ["192.168.59.103:11211"], "pool_size": 1}
    assert origins["MEMCACHE"] == "recommender_config.py"
    assert origins["MAX_CANDIDATES"] == "default"


def test_environment_wins_over_the_file_and_arguments_over_both():
    environ = {"SELDON_RECOMMENDER_ALG": "most_popular", "SELDON_MEMCACHE__servers": "a:1, b:2"}
    values, origins = read({"RECOMMENDER_ALG": "example_alg"}, environ, RANDOM_SEED=3)
    assert values["RECOMMENDER_ALG"] == "most_popular"
    assert values["MEMCACHE"] == {"servers": ["a:1", "b:2"], "pool_size": 4}
    assert values["RANDOM_SEED"] == 3
    assert origins["RECOMMENDER_ALG"] == "$SELDON_RECOMMENDER_ALG"
    assert origins["RANDOM_SEED"] == "argument"


def test_reading_changes_neither_the_module_nor_the_defaults():
    module = {"MEMCACHE": {"servers": ["a:1"], "pool_size": 1}}
    read(module, {"SELDON_MEMCACHE__pool_size": "9"})
    assert module["MEMCACHE"]["pool_size"] == 1
    assert SETTINGS["MEMCACHE"].default["pool_size"] == 4


@pytest.mark.parametrize(
    ("module", "environ", "message"),
    [
        (
            {"RECOMENDER_ALG": "x"},
            {},
            "no setting 'RECOMENDER_ALG'; did you mean 'RECOMMENDER_ALG'",
        ),
        ({}, {"SELDON_MEMCACHED": "x"}, r"\$SELDON_MEMCACHED: .* did you mean 'MEMCACHE'"),
        ({"MEMCACHE": {"server": ["a:1"]}}, {}, "no entry 'server'; did you mean 'servers'"),
        ({"MEMCACHE": {"servers": ["a:1", "a:1"]}}, {}, "MEMCACHE=.* is not"),
        ({"MEMCACHE": {"servers": ["a:123456"]}}, {}, "MEMCACHE=.* is not"),
        ({"MEMCACHE": {"servers": 11211}}, {}, "MEMCACHE=.* is not"),
        ({"RECOMMENDER_ALG": "../evil"}, {}, "RECOMMENDER_ALG='../evil' is not the name of a file"),
        ({"RECOMMENDER_ALG": []}, {}, "is not the name of a file"),
        ({"RECOMMENDER_ALGS": {"test1": "a.b"}}, {}, "RECOMMENDER_ALGS="),
        ({"MAX_CANDIDATES": True}, {}, "MAX_CANDIDATES=True is not an integer from 1"),
        ({"MAX_CANDIDATES": "many"}, {}, "MAX_CANDIDATES='many' is not an integer from 1"),
        ({}, {"SELDON_ALGORITHM_BUDGET_MS": "0"}, r"\$SELDON_ALGORITHM_BUDGET_MS: .*=0 is not"),
        ({"LOG_LEVEL": ["INFO"]}, {}, "LOG_LEVEL="),
        ({}, {"SELDON_RANDOM_SEED__a": "1"}, "RANDOM_SEED has no entries"),
    ],
)
def test_a_mistake_stops_the_start_and_says_how_to_mend_it(module, environ, message):
    with pytest.raises(InvalidSetting, match=message):
        read(module, environ)


def test_text_made_of_digits_stays_text():
    assert read(None, {"SELDON_INTERACTIONS": "2024"})[0]["INTERACTIONS"] == "2024"


def test_the_command_shows_values_and_origins():
    environ = {"SELDON_RANDOM_SEED": "7", "PATH": ""}
    command = [sys.executable, "-m", "seldon.config", "--json"]
    shown = json.loads(subprocess.check_output(command, cwd=ROOT, env=environ))
    assert shown["RANDOM_SEED"] == {"value": 7, "from": "$SELDON_RANDOM_SEED"}
    assert shown["RECOMMENDER_ALG"]["from"] == "recommender_config.py"
    bad = subprocess.run(command, cwd=ROOT, env={"SELDON_X": "1"}, capture_output=True, text=True)
    assert bad.returncode == 2
    assert "no setting 'X'" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_row_48_keys_are_never_shown():
    """Neither by the command nor in what it says of a wrong value."""
    assert SECRET
    environ = {"PATH": ""}
    for name in SECRET:
        environ[f"SELDON_{name}"] = json.dumps(["canary-key-0123456789abcdef"])
    for options in ([], ["--json"]):
        command = [sys.executable, "-m", "seldon.config", *options]
        shown = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        assert shown.returncode in (0, 2)
        assert "canary" not in shown.stdout + shown.stderr
        assert "(hidden)" in shown.stdout + shown.stderr
    for name in SECRET:
        with pytest.raises(InvalidSetting) as refused:
            read({name: ["canary", 5]})
        assert "canary" not in str(refused.value)
