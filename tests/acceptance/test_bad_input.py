"""Bad input at a door: each is refused with its reason, the directory in use stays, and nobody is let in by it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import replace

from agent.clock import Clock, KernelTime
from agent.core.floor import CLOCKS_DIFFER_MS
from agent.core.types import Decision, Facts, Now, Read
from agent.errors import DirectoryRefusedError
from agent.store.directory import Directory
from agent.sync import exchange as ex
from rules.policy import decide
from tests.core.builders import WALL_MS, read
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from tests.passes.making import PassDoor, Phone, signed
from tests.sync.talk import Talk, of
from wire.book import (
    BookItem,
    Door,
    Group,
    Here,
    Plan,
    Schedule,
    Site,
    Window,
    Zone,
    item_text,
    key_of,
)
from wire.facts import DoorFacts
from wire.message import Message
from wire.rows import DirectoryRow
from wire.transfer import BookEntry, DirDelta, DirectoryRef, DirEnd, DirState
from wire.vocabulary import ClockQuality, CredentialKind, DirectoryRefusal, Outcome, Reason, Weekday

pytestmark = pytest.mark.unit

_YEAR_MS: Final = 365 * 86_400_000
_TEN: Final = 10 * _YEAR_MS
_CHUNKS: Final = 4
_PER_CHUNK: Final = 5
ALL_DAYS: Final = list(Weekday)


def credential(number: int, **fields: Any) -> DirectoryRow:
    return DirectoryRow(key=f"{number:032x}", kind=CredentialKind.HF_UID, member=f"m{number}", **fields)


ROWS: Final = [credential(number) for number in range(_CHUNKS * _PER_CHUNK)]
HELD: Final = [credential(0), credential(99, is_revoked=True)]
"""What the door has before: one member who may pass, one who may not."""
BOOK: Final[tuple[BookItem, ...]] = (
    Site(id="s1", tz="UTC"), Zone(name="gym"), Door(name="north", zone="gym"), Here(door="north"),
)  # fmt: skip


def hours(start_min: int, end_min: int) -> Window:
    return Window(start_min=start_min, end_min=end_min, days=ALL_DAYS)


def entries(*items: BookItem) -> list[BookEntry]:
    return [BookEntry(key=key_of(item), item=msgspec.Raw(item_text(item))) for item in items]


def asked(directory: Directory, row: DirectoryRow, now: Now | None = None) -> Decision:
    """Return what a door says to a card, from its directory as it is."""
    seen = Read("in", read().direction, replace(read().credential, key=row.key), 1_000)
    book = directory.book
    return decide(
        Facts(
            seen,
            now or Now(1_000, WALL_MS, ClockQuality.SYNCED),
            directory.ref,
            directory.find(row.key),
            book,
            DoorFacts("" if book is None else book.here),
        )
    )


async def stage(directory: Directory, rows: Sequence[DirectoryRow], *items: BookItem, ver: int = 1) -> None:
    begin = begin_of(rows, ver=ver, book=entries(*items))
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(replace(chunk_of(rows), book=entries(*items)))
    await directory.stage_end(DirEnd(snap=begin.snap))


@pytest_asyncio.fixture
async def directory(tmp_path: Path) -> AsyncIterator[Directory]:
    opened = Directory.open(tmp_path / "live")
    await stage(opened, HELD, *BOOK)
    yield opened
    await opened.close()


def assert_stands(directory: Directory) -> None:
    """The directory from before decides, and nothing of the new one does."""
    assert directory.ref is not None
    assert directory.ref.ver == 1
    assert asked(directory, HELD[0]).is_grant
    assert asked(directory, HELD[1]).reason is Reason.CREDENTIAL_REVOKED
    assert not any(asked(directory, row).is_grant for row in ROWS[1:])


SENSELESS: Final[dict[str, BookItem]] = {
    "inverted hours": Schedule(name="s", windows=[hours(600, 540)]),
    "overlapping hours": Schedule(name="s", windows=[hours(480, 720), hours(700, 800)]),
    "hours of no length": Schedule(name="s", windows=[hours(600, 600)]),
    "a plan in an unknown zone": Plan(name="p", schedules=["always"], zones=["attic"]),
    "a group in an unknown zone": Group(name="g", zones=["attic"]),
    "a door into an unknown zone": Door(name="south", zone="attic"),
}


@pytest.mark.parametrize("what", SENSELESS)
@pytest.mark.parametrize("by", ["snapshot", "change"])
async def test_rules_that_make_no_sense_are_not_decided_by(directory: Directory, what: str, by: str) -> None:
    wrong: tuple[BookItem, ...] = (*BOOK, SENSELESS[what])
    delta = delta_of(HELD, ROWS, first=1, to=2, book=(entries(*BOOK), entries(*wrong)))
    taking = stage(directory, ROWS, *wrong, ver=2) if by == "snapshot" else directory.apply(delta, issued(delta))
    with pytest.raises(DirectoryRefusedError) as refused:
        await taking
    assert refused.value.refusal is DirectoryRefusal.CANARY
    assert_stands(directory)


@pytest.mark.parametrize("fields", [{"zones": ["attic"]}, {"plan": "gold"}, {"groups": ["x"]}, {"schedules": ["x"]}])
async def test_row_that_names_what_the_book_does_not_hold_lets_nobody_in(
    directory: Directory, fields: dict[str, Any]
) -> None:
    await stage(directory, [credential(5, **fields)], *BOOK, ver=2)
    assert asked(directory, credential(5)).reason is Reason.MISCONFIGURED


@pytest.mark.parametrize("staged", range(_CHUNKS + 1))
@pytest.mark.parametrize("how", ["the link is cut", "the power is cut"])
async def test_snapshot_that_is_cut_at_any_chunk_changes_nothing(
    directory: Directory, tmp_path: Path, staged: int, how: str
) -> None:
    begin = begin_of(ROWS, ver=2, chunks=_CHUNKS)
    chunks = [chunk_of(ROWS[at * _PER_CHUNK : (at + 1) * _PER_CHUNK], i=at) for at in range(_CHUNKS)]
    await directory.stage_begin(begin, issued(begin))
    for chunk in chunks[:staged]:
        await directory.stage_chunk(chunk)
        assert_stands(directory)
    now = directory
    if how == "the power is cut":
        now = Directory.open(shutil.copytree(tmp_path / "live", tmp_path / "cut"))
    assert_stands(now)
    await now.stage_begin(begin, issued(begin))
    for chunk in chunks:
        await now.stage_chunk(chunk)
    await now.stage_end(DirEnd(snap=begin.snap))
    assert [asked(now, row).is_grant for row in ROWS] == [True] * len(ROWS)
    assert asked(now, HELD[1]).reason is Reason.UNKNOWN_CREDENTIAL
    if now is not directory:
        await now.close()


@pytest.mark.parametrize("missing", range(_CHUNKS))
async def test_snapshot_without_one_of_its_chunks_is_refused(directory: Directory, missing: int) -> None:
    async def sent() -> None:
        begin = begin_of(ROWS, ver=2, chunks=_CHUNKS)
        await directory.stage_begin(begin, issued(begin))
        for at in (at for at in range(_CHUNKS) if at != missing):
            await directory.stage_chunk(chunk_of(ROWS[at * _PER_CHUNK : (at + 1) * _PER_CHUNK], i=at))
        await directory.stage_end(DirEnd(snap=begin.snap))

    with pytest.raises(DirectoryRefusedError) as refused:
        await sent()
    assert refused.value.refusal is DirectoryRefusal.INCOMPLETE
    assert_stands(directory)


async def test_card_that_stands_twice_is_refused_with_the_whole(directory: Directory) -> None:
    twice = [credential(5), replace(credential(5), member="another")]
    with pytest.raises(DirectoryRefusedError, match="repeats a key") as refused:
        await stage(directory, twice, *BOOK, ver=2)
    assert refused.value.refusal is DirectoryRefusal.INCOMPLETE
    delta = replace(delta_of(HELD, [*HELD, credential(5)], first=1, to=2), put=chunk_of(twice).rows)
    with pytest.raises(DirectoryRefusedError, match="names a key twice"):
        await directory.apply(delta, issued(delta))
    assert_stands(directory)


GAPS: Final = {
    "from a later version": delta_of(HELD, ROWS, first=2, to=3),
    "from an earlier version": delta_of(HELD, ROWS, first=0, to=2),
    "of another epoch": delta_of(HELD, ROWS, first=1, to=2, epoch="other"),
}


@pytest.mark.parametrize("what", GAPS)
async def test_change_with_a_gap_is_refused(directory: Directory, what: str) -> None:
    with pytest.raises(DirectoryRefusedError) as refused:
        await directory.apply(GAPS[what], issued(GAPS[what]))
    assert refused.value.refusal is DirectoryRefusal.GAP
    assert_stands(directory)
    talk = Talk(0).open(DirectoryRef("epoch", 1, "d")).welcome().forget()
    assert _refused(talk, GAPS[what]) in (DirectoryRefusal.GAP, DirectoryRefusal.OLDER)
    assert of(talk.effects, ex.ApplyDelta) == []


@pytest.mark.parametrize(
    "message",
    [begin_of(ROWS, ver=2, device="a door of another site"), delta_of(HELD, ROWS, first=1, to=2, device="another")],
    ids=["snapshot", "change"],
)
def test_directory_of_another_site_never_reaches_the_files(message: Message) -> None:
    talk = Talk(0).open(DirectoryRef("epoch", 1, "d")).welcome().forget()
    assert _refused(talk, message) is DirectoryRefusal.UNSIGNED
    assert of(talk.effects, ex.StageBegin) == []
    assert of(talk.effects, ex.ApplyDelta) == []


def _refused(talk: Talk, message: Message) -> DirectoryRefusal | None:
    told = [each.message for each in of(talk.receive(message), ex.Send)]
    [refusal] = [state.refused for state in told if isinstance(state, DirState) and state.refused is not None]
    return refusal.code


def test_directory_of_another_site_opens_nothing_for_its_passes() -> None:
    door = PassDoor()
    assert door.decide(signed()).is_grant
    other = signed({**msgspec.json.decode(_payload(signed())), "aud": "019a0000-0000-7000-8000-0000000000ff"})
    assert door.decide(other).reason is Reason.PASS_WRONG_SITE


def _payload(text: str) -> bytes:
    from wire.passes import read_base64url

    return read_base64url(text.split(".")[1])


BOUND: Final = {
    "valid from today": credential(7, valid_from_ms=WALL_MS - 86_400_000),
    "valid until tomorrow": credential(7, valid_to_ms=WALL_MS + 86_400_000),
    "paid until tomorrow": credential(7, paid_to_ms=WALL_MS + 86_400_000),
    "valid this year": credential(7, valid_from_ms=WALL_MS - _YEAR_MS, valid_to_ms=WALL_MS + _YEAR_MS),
}
WRONG_CLOCKS: Final = {
    ("valid from today", -_TEN): Reason.NOT_YET_VALID,
    ("valid until tomorrow", _TEN): Reason.EXPIRED,
    ("paid until tomorrow", _TEN): Reason.UNPAID,
    ("valid this year", -_TEN): Reason.NOT_YET_VALID,
    ("valid this year", _TEN): Reason.EXPIRED,
}


@pytest.mark.parametrize(("what", "by_ms"), WRONG_CLOCKS)
async def test_clock_ten_years_off_is_never_a_reason_to_let_in(directory: Directory, what: str, by_ms: int) -> None:
    row = BOUND[what]
    await stage(directory, [row], *BOOK, ver=2)
    assert asked(directory, row).is_grant
    said = asked(directory, row, Now(1_000, WALL_MS + by_ms, ClockQuality.SYNCED))
    assert (said.outcome, said.reason) == (Outcome.DENY, WRONG_CLOCKS[what, by_ms])


@pytest.mark.parametrize("what", BOUND)
@pytest.mark.parametrize("by_ms", [-_TEN, 0, _TEN])
async def test_time_that_nobody_knows_is_none_either(directory: Directory, what: str, by_ms: int) -> None:
    row = BOUND[what]
    await stage(directory, [row], *BOOK, ver=2)
    said = asked(directory, row, Now(1_000, WALL_MS + by_ms, ClockQuality.NONE))
    assert (said.outcome, said.reason) == (Outcome.DENY, Reason.CLOCK_UNKNOWN)


class _Kernel:
    def __init__(self, wall_ms: int) -> None:
        self._wall_ms = wall_ms

    def read(self) -> KernelTime:
        return KernelTime(5_000, self._wall_ms, False, None)


async def test_clock_that_fell_back_ten_years_never_reads_earlier_than_its_directory(directory: Directory) -> None:
    """What has ended stays ended, whatever the battery-backed clock says."""
    ended = credential(7, valid_to_ms=WALL_MS - 1)
    await stage(directory, [ended], *BOOK, ver=2)
    clock = Clock(_Kernel(WALL_MS - _TEN), boot="b", has_rtc=True)
    clock.learn_issue(WALL_MS + CLOCKS_DIFFER_MS)
    now = clock.now()
    assert now.wall_ms >= WALL_MS
    assert not asked(directory, ended, now).is_grant


@pytest.mark.parametrize(("by_ms", "reason"), [(-_TEN, Reason.PASS_NOT_YET), (_TEN, Reason.PASS_EXPIRED)])
def test_pass_at_a_clock_ten_years_off_opens_nothing(by_ms: int, reason: Reason) -> None:
    door, phone = PassDoor(Phone().row()), Phone()
    door.clock.wall_ms = WALL_MS + by_ms
    assert door.decide(signed()).reason is reason
    assert door.decide(phone.code()).reason is Reason.PASS_STALE
    door.clock.q = ClockQuality.NONE
    assert not door.decide(signed()).is_grant
    assert door.decide(phone.code()).reason is Reason.CLOCK_UNKNOWN


def test_directory_issued_before_the_one_in_force_is_refused_by_a_clock_that_is_ten_years_off() -> None:
    talk = Talk(0).open(DirectoryRef("epoch", 1, "d"), issued_ms=WALL_MS).welcome().forget()
    old: DirDelta = delta_of(HELD, ROWS, first=1, to=1, issued_ms=WALL_MS - _TEN)
    assert _refused(talk, old) is DirectoryRefusal.OLDER
