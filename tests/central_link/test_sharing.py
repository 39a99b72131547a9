"""Central brings a device the presence of its site: one message at a time, and only to those who take it."""

from collections.abc import Iterable

import pytest

from central.sync.exchange import Effects, HeartbeatKept, LoadPresence, PresenceChanged, PresenceLoaded, WakeAt
from central.sync.sharing import STALL_MS
from tests.central_link.talk import REF, Talk, at, live, sent
from wire.messages import Error, HeartbeatAck
from wire.presence import PRESENCE, PresDelta, PresenceRef, PresState

pytestmark = pytest.mark.unit

HELD = PresenceRef("e1", 3)


def delta(first: int = 3, to: int = 5, *, is_last: bool = True) -> PresDelta:
    return PresDelta(epoch="e1", first=first, to=to, server_ms=1, is_last=is_last)


def taking() -> Talk:
    """A conversation with a device that has version 3 and has just been welcomed."""
    talk = live(feat=[PRESENCE], pres=HELD)
    talk.give(PresenceLoaded(at(20), None))
    return talk


def acts(effects: Iterable[object]) -> list[object]:
    """Return the effects but the timer's."""
    return [effect for effect in effects if not isinstance(effect, WakeAt)]


def beat(talk: Talk, newest: PresenceRef | None, shown: int, mono_ms: int = 1_000) -> Effects:
    return talk.give(HeartbeatKept(at(mono_ms), 77, 1, REF, (), newest, shown))


def test_a_device_that_takes_no_presence_is_told_none() -> None:
    talk = live()
    assert talk.give(PresenceChanged(at(20))) == ()


def test_a_hint_before_the_welcome_is_nothing() -> None:
    assert acts(Talk().give(PresenceChanged(at(20)))) == []


def test_what_is_new_is_fetched_and_sent_one_message_at_a_time() -> None:
    talk = taking()
    assert talk.give(PresenceChanged(at(30))) == (LoadPresence(HELD),)
    assert talk.give(PresenceChanged(at(31))) == ()
    first = delta(is_last=False)
    assert sent(talk.give(PresenceLoaded(at(40), first))) == [first]
    assert talk.give(PresenceChanged(at(41))) == ()
    assert acts(talk.say(PresState(epoch="e1", ver=5))) == [LoadPresence(PresenceRef("e1", 5))]
    talk.give(PresenceLoaded(at(50), delta(5, 9)))
    assert talk.say(PresState(epoch="e1", ver=9)) == ()


def test_a_hint_while_nothing_was_new_is_looked_at_again() -> None:
    talk = live(feat=[PRESENCE], pres=HELD)
    talk.give(PresenceChanged(at(15)))
    assert talk.give(PresenceLoaded(at(20), None)) == (LoadPresence(HELD),)


def test_a_device_that_has_something_else_gets_what_it_misses() -> None:
    talk = taking()
    assert acts(talk.say(PresState(epoch="", ver=0))) == [LoadPresence(None)]


def test_a_heartbeat_shows_who_is_behind() -> None:
    talk = taking()
    assert sent(beat(talk, HELD, 3))[0] == HeartbeatAck(
        echo_mono_ms=77, server_ms=at(1_000).wall_ms, dir_ver=1, pres_ver=3
    )
    assert LoadPresence(HELD) not in beat(talk, None, 0)
    assert LoadPresence(HELD) in beat(talk, PresenceRef("e1", 4), 3)


def test_a_message_that_is_not_answered_is_sent_again() -> None:
    talk = taking()
    talk.give(PresenceChanged(at(30)), PresenceLoaded(at(40), delta()))
    assert LoadPresence(HELD) not in beat(talk, PresenceRef("e1", 5), 3, 39 + STALL_MS)
    assert LoadPresence(HELD) in beat(talk, PresenceRef("e1", 5), 3, 40 + STALL_MS)


def test_an_epoch_that_is_none_is_refused() -> None:
    (complaint,) = sent(taking().say(PresState(epoch="e 1", ver=1)))
    assert isinstance(complaint, Error)
