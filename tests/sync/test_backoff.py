"""When to try again: jittered, bounded, slow where central refuses, and fresh after a stable minute."""

from collections.abc import Iterator
from itertools import repeat
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sync.backoff import SLOW_MAX_S, SLOW_MIN_S, ReconnectWait
from agent.sync.connect import reconnecting
from agent.sync.parting import Fate, Parting
from wire.limits import Reconnect

pytestmark = pytest.mark.unit

TEN_MINUTES_S = 600.0
DROPPED = Parting(Fate.TRANSIENT, "dropped")


class EnoughError(Exception):
    """Ends the loop that never ends."""


async def pauses(
    partings: Iterator[Parting], *, seed: int = 1, within_s: float = TEN_MINUTES_S, values: Reconnect | None = None
) -> list[float]:
    """Run the reconnecting loop on simulated time; return the pauses it made within `within_s`."""
    made: list[float] = []

    async def attempt() -> Parting:
        return next(partings)

    async def sleep(pause_s: float) -> None:
        made.append(pause_s)
        if sum(made) > within_s or len(made) > 20_000:
            raise EnoughError

    with pytest.raises(EnoughError):
        await reconnecting(attempt, ReconnectWait(Random(seed), values or Reconnect()), sleep=sleep)
    return made


async def test_pauses_grow_to_the_cap_and_keep_their_jitter_there() -> None:
    made = await pauses(repeat(DROPPED))
    assert 0.25 <= made[0] <= 0.5
    assert all(0.25 <= pause <= 4.0 for pause in made)
    assert max(made[10:]) > 3.5
    assert min(made[10:]) < 1.0


@given(fates=st.lists(st.sampled_from(list(Fate)), min_size=1, max_size=6), seed=st.integers(0, 1 << 30))
async def test_attempts_in_ten_minutes_are_bounded_whatever_the_server_answers(fates: list[Fate], seed: int) -> None:
    def partings() -> Iterator[Parting]:
        while True:
            yield from (Parting(fate, "x") for fate in fates)

    assert len(await pauses(partings(), seed=seed)) < 450


@pytest.mark.parametrize("fate", [Fate.TOKEN, Fate.SUPERSEDED])
async def test_refused_token_is_tried_thrice_and_then_slowly(fate: Fate) -> None:
    made = await pauses(repeat(Parting(fate, "x")))
    assert all(pause <= 2.0 for pause in made[:3])
    assert all(SLOW_MIN_S <= pause <= SLOW_MAX_S for pause in made[3:])


async def test_new_token_goes_out_almost_at_once() -> None:
    made = await pauses(repeat(Parting(Fate.TOKEN, "x", nonce="abcdefgh")))
    assert all(pause <= 0.25 for pause in made[:3])


async def test_nonce_that_comes_after_a_long_pause_is_answered_while_it_is_good() -> None:
    made = await pauses(repeat(Parting(Fate.TOKEN, "x", nonce="abcdefgh")), within_s=3600.0)
    assert all(pause >= SLOW_MIN_S for pause in made[3::2])
    assert all(pause <= 0.25 for pause in made[4::2])


async def test_refused_device_asks_every_few_minutes() -> None:
    made = await pauses(repeat(Parting(Fate.REFUSED, "revoked")))
    assert all(SLOW_MIN_S <= pause <= SLOW_MAX_S for pause in made)


async def test_stable_connection_forgets_the_failures_before_it() -> None:
    partings = iter([*[DROPPED] * 10, Parting(Fate.TRANSIENT, "ended", lasted_s=60.0), *[DROPPED] * 2000])
    made = await pauses(partings)
    assert 0.25 <= made[10] <= 0.5


async def test_connection_that_ends_early_forgets_nothing() -> None:
    made = await pauses(repeat(Parting(Fate.TRANSIENT, "accepted, then closed", lasted_s=59.0)))
    assert len(made) < 450


async def test_stable_connection_forgives_refused_tokens() -> None:
    refused = Parting(Fate.TOKEN, "x")
    partings = iter([refused] * 3 + [Parting(Fate.TOKEN, "lease", lasted_s=3600.0)] + [refused] * 50)
    made = await pauses(partings)
    assert all(pause <= 0.25 for pause in made[:6])
    assert made[6] >= SLOW_MIN_S


async def test_retry_after_is_honoured() -> None:
    made = await pauses(repeat(Parting(Fate.TRANSIENT, "busy", retry_after_s=30.0)))
    assert all(30.0 <= pause <= 34.0 for pause in made)


async def test_retry_after_keeps_its_jitter() -> None:
    made = await pauses(repeat(Parting(Fate.TRANSIENT, "busy", retry_after_s=2.0)))
    assert len(set(made)) == len(made)


async def test_spread_of_a_bye_or_a_welcome_is_added() -> None:
    told = await pauses(repeat(Parting(Fate.TRANSIENT, "restart", spread_s=20.0)))
    kept = await pauses(repeat(DROPPED), values=Reconnect(spread_ms=20_000))
    for made in (told, kept):
        assert max(made) > 15.0
        assert max(made) <= 24.0


async def test_same_seed_gives_the_same_pauses() -> None:
    assert await pauses(repeat(DROPPED), seed=7) == await pauses(repeat(DROPPED), seed=7)


async def test_bug_in_an_attempt_ends_the_loop() -> None:
    async def attempt() -> Parting:
        raise ZeroDivisionError

    async def sleep(_pause_s: float) -> None:
        raise AssertionError

    with pytest.raises(ZeroDivisionError):
        await reconnecting(attempt, ReconnectWait(Random(1), Reconnect()), sleep=sleep)
