"""Under 30 ms is noise, over 400 ms is always seen: by examples and by whatever hypothesis comes up with."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.inputs.debounce import MAX_WINDOW_MS, MIN_WINDOW_MS, Believed, Debounce

pytestmark = pytest.mark.unit

windows = st.integers(MIN_WINDOW_MS, MAX_WINDOW_MS)
noise = st.integers(1, 29)


class Contact:
    """A contact that a test moves; time passes by what it does. Nobody looks in between, as when the loop is late."""

    def __init__(self, *, window_ms: int, is_active: bool = False) -> None:
        self.now_ms = 1_000
        self.level = is_active
        self.debounce = Debounce(window_ms=window_ms, is_active=is_active, at_mono_ms=self.now_ms)
        self.seen: list[Believed] = []

    def stay(self, for_ms: int) -> None:
        self.now_ms += for_ms
        self._note(self.debounce.look(self.now_ms))

    def move(self) -> None:
        self.level = not self.level
        self._note(self.debounce.edge(self.level, self.now_ms))

    def glitch(self, for_ms: int) -> None:
        self.move()
        self.now_ms += for_ms
        self.move()

    def _note(self, change: Believed | None) -> None:
        if change is not None:
            self.seen.append(change)


@given(windows, st.booleans(), st.lists(st.tuples(noise, st.integers(0, 500)), max_size=60))
def test_noise_followed_by_as_much_rest_changes_nothing(
    window_ms: int, is_active: bool, disturbances: Iterable[tuple[int, int]]
) -> None:
    contact = Contact(window_ms=window_ms, is_active=is_active)
    for noise_ms, rest_ms in disturbances:
        contact.glitch(noise_ms)
        contact.stay(noise_ms + rest_ms)
    assert contact.seen == []
    assert contact.debounce.is_active is is_active


torn_phase = st.lists(st.tuples(st.integers(60, 400), noise), min_size=1, max_size=10)


def _last(contact: Contact, phase: Iterable[tuple[int, int]]) -> int:
    """Hold the level for at least 401 ms, torn now and then; return for how long it was held."""
    held_ms = 0
    for whole_ms, torn_ms in phase:
        contact.stay(whole_ms)
        contact.glitch(torn_ms)
        held_ms += whole_ms + torn_ms
    rest_ms = max(60, 401 - held_ms)
    contact.stay(rest_ms)
    return held_ms + rest_ms


@given(windows, st.booleans(), st.lists(torn_phase, min_size=1, max_size=8))
def test_what_lasts_over_400_ms_is_always_seen(
    window_ms: int, is_active: bool, phases: list[list[tuple[int, int]]]
) -> None:
    contact = Contact(window_ms=window_ms, is_active=is_active)
    began_ms, ended_ms = [], []
    for phase in phases:
        contact.move()
        began_ms.append(contact.now_ms)
        _last(contact, phase)
        ended_ms.append(contact.now_ms)
        assert contact.debounce.is_active is contact.level
    contact.stay(400)
    assert [change.is_active for change in contact.seen] == [is_active ^ (at % 2 == 0) for at in range(len(phases))]
    assert all(
        began <= change.since_mono_ms < ended
        for began, change, ended in zip(began_ms, contact.seen, ended_ms, strict=True)
    )


@given(windows, st.lists(st.tuples(st.booleans(), st.integers(-50, 500)), max_size=80))
def test_changes_alternate_and_their_moments_never_go_back(window_ms: int, edges: list[tuple[bool, int]]) -> None:
    contact = Contact(window_ms=window_ms)
    for level, after_ms in edges:
        contact.level = not level
        contact.now_ms += after_ms
        contact.move()
    contact.stay(1_000)
    assert [change.is_active for change in contact.seen] == [at % 2 == 0 for at in range(len(contact.seen))]
    moments = [change.since_mono_ms for change in contact.seen]
    assert moments == sorted(moments)


def test_change_says_when_it_began() -> None:
    contact = Contact(window_ms=50)
    contact.stay(500)
    contact.move()
    assert contact.debounce.due_mono_ms == 1_550
    contact.stay(49)
    assert contact.seen == []
    contact.stay(1)
    assert contact.seen == [Believed(is_active=True, since_mono_ms=1_500)]
    assert contact.debounce.due_mono_ms is None


def test_burst_that_is_never_still_is_weighed() -> None:
    """A level that holds three quarters of the time is believed, though no stretch of it is as long as the window."""
    contact = Contact(window_ms=100)
    contact.move()
    for _ in range(10):
        contact.stay(30)
        contact.glitch(10)
    assert contact.debounce.is_active


def test_mains_hum_is_not_believed() -> None:
    contact = Contact(window_ms=30)
    for _ in range(200):
        contact.glitch(10)
        contact.stay(10)
    assert contact.seen == []


def test_late_edge_counts_as_now() -> None:
    contact = Contact(window_ms=50)
    contact.stay(300)
    contact.now_ms -= 200
    contact.move()
    assert contact.debounce.due_mono_ms == 1_350


def test_blip_whose_end_is_told_late_is_not_believed_by_a_look_in_between() -> None:
    contact = Contact(window_ms=50)
    contact.stay(500)
    contact.move()
    assert contact.debounce.found(level=False, at_mono_ms=1_551) is None
    assert contact.debounce.edge(level=False, at_mono_ms=1_510) is None
    assert contact.debounce.found(level=False, at_mono_ms=1_800) is None
    assert not contact.debounce.is_active


def test_level_that_no_edge_told_of_counts_from_the_look_that_found_it() -> None:
    contact = Contact(window_ms=50)
    contact.stay(500)
    assert contact.debounce.found(level=True, at_mono_ms=1_700) is None
    assert contact.debounce.due_mono_ms == 1_750
    assert contact.debounce.found(level=True, at_mono_ms=1_750) == Believed(is_active=True, since_mono_ms=1_700)
