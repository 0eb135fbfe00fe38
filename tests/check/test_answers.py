"""Each check finds its own fault and no other; good algorithms pass them all."""

import itertools
import textwrap

import pytest

from seldon.check import answers
from seldon.check.report import Failed, Skipped
from seldon.check.runner import CHECKS
from seldon.check.subject import Subject
from seldon.config import settings
from tests.check.zoo import BAD, GOOD, UNLOADABLE

NUMBER = itertools.count()
OF_ANSWERS = {name: check for name, check in CHECKS.items() if check.__module__ == answers.__name__}


@pytest.fixture
def subject(tmp_path):
    def subject(source):
        path = tmp_path / f"zoo_{next(NUMBER)}.py"
        path.write_text(textwrap.dedent(source))
        values, _ = settings(None, {}, RANDOM_SEED=0)
        return Subject(path, values)

    return subject


def failures(subject):
    """Failed checks and their reasons."""
    failed = {}
    for name, check in OF_ANSWERS.items():
        try:
            check(subject)
        except Failed as error:
            failed[name] = str(error)
        except Skipped:
            pass
    return failed


@pytest.mark.parametrize("name", GOOD)
def test_good_algorithms_pass(subject, name):
    assert failures(subject(GOOD[name])) == {}


@pytest.mark.parametrize("name", BAD)
def test_row_25_and_26_bad_algorithms_fail_for_their_own_reason(subject, name):
    checks, reason, source = BAD[name]
    failed = failures(subject(source))
    if checks is not None:  # None: nothing can be asked of it at all
        assert set(failed) == checks
    else:
        assert {"answers", "types", "limit", "order"} <= set(failed)
    assert any(reason in found for found in failed.values()), failed


@pytest.mark.parametrize("name", UNLOADABLE)
def test_row_29_what_cannot_be_loaded_says_why(subject, name):
    reason, source = UNLOADABLE[name]
    with pytest.raises(Failed) as caught:
        subject(source)
    assert reason in str(caught.value)


def test_the_reason_names_the_request(subject):
    failed = failures(subject(BAD["needs candidates"][2]))
    assert failed["unusual requests"].endswith("asked for no candidates (limit=10, 0 candidates)")
