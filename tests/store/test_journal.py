"""The journal as its callers see it."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from agent.errors import StoreBusyError, StoreError, StoreFullError
from agent.store.errors import AckBeyondError, AckHeadError, DuplicatePromiseError, QueueFullError, UnknownRunError
from agent.store.journal import Journal, Promise
from tests.store.samples import AT, DEVICE, QUICK, Chain, alarm, begun, pull
from wire.chain import unsplice
from wire.events import Stamp, read_event, read_stub
from wire.vocabulary import ShedReason, TombReason

pytestmark = pytest.mark.unit


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    yield opened
    await opened.close()


async def _reopened(journal: Journal, folder: Path) -> Journal:
    await journal.close()
    return Journal.open(folder, device=DEVICE, limits=QUICK)


async def test_events_are_numbered_from_one_in_the_order_of_appending(journal: Journal) -> None:
    ids = [await journal.append(alarm(str(i))) for i in range(3)]
    assert [(event.run, event.n) for event in ids] == [(journal.run, 1), (journal.run, 2), (journal.run, 3)]


async def test_stored_text_carries_its_number_and_the_draft(journal: Journal) -> None:
    await journal.append(alarm("first"))
    await journal.append(alarm("second"))
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    event = read_event(chain.texts[2])
    assert (event.n, event.kind, event.mono_ms) == (2, "alarm", AT.mono_ms)
    assert b"second" in bytes(event.body)


async def test_concurrent_appends_get_distinct_numbers_without_a_gap(journal: Journal) -> None:
    ids = await asyncio.gather(*(journal.append(alarm()) for _ in range(100)))
    assert sorted(event.n for event in ids) == list(range(1, 101))


async def test_appending_nothing_writes_nothing(journal: Journal) -> None:
    assert await journal.append_many([]) == []
    assert journal.runs()[0].last == 0


async def test_each_start_begins_a_run_that_binds_the_end_of_the_one_before(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([alarm("a"), alarm("b")])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    journal = await _reopened(journal, tmp_path)
    old, new = journal.runs()
    assert (old.last, old.acked, new.ord, new.prev_n, new.prev_head) == (2, 0, old.ord + 1, 2, chain.head)
    assert journal.report.found == ()
    await journal.close()


async def test_append_that_is_cancelled_while_it_waits_is_committed(journal: Journal) -> None:
    waiting = asyncio.ensure_future(journal.append(alarm("cancelled")))  # noqa: TID251
    await asyncio.sleep(0)
    waiting.cancel()
    event = await journal.append(alarm("next"))
    assert event.n == 2
    chain = Chain.of(journal, journal.run)
    assert await pull(journal, journal.run, chain) == 2
    assert journal.stats.queued_events == 0


async def test_full_queue_refuses_at_once(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, queue_events=2))
    with pytest.raises(QueueFullError, match="limit is 2"):
        await journal.append_many([alarm()] * 3)
    await journal.append_many([alarm()] * 2)
    await journal.close()


async def test_growth_is_told_after_the_commit(journal: Journal) -> None:
    grown: list[tuple[str, int]] = []
    journal.on_grown.append(lambda run, last: grown.append((run, last)))
    await journal.append_many([alarm(), alarm()])
    assert grown == [(journal.run, 2)]


async def test_acknowledgement_moves_the_cursor_and_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    await journal.append_many([alarm("a"), alarm("b"), alarm("c")])
    chain = Chain.of(journal, journal.run)
    for event in await journal.read(journal.run, 0, 2, 1 << 16):
        chain.take(event.n, event.data)
    await journal.acknowledge(journal.run, 2, chain.head)
    assert journal.runs()[0].acked == 2
    assert journal.runs()[0].head == chain.head
    journal = await _reopened(journal, tmp_path)
    assert [(run.last, run.acked) for run in journal.runs()] == [(3, 2), (0, 0)]
    await journal.close()


async def test_acknowledgement_beyond_the_last_event_changes_nothing(journal: Journal) -> None:
    await journal.append(alarm())
    with pytest.raises(AckBeyondError, match="events 1 to 2 of run"):
        await journal.acknowledge(journal.run, 2, b"\0" * 32)
    assert journal.runs()[0].acked == 0


async def test_acknowledgement_with_another_head_changes_nothing(journal: Journal) -> None:
    await journal.append(alarm())
    with pytest.raises(AckHeadError, match="its head is 0000"):
        await journal.acknowledge(journal.run, 1, b"\0" * 32)
    assert journal.runs()[0].acked == 0


async def test_older_acknowledgement_is_ignored(journal: Journal) -> None:
    await journal.append_many([alarm(), alarm()])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, 2, chain.head)
    await journal.acknowledge(journal.run, 1, b"anything")
    assert journal.runs()[0].acked == 2


async def test_unknown_run_is_named(journal: Journal) -> None:
    with pytest.raises(UnknownRunError, match="feedfacefeedface"):
        await journal.read("feedfacefeedface", 0, 1, 1)


async def test_batch_stays_within_its_bounds(journal: Journal) -> None:
    await journal.append_many([alarm("x" * 100) for _ in range(10)])
    assert [event.n for event in await journal.read(journal.run, 3, 4, 1 << 16)] == [4, 5, 6, 7]
    size = len((await journal.read(journal.run, 0, 1, 1 << 16))[0].data)
    assert len(await journal.read(journal.run, 0, 10, 3 * (size + 1))) == 3


async def test_event_that_alone_exceeds_a_batch_comes_as_a_stub_and_the_chain_goes_on(journal: Journal) -> None:
    await journal.append_many([alarm("x" * 5000), alarm("small")])
    chain = Chain.of(journal, journal.run)
    for event in await journal.read(journal.run, 0, 10, 1000):
        chain.take(event.n, event.data)
    stub = read_stub(chain.texts[1])
    assert stub is not None
    assert (stub.n, stub.shed) == (1, ShedReason.TOO_LARGE)
    await journal.acknowledge(journal.run, 2, chain.head)


async def test_backlog_counts_events_bytes_and_the_oldest(journal: Journal) -> None:
    assert journal.backlog().events == 0
    first, second = replace_mono(10), replace_mono(20)
    await journal.append(alarm("one", at=first))
    await journal.append(alarm("two", at=second))
    assert journal.backlog().oldest == first
    sizes = [len(parted[1]) for e in await journal.read(journal.run, 0, 9, 1 << 16) if (parted := unsplice(e.data))]
    assert (journal.backlog().events, journal.backlog().bytes) == (2, sum(sizes))
    chain = Chain.of(journal, journal.run)
    event = (await journal.read(journal.run, 0, 1, 1 << 16))[0]
    chain.take(event.n, event.data)
    await journal.acknowledge(journal.run, 1, chain.head)
    assert (journal.backlog().events, journal.backlog().oldest) == (1, second)


def replace_mono(mono_ms: int) -> Stamp:
    return Stamp(AT.boot, mono_ms, AT.wall_ms, AT.q)


async def test_promise_is_durable_with_its_event(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    event = await journal.append(begun("c1", opens="cmd.c1"))
    journal = await _reopened(journal, tmp_path)
    assert journal.open_promises() == [Promise("cmd.c1", event.run, event.n)]
    await journal.append(begun("c1", settles="cmd.c1", outcome="unknown"))
    assert journal.open_promises() == []
    journal = await _reopened(journal, tmp_path)
    assert journal.settled_promises() == [Promise("cmd.c1", event.run, event.n, "unknown")]
    await journal.forget("cmd.c1")
    journal = await _reopened(journal, tmp_path)
    assert journal.settled_promises() == []
    await journal.close()


async def test_open_promises_are_found_oldest_first_whatever_their_keys(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=QUICK)
    for key in ("c", "a"):
        await journal.append(begun(key, opens=key))
    journal = await _reopened(journal, tmp_path)
    await journal.append(begun("b", opens="b"))
    journal = await _reopened(journal, tmp_path)
    assert [promise.key for promise in journal.open_promises()] == ["c", "a", "b"]
    await journal.close()


async def test_promise_settled_without_an_outcome_is_gone(journal: Journal) -> None:
    await journal.append(begun("g", opens="grant.1"))
    await journal.append(begun("g", settles="grant.1"))
    assert journal.open_promises() == journal.settled_promises() == []


async def test_promise_in_use_is_refused_and_the_journal_goes_on(journal: Journal) -> None:
    await journal.append(begun("c", opens="cmd.c"))
    outcomes = await asyncio.gather(
        journal.append(begun("c", opens="cmd.c")), journal.append(alarm()), return_exceptions=True
    )
    assert isinstance(outcomes[0], DuplicatePromiseError)
    assert not isinstance(outcomes[1], BaseException)
    assert outcomes[1].n == 2


async def test_two_appends_of_one_promise_at_once_begin_it_once(journal: Journal) -> None:
    outcomes = await asyncio.gather(
        *(journal.append(begun("c", opens="cmd.c")) for _ in range(5)), return_exceptions=True
    )
    assert [isinstance(outcome, DuplicatePromiseError) for outcome in outcomes].count(False) == 1


async def test_one_promise_twice_in_one_append_is_refused_whole(journal: Journal) -> None:
    with pytest.raises(DuplicatePromiseError):
        await journal.append_many([begun("c", opens="cmd.c"), begun("c", opens="cmd.c")])
    assert journal.runs()[0].last == 0


async def test_settled_promise_is_still_in_use_until_forgotten(journal: Journal) -> None:
    await journal.append(begun("c", opens="cmd.c"))
    await journal.append(begun("c", settles="cmd.c", outcome="done"))
    with pytest.raises(DuplicatePromiseError):
        await journal.append(begun("c", opens="cmd.c"))
    await journal.forget("cmd.c")
    await journal.append(begun("c", opens="cmd.c"))


async def test_second_agent_on_the_folder_is_told_who_holds_it(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(StoreBusyError, match=f"process {os.getpid()}"):
        Journal.open(tmp_path, device=DEVICE, limits=QUICK)


async def test_journal_of_another_device_is_refused(tmp_path: Path) -> None:
    await Journal.open(tmp_path, device=DEVICE, limits=QUICK).close()
    with pytest.raises(StoreError, match="belongs to device"):
        Journal.open(tmp_path, device="another", limits=QUICK)
    await Journal.open(tmp_path, device=DEVICE, limits=QUICK).close()


async def test_rewound_run_is_sent_again(journal: Journal) -> None:
    await journal.append_many([alarm(str(i)) for i in range(6)])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, 6, chain.head)
    assert await journal.rewind(journal.run, 2) is None
    assert journal.runs()[0].acked == 2
    await journal.acknowledge(journal.run, 6, chain.head)
    assert journal.backlog().events == 0


async def test_rewinding_forward_changes_nothing(journal: Journal) -> None:
    await journal.append(alarm())
    assert await journal.rewind(journal.run, 1) is None
    assert journal.runs()[0].acked == 0


async def test_acknowledged_events_beyond_retention_go_and_a_rewind_declares_them(tmp_path: Path) -> None:
    limits = replace(QUICK, keep_events=3, idle_s=0.01)
    journal = Journal.open(tmp_path, device=DEVICE, limits=limits)
    await journal.append_many([alarm(str(i)) for i in range(10)])
    chain = Chain.of(journal, journal.run)
    await pull(journal, journal.run, chain)
    await journal.acknowledge(journal.run, 8, await _head(journal, 8))
    async with asyncio.timeout(10):
        while journal._lines[journal.run].pruned < 5:
            await asyncio.sleep(0.01)
    assert journal._lines[journal.run].pruned == 5
    loss = await journal.rewind(journal.run, 2)
    assert loss is not None
    assert (loss.first, loss.to, loss.why, loss.head) == (3, 5, TombReason.PRUNED, await _head(journal, 5))
    assert journal.runs()[0].acked == 5
    assert journal.losses() == [loss]
    assert await journal.verify() == []
    await journal.loss_acknowledged(journal.run, 5)
    assert journal.losses() == []
    journal = await _reopened(journal, tmp_path)
    assert (journal.losses(), journal.report.found) == ([], ())
    await journal.close()


async def test_run_that_retention_has_just_deleted_cannot_go_back_and_harms_nobody(tmp_path: Path) -> None:
    limits = replace(QUICK, keep_events=0, idle_s=0.01)
    journal = Journal.open(tmp_path, device=DEVICE, limits=limits)
    old = journal.run
    await journal.append(alarm())
    for _ in range(2):
        await journal.close()
        journal = Journal.open(tmp_path, device=DEVICE, limits=limits)
    line = journal._lines[old]
    await journal.append(alarm())
    chain = Chain.of(journal, old)
    await pull(journal, old, chain)
    await journal.acknowledge(old, 1, chain.head)
    async with asyncio.timeout(10):
        while old in journal._lines:
            await asyncio.sleep(0.01)
    journal._lines[old] = line  # the writer's report is under way yet
    with pytest.raises(UnknownRunError):
        await journal.rewind(old, 0)
    del journal._lines[old]
    assert (await journal.append(alarm())).n == 2
    await journal.close()


async def _head(journal: Journal, n: int) -> bytes:
    chain = Chain.of(journal, journal.run)
    line = journal._lines[journal.run]
    if n == line.pruned:
        return line.pruned_head
    for event in await journal.read(journal.run, 0, n, 1 << 20):
        chain.take(event.n, event.data)
    return chain.head


async def test_unacknowledged_decisions_alone_fill_the_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, max_bytes=20_000))
    with pytest.raises(StoreFullError, match="not acknowledged, the limit is 20000"):
        await _fill(journal)
    last = journal.runs()[0].last
    chain = Chain.of(journal, journal.run)
    assert await pull(journal, journal.run, chain) == last
    await journal.acknowledge(journal.run, last, chain.head)
    assert (await journal.append(begun("again"))).n == last + 1
    await journal.close()


async def _fill(journal: Journal) -> None:
    for i in range(1000):
        await journal.append(begun(str(i)))


async def test_full_journal_sheds_diagnostics_and_keeps_decisions(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device=DEVICE, limits=replace(QUICK, max_bytes=40_000))
    for i in range(100):
        await journal.append_many([begun(str(i)), alarm("x" * 300)])
    chain = Chain.of(journal, journal.run)
    assert await pull(journal, journal.run, chain) == 200
    shed = [n for n, text in chain.texts.items() if read_stub(text)]
    assert shed
    assert all(n % 2 == 0 for n in shed)
    await journal.acknowledge(journal.run, 200, chain.head)
    assert await journal.verify() == []
    journal = await _reopened(journal, tmp_path)
    assert journal.report.found == ()
    await journal.close()


async def test_stats_tell_log_quota_and_queue(journal: Journal) -> None:
    await journal.append(alarm("x" * 100))
    stats = journal.stats
    assert stats.wal_bytes > 0
    assert 100 < stats.used_bytes < 1000
    assert (stats.max_bytes, stats.queued_events) == (QUICK.max_bytes, 0)
