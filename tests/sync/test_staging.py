"""Snapshots and changes of the directory: signed, in order or not at all, and never back in time."""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from agent.sync import exchange as ex
from agent.sync.budget import HOUR_MS, LEAST_MS, PER_HOUR, Budget
from agent.sync.staging import AHEAD_MS, FROZEN_MS
from tests.fakes.issuing import ISSUED_MS, PUBLIC, begin_of, delta_of, issued
from tests.fakes.model_central import SERVER_MS
from tests.sync.talk import START_MS, Talk, of, said
from wire.messages import HeartbeatAck
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd, DirGot, DirResync, DirState
from wire.vocabulary import DirectoryMode, DirectoryRefusal

pytestmark = pytest.mark.unit

REF = DirectoryRef("epoch", 3, "aa")


def _begin(ver: int = 3, chunks: int = 2, snap: str = "s1", epoch: str = "epoch", **fields: Any) -> DirBegin:
    return begin_of(snap=snap, epoch=epoch, ver=ver, chunks=chunks, digest="aa", **fields)


def _delta(first: int = 3, to: int = 4, **fields: Any) -> DirDelta:
    return delta_of((), (), first=first, to=to, digest="bb", **fields)


def _chunk(i: int, snap: str = "s1") -> DirChunk:
    return DirChunk(snap=snap, i=i)


def _refusals(effects: Sequence[ex.Effect]) -> list[DirectoryRefusal]:
    """Return what central was told that the device did not take; each is reported as well."""
    told = [state.refused.code for state in said(effects, DirState) if state.refused is not None]
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.DIRECTORY_REFUSED] * len(told)
    return told


def _talk() -> Talk:
    return Talk(0).open().welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT).forget()


def test_snapshot_is_staged_chunk_by_chunk_with_credit() -> None:
    talk = _talk()
    assert of(talk.receive(_begin()), ex.StageBegin) == [ex.StageBegin(_begin(), issued(_begin()))]
    assert of(talk.receive(_chunk(0)), ex.StageChunk) == [ex.StageChunk(_chunk(0))]
    assert said(talk.feed(ex.ChunkStaged(talk.now_ms, "s1", 0)), DirGot) == [DirGot(snap="s1", i=0)]
    talk.receive(_chunk(1))
    assert of(talk.receive(DirEnd(snap="s1")), ex.StageEnd) == [ex.StageEnd(DirEnd(snap="s1"))]
    effects = talk.feed(ex.DirectoryStaged(talk.now_ms, REF))
    assert said(effects, DirState) == [DirState(epoch="epoch", ver=3, digest="aa")]
    assert talk.state.staging.current == REF


def test_older_version_of_the_same_epoch_is_refused() -> None:
    talk = Talk(0).open(DirectoryRef("epoch", 7, "bb")).welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT).forget()
    effects = talk.receive(_begin(ver=3))
    assert _refusals(effects) == [DirectoryRefusal.OLDER]
    assert of(effects, ex.StageBegin) == []
    assert said(effects, DirState)[0].ver == 7


def test_older_version_of_a_new_epoch_is_taken() -> None:
    talk = Talk(0).open(DirectoryRef("old", 7, "bb")).welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT)
    assert len(of(talk.receive(_begin(ver=1)), ex.StageBegin)) == 1


@pytest.mark.parametrize("i", [1, 2, -1])
def test_chunk_out_of_order_costs_the_snapshot(i: int) -> None:
    talk = _talk()
    talk.receive(_begin())
    effects = talk.receive(_chunk(i))
    assert of(effects, ex.StageChunk) == []
    assert talk.state.staging.snapshot is None


def test_chunk_beyond_the_announced_number_costs_the_snapshot() -> None:
    talk = _talk()
    talk.receive(_begin(chunks=1))
    talk.receive(_chunk(0))
    talk.receive(_chunk(1))
    assert talk.state.staging.snapshot is None


def test_chunks_and_ends_of_another_snapshot_are_ignored() -> None:
    talk = _talk()
    talk.receive(_begin())
    assert talk.receive(_chunk(0, snap="other")) == []
    assert talk.receive(DirEnd(snap="other")) == []
    assert talk.feed(ex.ChunkStaged(talk.now_ms, "other", 0)) == []


def test_end_before_the_last_chunk_costs_the_snapshot() -> None:
    talk = _talk()
    talk.receive(_begin())
    talk.receive(_chunk(0))
    assert of(talk.receive(DirEnd(snap="s1")), ex.StageEnd) == []
    assert talk.state.staging.snapshot is None


def test_second_end_is_ignored() -> None:
    talk = _talk()
    talk.receive(_begin(chunks=0))
    talk.receive(DirEnd(snap="s1"))
    assert talk.receive(DirEnd(snap="s1")) == []


def test_snapshot_that_the_store_refuses_is_asked_for_again_later() -> None:
    talk = _talk()
    talk.receive(_begin(chunks=0))
    effects = talk.feed(ex.DirectoryFailed(talk.now_ms, "the digest is wrong", DirectoryRefusal.DIGEST))
    assert len(said(effects, DirResync)) == 1
    assert _refusals(effects) == [DirectoryRefusal.DIGEST]
    talk.receive(_begin(chunks=0, snap="s2"))
    assert said(talk.feed(ex.DirectoryFailed(talk.now_ms, "again")), DirResync) == []
    talk.now_ms += 30_000
    talk.receive(_begin(chunks=0, snap="s3"))
    assert len(said(talk.feed(ex.DirectoryFailed(talk.now_ms, "again")), DirResync)) == 1


def test_snapshot_that_stalls_is_given_up() -> None:
    talk = Talk(0).live(ack_timeout_s=300.0, hb_s=300.0)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=0))
    talk.receive(_begin())
    assert of(talk.tick(59_999), ex.Report) == []
    assert [report.trouble for report in of(talk.tick(1), ex.Report)] == [ex.Trouble.DIRECTORY_REFUSED]


def test_newer_snapshot_replaces_one_under_way() -> None:
    talk = _talk()
    talk.receive(_begin())
    talk.receive(_chunk(0))
    talk.receive(_begin(ver=4, snap="s2"))
    assert of(talk.receive(_chunk(0, snap="s2")), ex.StageChunk) == [ex.StageChunk(_chunk(0, snap="s2"))]


def test_snapshot_under_way_is_not_asked_for_again_by_heartbeats() -> None:
    talk = Talk(0).live()
    talk.receive(_begin())
    talk.now_ms += 10
    effects = talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=3))
    assert said(effects, DirResync) == []


# Signature, issue time, features

STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)


@pytest.mark.parametrize(
    "fields", [{"key": STRANGER}, {"device": "another"}], ids=["another central's key", "another device's directory"]
)
def test_what_central_did_not_sign_for_this_device_never_reaches_the_store(fields: dict[str, Any]) -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    assert _refusals(talk.receive(_begin(ver=4, **fields))) == [DirectoryRefusal.UNSIGNED]
    assert _refusals(talk.receive(_delta(**fields))) == [DirectoryRefusal.UNSIGNED]
    assert talk.of(ex.StageBegin) == []
    assert talk.of(ex.ApplyDelta) == []


@pytest.mark.parametrize("sig", ["", "x" * 86, "é" * 86, "A" * 86, "A" * 200])
def test_text_that_is_no_signature_is_refused(sig: str) -> None:
    effects = _talk().receive(replace(_begin(), sig=sig))
    assert _refusals(effects) == [DirectoryRefusal.UNSIGNED]


@pytest.mark.parametrize(
    "change", [{"ver": 4}, {"epoch": "other"}, {"digest": "bb"}, {"issued_ms": 1}, {"feat": ["rules"]}]
)
def test_changed_field_breaks_the_signature(change: dict[str, Any]) -> None:
    assert _refusals(_talk().receive(replace(_begin(), **change))) == [DirectoryRefusal.UNSIGNED]


def test_device_that_joined_before_there_was_a_key_pins_the_first_that_it_is_told() -> None:
    talk = Talk(0).open(key=None).welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT, dir_key=PUBLIC.hex())
    assert talk.of(ex.KeepDirectoryKey) == [ex.KeepDirectoryKey(PUBLIC)]
    assert len(of(talk.receive(_begin()), ex.StageBegin)) == 1


def test_another_key_than_the_pinned_one_is_reported_and_not_believed() -> None:
    talk = Talk(0).open().welcome(dir_key="11" * 32)
    assert talk.of(ex.KeepDirectoryKey) == []
    assert ex.Trouble.DIRECTORY_KEY in talk.troubles
    assert len(of(talk.receive(_begin()), ex.StageBegin)) == 1


@pytest.mark.parametrize("told", ["", "zz", "11"])
def test_without_a_key_nothing_is_taken(told: str) -> None:
    talk = Talk(0).open(key=None).welcome(dir_key=told).forget()
    assert _refusals(talk.receive(_begin())) == [DirectoryRefusal.UNSIGNED]


def test_issue_from_before_the_one_in_force_is_refused() -> None:
    talk = Talk(0).open(REF, issued_ms=ISSUED_MS).welcome(dir=REF).forget()
    assert _refusals(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS - 1))) == [DirectoryRefusal.OLDER]
    assert len(of(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS)), ex.ApplyDelta)) == 1


def test_later_version_is_taken_though_it_was_issued_earlier() -> None:
    talk = Talk(0).open(REF, issued_ms=ISSUED_MS).welcome(dir=REF).forget()
    assert len(of(talk.receive(_delta(3, 4, issued_ms=ISSUED_MS - 1)), ex.ApplyDelta)) == 1


def test_refused_issue_says_that_a_clock_went_back() -> None:
    talk = Talk(0).open(REF, issued_ms=ISSUED_MS).welcome(dir=REF).forget()
    (report,) = of(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS - 90_000)), ex.Report)
    assert "issued 90 s before what is in use: central's clock went back, or this is a copy" in report.detail


def test_issue_of_a_clock_that_was_ahead_keeps_no_confirmation_out() -> None:
    ahead_ms = SERVER_MS + AHEAD_MS + 1
    talk = Talk(0).open(REF, issued_ms=ahead_ms).welcome(dir=REF).forget()
    assert len(of(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS)), ex.ApplyDelta)) == 1


def test_clock_of_central_that_is_set_right_within_a_connection_is_heard_of_with_the_next_heartbeat() -> None:
    ahead_ms = SERVER_MS + AHEAD_MS + 1
    talk = Talk(0).open(REF, issued_ms=ahead_ms).welcome(dir=REF, server_ms=ahead_ms).forget()
    assert _refusals(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS))) == [DirectoryRefusal.OLDER]
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=3))
    assert len(of(talk.receive(_delta(3, 3, issued_ms=ISSUED_MS)), ex.ApplyDelta)) == 1


def test_directory_that_demands_what_this_agent_does_not_know_is_refused() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    effects = talk.receive(_begin(ver=4, feat=["rules", "teleport"]))
    assert _refusals(effects) == [DirectoryRefusal.NOT_UNDERSTOOD]
    assert "teleport" in of(effects, ex.Report)[0].detail
    assert _refusals(talk.receive(_delta(feat=["teleport"]))) == [DirectoryRefusal.NOT_UNDERSTOOD]
    assert len(of(talk.receive(_begin(ver=4, feat=["rules"])), ex.StageBegin)) == 1


# Changes


def test_change_is_applied_and_told() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    assert of(talk.receive(_delta()), ex.ApplyDelta) == [ex.ApplyDelta(_delta(), issued(_delta()))]
    effects = talk.feed(ex.DirectoryStaged(talk.now_ms, DirectoryRef("epoch", 4, "bb"), ISSUED_MS))
    assert said(effects, DirState) == [DirState(epoch="epoch", ver=4, digest="bb")]
    assert len(of(talk.receive(_delta(4, 5)), ex.ApplyDelta)) == 1


@pytest.mark.parametrize(
    "delta", [_delta(4, 5), _delta(2, 4), _delta(3, 4, epoch="other"), _delta(2, 3)], ids=lambda d: f"{d.first}-{d.to}"
)
def test_change_of_another_version_is_refused_and_central_learns_which_one_it_is(delta: DirDelta) -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    effects = talk.receive(delta)
    assert _refusals(effects) == [DirectoryRefusal.GAP]
    assert said(effects, DirState)[0].ver == 3
    assert said(effects, DirResync) == []


def test_change_backwards_is_refused() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    assert _refusals(talk.receive(_delta(3, 2))) == [DirectoryRefusal.OLDER]


def test_change_before_any_directory_is_refused_with_an_empty_state() -> None:
    talk = Talk(0).open(None).welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT).forget()
    assert said(talk.receive(_delta(0, 3)), DirState)[0].epoch == ""


def test_second_change_waits_for_the_state_after_the_first() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    talk.receive(_delta())
    assert talk.receive(_delta()) == []


def test_change_is_not_taken_while_a_whole_directory_is_coming() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    talk.receive(_begin(ver=4))
    assert talk.receive(_delta(3, 4)) == []
    assert talk.state.staging.delta is None


def test_change_that_the_store_refuses_costs_a_whole_directory_but_for_a_wrong_decision() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    talk.receive(_delta())
    effects = talk.feed(ex.DirectoryFailed(talk.now_ms, "other rows", DirectoryRefusal.DIGEST))
    assert len(said(effects, DirResync)) == 1
    talk.now_ms += LEAST_MS
    talk.receive(_delta())
    effects = talk.feed(ex.DirectoryFailed(talk.now_ms, "the book", DirectoryRefusal.CANARY))
    assert said(effects, DirResync) == []
    assert _refusals(effects) == [DirectoryRefusal.CANARY]


def test_heartbeat_that_names_the_version_here_is_answered_by_nothing() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    for ver in (2, 3):
        talk.now_ms += 60_000
        assert (
            said(talk.receive(HeartbeatAck(echo_mono_ms=talk.now_ms, server_ms=SERVER_MS, dir_ver=ver)), DirState) == []
        )


def test_heartbeat_that_shows_a_newer_version_makes_the_device_say_which_it_has() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    talk.now_ms += 10
    beat = HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=4)
    assert said(talk.receive(beat), DirState) == [DirState(epoch="epoch", ver=3, digest="aa")]
    assert said(talk.receive(beat), DirState) == []


# Bounds


def test_requests_for_a_whole_directory_are_bounded_per_hour() -> None:
    budget, asked = Budget(), 0
    for at_ms in range(0, HOUR_MS, LEAST_MS):
        budget, may_ask = budget.asked(at_ms)
        asked += may_ask
    assert asked == PER_HOUR
    assert budget.asked(HOUR_MS)[1]


def test_budget_outlives_the_connection() -> None:
    talk = _talk()
    talk.receive(_begin(chunks=0))
    talk.feed(ex.DirectoryFailed(talk.now_ms, "torn"))
    talk.feed(ex.Disconnected(talk.now_ms))
    talk.open().welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT)
    talk.receive(_begin(chunks=0))
    assert said(talk.feed(ex.DirectoryFailed(talk.now_ms, "torn")), DirResync) == []


def test_directory_that_nobody_confirms_for_long_is_reported_once() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF, hb_s=2 * FROZEN_MS / 1000, ack_timeout_s=2 * FROZEN_MS / 1000)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=3))
    assert ex.Trouble.DIRECTORY_FROZEN not in [report.trouble for report in of(talk.tick(FROZEN_MS - 1), ex.Report)]
    assert [report.trouble for report in of(talk.tick(1), ex.Report)] == [ex.Trouble.DIRECTORY_FROZEN]
    assert of(talk.tick(1), ex.Report) == []


@pytest.mark.parametrize(
    ("held", "told", "is_current"),
    [
        (REF, REF, True),
        (REF, DirectoryRef("epoch", 4, "bb"), False),
        (REF, DirectoryRef("other", 3, "bb"), False),
        (None, REF, False),
        (None, DirectoryRef("", 0, ""), False),
    ],
)
def test_only_a_contact_that_names_the_version_held_confirms_it(
    held: DirectoryRef | None, told: DirectoryRef, is_current: bool
) -> None:
    talk = Talk(0).open(held).welcome(dir=told, dir_mode=DirectoryMode.SNAPSHOT)
    talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=told.ver))
    assert [time.is_current for time in of(talk.effects, ex.ServerTime)] == [is_current] * 2


def test_lost_directory_is_fetched_anew_and_asked_for_again_where_that_was_too_often() -> None:
    talk = Talk(0).open(REF).welcome(dir=REF).forget()
    assert len(said(talk.feed(ex.DirectoryLost(talk.now_ms, "its rows do not match")), DirResync)) == 1
    assert talk.state.staging.current is None
    assert said(talk.feed(ex.DirectoryLost(talk.now_ms, "its rows do not match")), DirResync) == []
    told = talk.receive(HeartbeatAck(echo_mono_ms=START_MS, server_ms=SERVER_MS, dir_ver=3))
    assert said(told, DirState) == [DirState(epoch="", ver=0, digest="")]
