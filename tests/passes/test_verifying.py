"""What a door makes of a pass: order of the questions, clock, zones, use."""

import msgspec
import pytest
import segno

from agent.core.types import Facts
from agent.store.steps import DOUBTED
from rules.book import load
from rules.passes import FAULTS, Moment, Register, check, register_of, row_of, use_step
from rules.policy import decide
from tests.core.builders import WALL_MS
from tests.passes.making import (
    KID,
    MEMBER,
    NOW_S,
    PASS_ID,
    REVOKED_ID,
    SITE,
    PassDoor,
    Phone,
    claims,
    header,
    items,
    private_key,
    signed,
)
from wire.book import CredentialClass, PassKey, Site
from wire.passes import STEP_MS, PassClaims, PassError, is_pass, read_base64url, read_rotating, step_at
from wire.vocabulary import Assurance, ClockQuality, Direction, HolderKind, Reason, WhenUnsure

pytestmark = pytest.mark.unit

PHONE = Phone()


def reason(text: str, door: PassDoor | None = None, direction: Direction = Direction.IN) -> Reason:
    return (door or PassDoor(PHONE.row())).decide(text, direction).reason


def test_pass_stands_for_a_row_with_what_it_says() -> None:
    facts = PassDoor().facts(signed(claims(holder="guest", zones=["gym"])))
    assert facts.row is not None
    assert (facts.row.member, facts.row.holder, facts.row.zones) == (MEMBER, HolderKind.GUEST, ["gym"])
    assert (facts.row.valid_from_ms, facts.row.valid_to_ms) == ((NOW_S - 3600) * 1000, (NOW_S + 3600) * 1000)
    assert facts.row.assurance is Assurance.MEDIUM
    assert decide(facts).member == MEMBER


def test_pass_that_fails_stands_for_nothing() -> None:
    facts = PassDoor().facts(signed(claims(jti=REVOKED_ID)))
    assert facts.row is None
    assert facts.passed is not None
    assert row_of(facts.passed, "00") is None
    assert decide(facts).member is None


def test_pass_that_fails_several_questions_is_told_the_first() -> None:
    wrong = claims(aud="elsewhere", jti=REVOKED_ID, zones=["office"], exp=NOW_S - 1, once=True)
    door = PassDoor()
    door.clock.q = ClockQuality.NONE
    seen = [reason(signed(wrong), door)]
    for name, right in (("aud", SITE), ("jti", PASS_ID), ("zones", ["gym"])):
        wrong[name] = right
        seen.append(reason(signed(wrong), door))
    door.clock.q = ClockQuality.SYNCED
    seen.append(reason(signed(wrong), door))
    wrong["exp"] = NOW_S + 60
    seen += [reason(signed(wrong), door), reason(signed(wrong), door)]
    assert seen == [
        Reason.PASS_WRONG_SITE, Reason.PASS_REVOKED, Reason.PASS_ZONE, Reason.CLOCK_UNKNOWN, Reason.PASS_EXPIRED,
        Reason.MEMBER_VALID, Reason.PASS_REPLAYED,
    ]  # fmt: skip


def test_every_reason_that_a_look_can_give_is_a_rule() -> None:
    from rules.policy import RULES

    listed = [rule.reason for rule in RULES]
    assert set(FAULTS) <= set(listed)


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_rotating_code_holds_for_three_steps(by: int) -> None:
    assert reason(PHONE.code(by=by)) is Reason.MEMBER_VALID


def test_rotating_code_is_good_once_and_no_earlier_one_after_it() -> None:
    door = PassDoor(PHONE.row())
    assert [reason(PHONE.code(by=by), door) for by in (0, 0, -1, 1, 1, 0)] == [
        Reason.MEMBER_VALID, Reason.PASS_REPLAYED, Reason.PASS_REPLAYED, Reason.MEMBER_VALID, Reason.PASS_REPLAYED,
        Reason.PASS_REPLAYED,
    ]  # fmt: skip


def test_clock_that_is_set_back_makes_no_code_good_again() -> None:
    door = PassDoor(PHONE.row())
    early = PHONE.code(WALL_MS - 10 * STEP_MS)
    assert reason(PHONE.code(), door) is Reason.MEMBER_VALID
    door.clock.wall_ms -= 10 * STEP_MS
    assert reason(early, door) is Reason.PASS_REPLAYED


def test_denied_holder_does_not_use_the_code_up() -> None:
    door = PassDoor(PHONE.row(is_active=False))
    assert reason(PHONE.code(), door) is Reason.MEMBER_INACTIVE
    assert door.journal.steps == {}


def test_phone_is_denied_while_the_clock_is_unknown_whatever_the_site_allows() -> None:
    lenient = load(items(CredentialClass(name="pass_rotating", clock_unknown=WhenUnsure.ALLOW)))
    door = PassDoor(PHONE.row(), book=lenient)
    door.clock.q = ClockQuality.NONE
    assert reason(PHONE.code(), door) is Reason.CLOCK_UNKNOWN


def test_site_may_let_signed_passes_through_while_the_clock_is_unknown_but_none_that_has_ended() -> None:
    door = PassDoor(book=load(items(CredentialClass(name="pass_signed", clock_unknown=WhenUnsure.ALLOW))))
    door.clock.q = ClockQuality.NONE
    assert door.facts(signed()).passed is not None
    assert door.facts(signed(claims(nbf=NOW_S + 60))).passed.fault is None  # type: ignore[union-attr]
    assert reason(signed(claims(exp=NOW_S)), door) is Reason.PASS_EXPIRED


def test_pass_is_good_from_its_beginning_up_to_its_end() -> None:
    door = PassDoor()
    door.clock.wall_ms = NOW_S * 1000
    said = [
        reason(signed(claims(nbf=NOW_S + begins, exp=NOW_S + ends)), door) for begins, ends in ((0, 1), (1, 2), (-1, 0))
    ]
    assert said == [Reason.MEMBER_VALID, Reason.PASS_NOT_YET, Reason.PASS_EXPIRED]


def test_pass_that_is_good_once_lets_out_again() -> None:
    door, text = PassDoor(), signed(claims(once=True))
    assert reason(text, door) is Reason.MEMBER_VALID
    assert reason(text, door, Direction.OUT) is Reason.MEMBER_VALID
    assert reason(text, door) is Reason.PASS_REPLAYED


def test_nobody_is_kept_inside_by_the_zone_of_a_pass() -> None:
    assert reason(signed(claims(zones=["office"])), PassDoor(), Direction.OUT) is Reason.MEMBER_VALID


def test_pass_without_once_may_be_shown_again() -> None:
    door = PassDoor()
    assert [reason(signed(), door) for _ in range(3)] == [Reason.MEMBER_VALID] * 3


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        (None, None, Reason.MEMBER_VALID),
        (WALL_MS, WALL_MS + 1, Reason.MEMBER_VALID),
        (WALL_MS + 1, None, Reason.PASS_UNKNOWN_KEY),
        (None, WALL_MS, Reason.PASS_UNKNOWN_KEY),
    ],
)
def test_key_counts_while_it_is_in_force(starts: int | None, ends: int | None, expected: Reason) -> None:
    other = private_key(6)
    public = other.public_key().public_bytes_raw().hex()
    key = PassKey(kid="other", public=public, valid_from_ms=starts, valid_to_ms=ends)
    text = signed(head=header(kid="other"), key=other)
    assert reason(text, PassDoor(book=load(items(key)))) is expected


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        (WALL_MS + 1, WALL_MS + 2, Reason.MEMBER_VALID),
        (None, WALL_MS, Reason.PASS_UNKNOWN_KEY),
    ],
)
def test_key_that_has_ended_stays_ended_while_the_clock_is_unknown(
    starts: int | None, ends: int, expected: Reason
) -> None:
    """The clock never reads earlier than its floor: by then the key was retired."""
    other = private_key(6)
    key = PassKey(
        kid="other", public=other.public_key().public_bytes_raw().hex(), valid_from_ms=starts, valid_to_ms=ends
    )
    lenient = CredentialClass(name="pass_signed", clock_unknown=WhenUnsure.ALLOW)
    door = PassDoor(book=load(items(key, lenient)))
    door.clock.q = ClockQuality.NONE
    assert reason(signed(head=header(kid="other"), key=other), door) is expected


def test_door_without_a_book_knows_no_key() -> None:
    facts = PassDoor().facts(signed())
    bare = PassDoor()
    bare.presenter._book = lambda: None
    assert decide(bare.facts(signed())).reason is Reason.PASS_UNKNOWN_KEY
    assert facts.passed is not None


def test_damaged_key_in_a_book_verifies_nothing() -> None:
    register = Register(SITE, {KID: PassKey(kid=KID, public="ff" * 32)})
    from rules.passes import Moment

    found = check(signed().encode(), register, Moment(WALL_MS, is_known=True), lambda *_: 0)
    assert found.passed.fault is Reason.PASS_SIGNATURE


def test_codes_of_the_doubtful_time_count_as_used() -> None:
    door = PassDoor(PHONE.row(), doubtful=True)
    door.clock.q = ClockQuality.NONE
    assert reason(PHONE.code(), door) is Reason.CLOCK_UNKNOWN
    door.clock.q = ClockQuality.SYNCED
    assert reason(PHONE.code(by=1), door) is Reason.PASS_REPLAYED
    door.clock.wall_ms += 2 * STEP_MS
    assert reason(PHONE.code(door.clock.wall_ms), door) is Reason.MEMBER_VALID


def test_pass_good_once_that_began_in_the_doubtful_time_counts_as_used() -> None:
    book = load(items(CredentialClass(name="pass_signed", clock_unknown=WhenUnsure.ALLOW)))
    door = PassDoor(book=book, doubtful=True)
    door.clock.q = ClockQuality.NONE
    once, often = signed(claims(once=True)), signed(claims())
    seen = door.facts(once).passed
    assert seen is not None
    assert seen.fault is Reason.PASS_REPLAYED
    door.clock.q = ClockQuality.SYNCED
    assert [reason(text, door) for text in (once, often)] == [Reason.PASS_REPLAYED, Reason.MEMBER_VALID]
    door.clock.wall_ms += 120_000
    assert reason(signed(claims(once=True, nbf=NOW_S + 60)), door) is Reason.MEMBER_VALID


def test_clock_that_nobody_trusts_does_not_say_up_to_when_uses_are_doubted() -> None:
    """It stands at its floor, before the pass began, and the pass may have been used all the same."""
    book = load(items(CredentialClass(name="pass_signed", clock_unknown=WhenUnsure.ALLOW)))
    door = PassDoor(book=book, doubtful=True)
    door.clock.q, door.clock.wall_ms = ClockQuality.NONE, WALL_MS - 7_200_000
    assert [reason(signed(claims(once=True)), door) for _ in range(2)] == [Reason.PASS_REPLAYED] * 2


@pytest.mark.parametrize("text", [b"DSP1:\xff", b"DSR1:\xc3\xa9", b"DSP1:" + b"A" * 1020, b"DSR1:" + b"A" * 1020])
def test_what_no_pass_could_hold_is_malformed(text: bytes) -> None:
    found = check(text, Register(SITE), Moment(WALL_MS, is_known=True), lambda *_: 0)
    assert (found.passed.fault, found.canonical) == (Reason.PASS_MALFORMED, text)


def test_later_run_still_counts_the_codes_of_the_doubtful_time_as_used() -> None:
    door = PassDoor(PHONE.row())
    door.journal.steps[DOUBTED] = step_at(WALL_MS) + 1
    for text in (PHONE.code(), PHONE.code(by=1), signed(claims(once=True))):
        assert reason(text, door) is Reason.PASS_REPLAYED
    assert reason(signed(claims(once=True)), door, Direction.OUT) is Reason.MEMBER_VALID
    door.clock.wall_ms += 2 * STEP_MS
    assert reason(PHONE.code(door.clock.wall_ms), door) is Reason.MEMBER_VALID


def test_nothing_is_doubted_where_nothing_was_lost() -> None:
    assert reason(signed(claims(once=True, nbf=0))) is Reason.MEMBER_VALID


def test_use_of_a_pass_that_is_good_once_is_remembered_until_it_has_ended() -> None:
    said = msgspec.convert(claims(once=True, exp=NOW_S + 7), PassClaims)
    assert use_step(said) * STEP_MS >= said.exp * 1000
    assert use_step(msgspec.structs.replace(said, once=False)) == 0


def test_receipt_tells_what_was_found() -> None:
    facts: Facts = PassDoor().facts(signed())
    assert decide(facts).receipt.passed == facts.passed
    assert decide(facts).receipt.input != decide(msgspec.structs.replace(facts, passed=None)).receipt.input


def test_register_holds_what_the_book_says() -> None:
    register = register_of(items())
    assert (register.site, set(register.keys), register.revoked) == (SITE, {KID}, frozenset({REVOKED_ID}))


def test_longest_ordinary_pass_fits_a_code_that_a_door_reads_at_arms_length() -> None:
    text = signed(claims(zones=["main-gym", "pool", "sauna"], once=True, holder="contractor"))
    assert int(segno.make_qr(text, error="m", boost_error=False).version) <= 18
    assert int(segno.make_qr(PHONE.code(), error="m", boost_error=False).version) <= 8


@pytest.mark.parametrize("text", ["QQ==", "Q", "QR", "Q Q", "a+b/", "Q\n", "é"])
def test_base64url_has_one_spelling(text: str) -> None:
    with pytest.raises(PassError):
        read_base64url(text)


def test_steps_are_quarters_of_a_minute() -> None:
    assert [step_at(at) for at in (0, STEP_MS - 1, STEP_MS)] == [0, 0, 1]
    assert read_rotating(PHONE.code()).step == step_at(WALL_MS)


def test_pass_is_known_by_its_beginning() -> None:
    assert [is_pass(text.encode()) for text in (signed(), PHONE.code(), "DSP1", "dsp1:x", "DSP2:x", "")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_revoked_pass_still_tells_who_left() -> None:
    text = signed(claims(jti=REVOKED_ID))
    assert reason(text) is Reason.PASS_REVOKED
    assert reason(text, PassDoor(), Direction.OUT) is Reason.MEMBER_VALID


def test_pass_needs_no_plan_where_the_site_asks_for_one() -> None:
    asks = [Site(id=SITE, tz="UTC", needs_plan=True), *(item for item in items() if not isinstance(item, Site))]
    assert reason(signed(), PassDoor(book=load(asks))) is Reason.MEMBER_VALID
    assert reason(PHONE.code(), PassDoor(PHONE.row(), book=load(asks))) is Reason.NO_PLAN
