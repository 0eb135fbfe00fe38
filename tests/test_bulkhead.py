"""Somebody else's code is called for a bounded time and a bounded number at a time."""

import os
import sys
import threading
import time

import pytest

from seldon.bulkhead import Bulkhead, InPlace, NoSlot, TookTooLong

SOON = 10  # seconds; long enough for any machine


def wait_until(condition):
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_returns_what_the_function_returns():
    bulkhead = Bulkhead(1)
    assert [bulkhead.call(pow, 2, n, seconds=SOON) for n in range(5)] == [1, 2, 4, 8, 16]
    assert bulkhead.stuck == 0


def test_raises_what_the_function_raises():
    bulkhead = Bulkhead(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            bulkhead.call(divmod, 1, 0, seconds=SOON)
    assert bulkhead.stuck == 0


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_row_28_what_would_end_a_process_is_an_error_like_any_other(leaving):
    def leave():
        raise leaving("bye")

    bulkhead = Bulkhead(1)
    with pytest.raises(RuntimeError, match=leaving.__name__):
        bulkhead.call(leave, seconds=SOON)
    with pytest.raises(RuntimeError, match="SystemExit"):
        bulkhead.call(sys.exit, seconds=SOON)
    assert bulkhead.call(int, seconds=SOON) == 0


def test_row_27_a_late_call_holds_its_slot_until_it_returns():
    bulkhead, released = Bulkhead(2), threading.Event()
    with pytest.raises(TookTooLong):
        bulkhead.call(released.wait, SOON, seconds=0.02)
    assert bulkhead.stuck == 1
    assert bulkhead.call(int, seconds=SOON) == 0  # the other slot serves
    with pytest.raises(TookTooLong):
        bulkhead.call(released.wait, SOON, seconds=0.02)
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(NoSlot):
            bulkhead.call(int, seconds=SOON)
    assert time.monotonic() - started < SOON / 2  # refused at once, not after waiting
    released.set()
    wait_until(lambda: bulkhead.stuck == 0)
    assert [bulkhead.call(int, seconds=SOON) for _ in range(4)] == [0] * 4


def test_row_27_a_late_answer_is_never_the_next_calls_answer():
    bulkhead, released = Bulkhead(1), threading.Event()

    def late():
        released.wait(SOON)
        return "late"

    for _ in range(5):
        released.clear()
        with pytest.raises(TookTooLong):
            bulkhead.call(late, seconds=0.01)
        released.set()
        wait_until(lambda: bulkhead.stuck == 0)
        assert bulkhead.call(str, "mine", seconds=SOON) == "mine"


def test_row_27_no_time_left_is_late():
    released = threading.Event()
    with pytest.raises(TookTooLong):
        Bulkhead(1).call(released.wait, SOON, seconds=-1)
    released.set()


def test_callers_in_many_threads_get_their_own_answers():
    bulkhead = Bulkhead(4)
    wrong, refused = [], []

    def caller(number):
        for call in range(200):
            try:
                if bulkhead.call(lambda *given: given, number, call, seconds=SOON) != (
                    number,
                    call,
                ):
                    wrong.append((number, call))
            except NoSlot:
                refused.append(number)

    callers = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert wrong == refused == []
    assert bulkhead.stuck == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from 3.12 on
def test_a_child_starts_with_slots_of_its_own():
    bulkhead = Bulkhead(1)
    assert bulkhead.call(int, seconds=SOON) == 0
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if bulkhead.call(str, 5, seconds=SOON) == "5" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_quick_algorithm_is_called_in_place_and_cannot_end_the_worker():
    """Row 28 for algorithms that say QUICK."""
    assert InPlace().call(threading.get_ident, seconds=1) == threading.get_ident()
    with pytest.raises(RuntimeError, match=r"sys\.exit\(3\)"):
        InPlace().call(sys.exit, 3, seconds=1)
