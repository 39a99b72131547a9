"""The site's presence on the link: versions follow each other, and what is current is what central says it is."""

import pytest

from agent.sync import exchange as ex
from tests.sync.talk import START_MS, Talk, of, said
from wire.messages import HeartbeatAck, Hello
from wire.presence import PRESENCE, PresDelta, PresenceRef, Present, PresState

pytestmark = pytest.mark.unit

NEWEST = PresenceRef("e1", 7)


def delta(first: int = 0, to: int = 7, *, epoch: str = "e1", is_last: bool = True) -> PresDelta:
    put = [Present(member="m1", zone="gym")]
    return PresDelta(epoch=epoch, first=first, to=to, server_ms=1, put=put, is_last=is_last)


def beat(talk: Talk, pres_ver: int) -> list[ex.Effect]:
    """Central answers the first heartbeat, or the next one after 15 s."""
    if not talk.state.pulse.unanswered:
        talk.tick(15_000)
    return talk.receive(
        HeartbeatAck(echo_mono_ms=talk.state.pulse.unanswered[-1], server_ms=1, dir_ver=0, pres_ver=pres_ver)
    )


def test_a_device_says_that_it_takes_presence_and_which_it_has() -> None:
    talk = Talk(1).open()
    (hello,) = talk.said(Hello)
    assert (PRESENCE in hello.feat, hello.pres) == (True, None)
    talk.welcome(pres=NEWEST)
    talk.receive(delta())
    talk.feed(ex.Disconnected(talk.now_ms))
    talk.forget().open()
    assert talk.said(Hello)[0].pres == NEWEST


def test_what_it_has_is_current_if_central_says_so_in_the_welcome() -> None:
    talk = Talk(1).open().welcome(pres=NEWEST)
    assert talk.of(ex.PresenceTold) == [ex.PresenceTold(START_MS, is_current=False)]
    talk.receive(delta())
    talk.feed(ex.Disconnected(talk.now_ms))
    talk.forget().open().welcome(pres=NEWEST)
    assert talk.of(ex.PresenceTold) == [ex.PresenceTold(START_MS, is_current=True)]


def test_changes_are_taken_in_order_and_confirmed() -> None:
    talk = Talk(1).live(pres=NEWEST)
    first, second = delta(to=3, is_last=False), delta(3, 7)
    talk.receive(first)
    talk.receive(second)
    assert talk.of(ex.TakePresence) == [ex.TakePresence(first), ex.TakePresence(second)]
    assert talk.said(PresState) == [PresState(epoch="e1", ver=3), PresState(epoch="e1", ver=7)]


@pytest.mark.parametrize("gap", [delta(4, 9), delta(7, 9, epoch="e2"), delta(7, 6), delta(0, 9, epoch="")])
def test_a_gap_changes_nothing_and_central_hears_which_version_there_is(gap: PresDelta) -> None:
    talk = Talk(1).live(pres=NEWEST)
    talk.receive(delta())
    effects = talk.receive(gap)
    assert (of(effects, ex.TakePresence), said(effects, PresState)) == ([], [PresState(epoch="e1", ver=7)])


def test_everything_anew_replaces_what_there_was_whatever_its_epoch() -> None:
    talk = Talk(1).live(pres=NEWEST)
    talk.receive(delta())
    anew = delta(0, 2, epoch="e2")
    assert of(talk.receive(anew), ex.TakePresence) == [ex.TakePresence(anew)]


def test_a_heartbeat_shows_whether_there_is_a_newer_version() -> None:
    talk = Talk(1).live(pres=NEWEST)
    talk.receive(delta())
    assert of(beat(talk, 7), ex.PresenceTold) == [ex.PresenceTold(START_MS, is_current=True)]
    effects = beat(talk, 8)
    assert of(effects, ex.PresenceTold) == [ex.PresenceTold(START_MS + 15_000, is_current=False)]
    assert said(effects, PresState) == [PresState(epoch="e1", ver=7)]


def test_a_central_without_presence_is_never_taken_for_current() -> None:
    talk = Talk(1).live()
    assert of(beat(talk, 0), ex.PresenceTold) == []
