import logging
import threading

import pytest

from hardware.errors import PulseRefusedError
from hardware.outputs.guard import GuardThread

pytestmark = pytest.mark.unit

WITHIN_S = 5.0


def test_a_countdown_that_is_over_fires_from_the_guards_thread() -> None:
    by: list[str] = []
    fired = threading.Event()

    def fire() -> None:
        by.append(threading.current_thread().name)
        fired.set()

    GuardThread()(0.0, fire)
    assert fired.wait(WITHIN_S)
    assert by == ["pulse-guard"]


def test_a_cancelled_countdown_does_not_fire() -> None:
    guard, fired, later = GuardThread(), threading.Event(), threading.Event()
    guard(0.01, fired.set).cancel()
    guard(0.02, later.set)
    assert later.wait(WITHIN_S)
    assert not fired.is_set()


def test_a_shorter_countdown_overtakes_a_longer_one() -> None:
    guard, long, short = GuardThread(), threading.Event(), threading.Event()
    guard(60.0, long.set)
    guard(0.0, short.set)
    assert short.wait(WITHIN_S)
    assert not long.is_set()


def test_what_fires_may_start_another_countdown() -> None:
    guard, second = GuardThread(), threading.Event()

    def fire() -> None:
        guard(0.0, second.set)

    guard(0.0, fire)
    assert second.wait(WITHIN_S)


def test_a_countdown_that_fails_is_logged_and_the_next_still_fires(caplog: pytest.LogCaptureFixture) -> None:
    guard, fired = GuardThread(), threading.Event()

    def fail() -> None:
        raise ValueError("no such line")

    with caplog.at_level(logging.ERROR):
        guard(0.0, fail)
        guard(0.0, fired.set)
        assert fired.wait(WITHIN_S)
    assert "a pulse's guard failed" in caplog.text


def test_all_countdowns_share_one_thread() -> None:
    guard, last = GuardThread(), threading.Event()
    before = threading.active_count()
    for _ in range(20):
        guard(60.0, last.set).cancel()
    guard(0.0, last.set)
    assert last.wait(WITHIN_S)
    assert threading.active_count() - before == 1, "the guard has one thread, however many it counts"


def test_without_a_thread_no_countdown_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(PulseRefusedError, match="no thread to guard"):
        GuardThread()(1.0, lambda: None)
