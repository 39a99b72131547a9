"""Snapshots of the directory: in order or not at all, and never back in time."""

import pytest

from agent.sync import exchange as ex
from tests.fakes.model_central import SERVER_MS
from tests.sync.talk import START_MS, Talk, of, said
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirEnd, DirGot, DirResync, DirState, HeartbeatAck
from wire.vocabulary import DirectoryMode

pytestmark = pytest.mark.unit

REF = DirectoryRef("epoch", 3, "aa")


def _begin(ver: int = 3, chunks: int = 2, snap: str = "s1", epoch: str = "epoch") -> DirBegin:
    return DirBegin(snap=snap, epoch=epoch, ver=ver, rows=4, chunks=chunks, digest="aa")


def _chunk(i: int, snap: str = "s1") -> DirChunk:
    return DirChunk(snap=snap, i=i, rows=[])


def _talk() -> Talk:
    return Talk(0).open().welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT).forget()


def test_snapshot_is_staged_chunk_by_chunk_with_credit() -> None:
    talk = _talk()
    assert of(talk.receive(_begin()), ex.StageBegin) == [ex.StageBegin(_begin())]
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
    assert [report.trouble for report in of(effects, ex.Report)] == [ex.Trouble.DIRECTORY_REFUSED]
    assert of(effects, ex.StageBegin) == []


def test_older_version_of_a_new_epoch_is_taken() -> None:
    talk = Talk(0).open(DirectoryRef("old", 7, "bb")).welcome(dir=REF, dir_mode=DirectoryMode.SNAPSHOT)
    assert len(of(talk.receive(_begin(ver=1)), ex.StageBegin)) == 1


def test_impossible_snapshot_is_refused() -> None:
    assert of(_talk().receive(_begin(chunks=-1)), ex.StageBegin) == []


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
    talk.now_ms += 31_000
    talk.receive(_begin(chunks=0))
    effects = talk.feed(ex.DirectoryFailed(talk.now_ms, "the digest is wrong"))
    assert len(said(effects, DirResync)) == 1
    talk.receive(_begin(chunks=0, snap="s2"))
    assert said(talk.feed(ex.DirectoryFailed(talk.now_ms, "again")), DirResync) == []


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
