"""When to try again: the one retry policy of the link, for tenacity.

Full jitter, as in tenacity's `wait_random_exponential` but from a generator that is handed in, so that a run can be
repeated: a random pause between the least and an exponentially growing most. (`wait_exponential_jitter` has no jitter
once it reaches its cap, so a fleet would come back in step.)
"""

from random import Random
from typing import Final

from tenacity import RetryCallState
from tenacity.wait import wait_base, wait_exponential

from agent.sync.parting import Fate, Parting
from wire.limits import Reconnect

SLOW_MIN_S: Final = 60.0
SLOW_MAX_S: Final = 300.0
"""Pauses where central refuses: somebody has to do something first."""
MAX_STRIKES: Final = 3
"""Tokens that may be refused in a row before the pauses become long."""


class ReconnectWait(wait_base):
    """The pause after each attempt; `values` are central's latest wishes. The attempt's result is a `Parting`."""

    def __init__(self, random: Random, values: Reconnect) -> None:
        self.values = values
        self._random = random
        self._strikes = 0
        self._was_slow = False

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the pause in seconds; a stable connection starts the count of attempts anew."""
        assert retry_state.outcome is not None
        parting: Parting = retry_state.outcome.result()
        if parting.was_stable:
            retry_state.attempt_number = 1
            self._strikes = 0
        is_answerable, self._was_slow = self._was_slow and parting.nonce is not None, False
        match parting.fate:
            case Fate.REFUSED:
                return self._slow(parting)
            case Fate.TOKEN | Fate.SUPERSEDED:
                self._strikes += 1
                # A nonce is good for less than a long pause, so what follows one may be answered at once.
                if self._strikes > MAX_STRIKES and not is_answerable:
                    return self._slow(parting)
                if parting.fate is Fate.TOKEN:
                    return self._random.uniform(0.0, self.values.min_ms / 1000)
        return self._soon(parting, retry_state)

    def _slow(self, parting: Parting) -> float:
        self._was_slow = True
        return max(parting.retry_after_s, self._random.uniform(SLOW_MIN_S, SLOW_MAX_S))

    def _soon(self, parting: Parting, retry_state: RetryCallState) -> float:
        min_s = self.values.min_ms / 1000
        most = wait_exponential(multiplier=2 * min_s, max=self.values.cap_ms / 1000, min=min_s)(retry_state)
        pause_s = self._random.uniform(min_s, max(min_s, most))
        if parting.retry_after_s > 0:
            # A pause that was merely raised to Retry-After would bring half of a fleet back at one moment.
            pause_s += parting.retry_after_s - min_s
        return pause_s + self._random.uniform(0.0, max(parting.spread_s, self.values.spread_ms / 1000))
