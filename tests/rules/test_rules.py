"""Every rule, with the facts on either side of what it objects to."""

import msgspec
import pytest

from rules import passes
from rules.book import load
from rules.facts import Facts
from rules.policy import RULES, answers, decide
from tests.rules.builders import DAY_MS, HARD, NOON, at, book, facts, row
from wire.book import AntiPassback, Door, Site, Zone
from wire.facts import DoorFacts, PassFacts, PresenceFacts
from wire.passes import PassClaims
from wire.rows import Pack
from wire.vocabulary import (
    AntiPassbackKind,
    Assurance,
    ClockQuality,
    Direction,
    DoorMode,
    HolderKind,
    Notice,
    Reason,
    Right,
    WhenOffline,
)

pytestmark = pytest.mark.unit

GRANT = Reason.MEMBER_VALID
NONE = ClockQuality.NONE
INSIDE = PresenceFacts(zone="gym", age_ms=3_600_000)
SITE_WIDE = PresenceFacts(is_site_wide=True)
PAID = NOON - 3 * DAY_MS
BOUND = row(valid_to_ms=NOON + DAY_MS)


def zone(**said: object) -> Facts:
    return facts(site=book(Zone(name="gym", **said)), presence=INSIDE)  # type: ignore[arg-type]


def passback(
    presence: PresenceFacts, wall_ms: int = NOON, q: ClockQuality = ClockQuality.SYNCED, **said: object
) -> Facts:
    rule = AntiPassback(**said)  # type: ignore[arg-type]
    return facts(site=book(Zone(name="gym", anti_passback=rule)), presence=presence, wall_ms=wall_ms, q=q)


def mode(of: DoorMode, *rights: Right, is_in: bool = False) -> Facts:
    return facts(row(rights=[right.value for right in rights]), door=DoorFacts("north", of, is_first_person_in=is_in))


def offline(when: WhenOffline, presence: PresenceFacts, **said: object) -> Facts:
    site = Site(id="s1", tz="Europe/Madrid", companions_offline=when, pack_offline=when)
    return facts(row(**said), site=book(site), presence=presence)


HARD_KIND, SOFT, TIMED = AntiPassbackKind
LIMITED = book(Zone(name="gym", limit=80))
HOUR_MS = 3_600_000
TABLE: list[tuple[Facts, Reason]] = [
    (facts(), GRANT),
    # the credential
    (facts(row(is_revoked=True)), Reason.CREDENTIAL_REVOKED),
    (facts(row(is_revoked=True), direction=Direction.OUT), Reason.CREDENTIAL_REVOKED),
    # the direction
    (facts(site=book(Door(name="north", zone="gym", directions=[Direction.OUT]))), Reason.WRONG_DIRECTION),
    (facts(site=book(Door(name="north", zone="gym", directions=[Direction.IN]))), GRANT),
    (
        facts(site=book(Door(name="north", zone="gym", directions=[Direction.IN])), direction=Direction.OUT),
        Reason.WRONG_DIRECTION,
    ),
    (
        facts(
            site=book(Door(name="north", zone="gym", directions=[Direction.IN, Direction.OUT])),
            direction=Direction.TOGGLE,
        ),
        GRANT,
    ),
    # names that lead nowhere
    (facts(row(plan="platinum")), Reason.MISCONFIGURED),
    (facts(row(groups=["juniors", "seniors"])), Reason.MISCONFIGURED),
    (facts(row(schedules=["never"])), Reason.MISCONFIGURED),
    (facts(row(zones=["roof"])), Reason.MISCONFIGURED),
    (facts(row(cls="gold")), Reason.MISCONFIGURED),
    (facts(door=DoorFacts("south")), Reason.MISCONFIGURED),
    (facts(door=DoorFacts()), Reason.MISCONFIGURED),
    (facts(row(plan=""), site=load([Site(id="s1", tz="Europe/Madrid")]), door=DoorFacts()), GRANT),
    (facts(row(plan=""), site=load([Site(id="s1", tz="Europe/Madrid")])), Reason.MISCONFIGURED),
    (facts(row(rights=["override"]), door=DoorFacts()), Reason.MISCONFIGURED),
    (facts(door=DoorFacts(), direction=Direction.OUT), GRANT),
    (facts(row(), site=None, door=DoorFacts()), Reason.MISCONFIGURED),
    (facts(row(plan=""), site=None, door=DoorFacts()), GRANT),
    (facts(row(plan="", schedules=["day"]), site=None, door=DoorFacts()), Reason.MISCONFIGURED),
    # a device that central has revoked
    (facts(row(clearance=9, rights=["override"]), door=DoorFacts("north", is_revoked=True)), Reason.DEVICE_REVOKED),
    (facts(row(is_revoked=True), door=DoorFacts("north", is_revoked=True)), Reason.CREDENTIAL_REVOKED),
    (facts(door=DoorFacts("north", is_revoked=True), direction=Direction.OUT), GRANT),
    # lockdown
    (facts(door=DoorFacts("north", lockdown=1)), Reason.LOCKDOWN),
    (facts(row(clearance=1), door=DoorFacts("north", lockdown=1)), GRANT),
    (facts(row(clearance=1, rights=["override"]), door=DoorFacts("north", lockdown=2)), Reason.LOCKDOWN),
    (facts(door=DoorFacts("north", lockdown=3), direction=Direction.OUT), GRANT),
    # the membership
    (facts(row(is_active=False)), Reason.MEMBER_INACTIVE),
    (facts(row(is_active=False), direction=Direction.OUT), GRANT),
    (facts(row(is_blocked=True)), Reason.MEMBER_BLOCKED),
    (facts(row(is_blocked=True, rights=["override"])), Reason.MEMBER_BLOCKED),
    # how old the directory is
    (facts(stale_s=31 * 86_400), GRANT),
    (facts(stale_s=31 * 86_400 + 1), Reason.DIRECTORY_STALE),
    (facts(row(cls="trusted"), stale_s=61), Reason.DIRECTORY_STALE),
    (facts(row(cls="trusted"), stale_s=60), GRANT),
    (facts(site=book(Site(id="s1", tz="UTC", stale_after_s=None)), stale_s=1 << 40), GRANT),
    (facts(stale_s=1 << 40, direction=Direction.OUT), GRANT),
    # the clock
    (facts(BOUND, q=NONE), Reason.CLOCK_UNKNOWN),
    (facts(row(plan="day"), q=NONE), Reason.CLOCK_UNKNOWN),
    (facts(row(groups=["juniors"]), q=NONE), Reason.CLOCK_UNKNOWN),
    (facts(row(paid_to_ms=NOON + 1), q=NONE), Reason.CLOCK_UNKNOWN),
    (facts(row(groups=["swimmers"]), q=NONE), GRANT),
    (facts(row(cls="trusted", plan="day"), q=NONE, wall_ms=at("2027-01-13T03:00")), GRANT),
    (facts(row(cls="trusted", valid_from_ms=NOON + 1), q=NONE), GRANT),
    (facts(row(cls="trusted", valid_to_ms=NOON), q=NONE), Reason.EXPIRED),
    (facts(row(cls="trusted", paid_to_ms=NOON), q=NONE), Reason.UNPAID),
    (facts(BOUND, q=NONE, direction=Direction.OUT), GRANT),
    # dates
    (facts(row(valid_from_ms=NOON)), GRANT),
    (facts(row(valid_from_ms=NOON + 1)), Reason.NOT_YET_VALID),
    (facts(row(valid_to_ms=NOON + 1)), GRANT),
    (facts(row(valid_to_ms=NOON)), Reason.EXPIRED),
    (facts(row(valid_from_ms=NOON + 1, valid_to_ms=NOON - 1)), Reason.NOT_YET_VALID),
    (facts(BOUND, wall_ms=at("2037-01-13T12:00")), Reason.EXPIRED),
    (facts(row(valid_from_ms=NOON), wall_ms=at("2017-01-13T12:00")), Reason.NOT_YET_VALID),
    # payment
    (facts(row(paid_to_ms=NOON + 1)), GRANT),
    (facts(row(paid_to_ms=NOON)), Reason.UNPAID),
    (facts(row(paid_to_ms=PAID + 1, grace_days=3)), GRANT),
    (facts(row(paid_to_ms=PAID, grace_days=3)), Reason.UNPAID),
    # plans
    (facts(row(plan=""), site=book(Site(id="s1", tz="UTC", needs_plan=True))), Reason.NO_PLAN),
    (facts(row(plan="", holder=HolderKind.GUEST), site=book(Site(id="s1", tz="UTC", needs_plan=True))), Reason.NO_PLAN),
    (facts(row(plan="", holder=HolderKind.CLEANER), site=book(Site(id="s1", tz="UTC", needs_plan=True))), GRANT),
    (facts(row(plan="")), GRANT),
    (
        msgspec.structs.replace(
            facts(row(plan="", holder=HolderKind.GUEST), site=book(Site(id="s1", tz="UTC", needs_plan=True))),
            passed=PassFacts(claims=PassClaims(aud="s1", sub="g1", jti="0" * 32, nbf=0, exp=1)),
        ),
        GRANT,
    ),
    # assurance
    (zone(assurance=Assurance.MEDIUM), Reason.LOW_ASSURANCE),
    (facts(row(assurance=Assurance.HIGH), site=book(Zone(name="gym", assurance=Assurance.MEDIUM))), GRANT),
    # zones
    (facts(door=DoorFacts("pool")), Reason.ZONE_NOT_ALLOWED),
    (facts(row(zones=["pool"]), door=DoorFacts("pool")), GRANT),
    (facts(row(groups=["swimmers"]), door=DoorFacts("pool")), GRANT),
    (facts(row(plan=""), door=DoorFacts("pool")), Reason.ZONE_NOT_ALLOWED),
    (facts(row(plan="", zones=["pool"])), Reason.ZONE_NOT_ALLOWED),
    (facts(row(groups=["barred"])), Reason.ZONE_NOT_ALLOWED),
    (facts(row(groups=["barred"], zones=["gym"])), Reason.ZONE_NOT_ALLOWED),
    (facts(row(plan="day")), GRANT),
    # modes
    (mode(DoorMode.LOCKED), Reason.DOOR_LOCKED),
    (mode(DoorMode.LOCKED, Right.OVERRIDE), GRANT),
    (mode(DoorMode.UNLOCKED), GRANT),
    (mode(DoorMode.OFFICE), GRANT),
    (mode(DoorMode.MAINTENANCE), Reason.MAINTENANCE),
    (mode(DoorMode.MAINTENANCE, Right.MAINTENANCE), GRANT),
    (mode(DoorMode.FIRST_PERSON), Reason.FIRST_PERSON_MISSING),
    (mode(DoorMode.FIRST_PERSON, Right.FIRST_PERSON), GRANT),
    (mode(DoorMode.FIRST_PERSON, is_in=True), GRANT),
    (facts(door=DoorFacts("office")), GRANT),
    (facts(door=DoorFacts("office"), wall_ms=at("2027-01-13T23:00")), Reason.DOOR_LOCKED),
    # hours
    (facts(row(plan="day"), wall_ms=at("2027-01-13T08:00")), GRANT),
    (facts(row(plan="day"), wall_ms=at("2027-01-13T07:59:59")), Reason.OUTSIDE_HOURS),
    (facts(row(plan="day"), wall_ms=at("2027-01-13T21:59:59")), GRANT),
    (facts(row(plan="day"), wall_ms=at("2027-01-13T22:00")), Reason.OUTSIDE_HOURS),
    (facts(row(plan="day"), wall_ms=at("2027-01-16T12:00")), Reason.OUTSIDE_HOURS),
    (facts(row(plan="day"), wall_ms=at("2027-01-06T12:00")), Reason.OUTSIDE_HOURS),
    (facts(row(plan="day", schedules=["early"]), wall_ms=at("2027-01-13T07:00")), GRANT),
    (facts(row(plan="", schedules=["early"])), Reason.OUTSIDE_HOURS),
    (facts(row(plan="day"), wall_ms=at("2027-01-13T23:00"), direction=Direction.OUT), GRANT),
    (facts(row(groups=["juniors"])), GRANT),
    (facts(row(groups=["juniors"]), wall_ms=at("2027-01-13T23:00")), Reason.OUTSIDE_GROUP_HOURS),
    (facts(row(groups=["juniors"], schedules=["night"]), wall_ms=at("2027-01-13T23:00")), Reason.OUTSIDE_GROUP_HOURS),
    # companions
    (facts(row(guardians=["m2"])), Reason.GUARDIAN_ABSENT),
    (facts(row(guardians=["m2"]), presence=PresenceFacts(is_guardian_inside=True)), GRANT),
    (facts(row(guardians=["m2"]), direction=Direction.OUT), GRANT),
    (facts(row(plan="", guardians=["m2"]), site=None, door=DoorFacts()), Reason.GUARDIAN_ABSENT),
    (facts(row(host="m2")), Reason.HOST_ABSENT),
    (facts(row(host="m2"), presence=PresenceFacts(is_host_inside=True)), GRANT),
    (offline(WhenOffline.DENY, PresenceFacts(is_host_inside=True), host="m2"), Reason.NEEDS_LINK),
    (offline(WhenOffline.DENY, PresenceFacts(is_site_wide=True, is_host_inside=True), host="m2"), GRANT),
    (offline(WhenOffline.DENY, PresenceFacts()), GRANT),
    (offline(WhenOffline.ALLOW, PresenceFacts(), guardians=["m2"]), GRANT),
    (offline(WhenOffline.ALLOW, SITE_WIDE, guardians=["m2"]), Reason.GUARDIAN_ABSENT),
    # packs
    (facts(row(pack=Pack("p", 10, 9))), GRANT),
    (facts(row(pack=Pack("p", 10, 10))), Reason.PACK_EMPTY),
    (facts(row(pack=Pack("p", 10, 3)), presence=PresenceFacts(used=10)), Reason.PACK_EMPTY),
    (facts(row(pack=Pack("p", 10, 10)), presence=PresenceFacts(used=3)), Reason.PACK_EMPTY),
    (facts(row(pack=Pack("p", 10, 10), zones=["pool"]), door=DoorFacts("pool")), GRANT),
    (facts(row(pack=Pack("p", 10, 10)), presence=INSIDE, direction=Direction.TOGGLE), GRANT),
    (facts(row(plan="", pack=Pack("p", 1, 1)), site=None, door=DoorFacts()), Reason.PACK_EMPTY),
    (offline(WhenOffline.ALLOW, PresenceFacts(), pack=Pack("p", 1, 1)), GRANT),
    (offline(WhenOffline.DENY, PresenceFacts(), pack=Pack("p", 2, 1)), Reason.NEEDS_LINK),
    # anti-passback
    (passback(INSIDE, kind=HARD_KIND), Reason.ANTI_PASSBACK),
    (passback(PresenceFacts(zone=""), kind=HARD_KIND), GRANT),
    (passback(PresenceFacts(), kind=HARD_KIND), GRANT),
    (passback(PresenceFacts(zone="gym", is_forgiven=True), kind=HARD_KIND), GRANT),
    (passback(PresenceFacts(zone="gym", is_certain=False), kind=HARD_KIND), GRANT),
    (passback(PresenceFacts(zone="gym", age_ms=59_999), kind=TIMED, for_s=60), Reason.ANTI_PASSBACK),
    (passback(PresenceFacts(zone="gym", age_ms=60_000), kind=TIMED, for_s=60), GRANT),
    (passback(INSIDE, kind=SOFT), GRANT),
    (passback(INSIDE, kind=HARD_KIND, offline=WhenOffline.ALLOW), GRANT),
    (passback(INSIDE, kind=HARD_KIND, offline=WhenOffline.DENY), Reason.NEEDS_LINK),
    (facts(site=book(Zone(name="gym", anti_passback=HARD)), presence=INSIDE, direction=Direction.TOGGLE), GRANT),
    # amnesty: at 04:00 everybody counts as outside
    (passback(PresenceFacts(zone="gym", age_ms=8 * HOUR_MS), kind=HARD_KIND, amnesty_min=240), Reason.ANTI_PASSBACK),
    (passback(PresenceFacts(zone="gym", age_ms=8 * HOUR_MS + 1), kind=HARD_KIND, amnesty_min=240), GRANT),
    (
        passback(
            PresenceFacts(zone="gym", age_ms=23 * HOUR_MS), at("2027-01-13T03:00"), kind=HARD_KIND, amnesty_min=240
        ),
        Reason.ANTI_PASSBACK,
    ),
    (
        passback(PresenceFacts(zone="gym", age_ms=24 * HOUR_MS), q=NONE, kind=HARD_KIND, amnesty_min=240),
        Reason.ANTI_PASSBACK,
    ),
    (passback(PresenceFacts(zone="gym", age_ms=25 * HOUR_MS), q=NONE, kind=HARD_KIND, amnesty_min=240), GRANT),
    # how many are inside
    (facts(site=LIMITED, presence=PresenceFacts(inside=79)), GRANT),
    (facts(site=LIMITED, presence=PresenceFacts(inside=80)), Reason.ZONE_FULL),
    (facts(site=LIMITED), GRANT),
    (facts(row(holder=HolderKind.STAFF), site=LIMITED, presence=PresenceFacts(inside=90)), GRANT),
    (
        facts(site=book(Zone(name="gym", limit=1, limit_offline=WhenOffline.ALLOW)), presence=PresenceFacts(inside=9)),
        GRANT,
    ),
    (facts(site=book(Zone(name="gym", limit=1, limit_offline=WhenOffline.DENY))), Reason.NEEDS_LINK),
    (
        facts(
            row(holder=HolderKind.CLEANER), site=book(Zone(name="gym", limit=1, limit_offline=WhenOffline.DENY))
        ),
        GRANT,
    ),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_each_rule_gives_its_reason(number: int) -> None:
    given, reason = TABLE[number]
    assert decide(given).reason is reason


def test_every_reason_of_a_rule_stands_in_the_table() -> None:
    seen = {reason for _, reason in TABLE}
    elsewhere = {Reason.NO_DIRECTORY, Reason.UNKNOWN_CREDENTIAL, *passes.FAULTS}
    assert {rule.reason for rule in RULES} - elsewhere == seen - {GRANT}


@pytest.mark.parametrize(
    ("given", "notices"),
    [
        (facts(), ()),
        (facts(row(paid_to_ms=NOON, grace_days=1)), (Notice.PAYMENT_GRACE,)),
        (facts(row(paid_to_ms=NOON, grace_days=1), direction=Direction.OUT), ()),
        (passback(INSIDE, kind=SOFT), (Notice.ANTI_PASSBACK_SOFT,)),
        (passback(PresenceFacts(zone="gym", is_certain=False), kind=HARD_KIND), (Notice.PRESENCE_UNCERTAIN,)),
        (passback(PresenceFacts(zone="", is_certain=False), kind=HARD_KIND), ()),
        (mode(DoorMode.LOCKED, Right.OVERRIDE), (Notice.OVERRIDE,)),
        (facts(row(rights=["override"])), ()),
        (facts(row(rights=["fly"])), ()),
        (facts(row(is_blocked=True, paid_to_ms=NOON, grace_days=1)), ()),
    ],
)
def test_what_staff_are_told_beside_a_grant(given: Facts, notices: tuple[Notice, ...]) -> None:
    assert decide(given).notices == notices


def test_a_decision_says_whose_passage_it_is() -> None:
    assert decide(facts(row(holder=HolderKind.CONTRACTOR))).holder is HolderKind.CONTRACTOR


def test_a_right_to_override_lifts_no_rule_about_the_holder_or_the_credential() -> None:
    lifted = {rule.reason for rule in RULES if rule.is_liftable}
    assert not lifted & {
        Reason.CREDENTIAL_REVOKED, Reason.MEMBER_INACTIVE, Reason.MEMBER_BLOCKED, Reason.LOCKDOWN, Reason.EXPIRED,
        Reason.NOT_YET_VALID, Reason.UNPAID, Reason.DIRECTORY_STALE, Reason.CLOCK_UNKNOWN, Reason.MISCONFIGURED,
        Reason.DEVICE_REVOKED,
    }  # fmt: skip


def test_who_leaves_is_asked_about_the_credential_alone() -> None:
    asked = {rule.reason for rule in RULES if rule.is_for_exits}
    assert asked == {
        Reason.NO_DIRECTORY, *passes.FAULTS, Reason.UNKNOWN_CREDENTIAL, Reason.CREDENTIAL_REVOKED,
        Reason.WRONG_DIRECTION, Reason.CLOCK_UNKNOWN,
    }  # fmt: skip


def test_a_receipt_carries_what_the_directory_and_the_event_do_not_say() -> None:
    door, presence = DoorFacts("north", lockdown=1), PresenceFacts(is_site_wide=True, inside=3)
    receipt = decide(facts(door=door, presence=presence, stale_s=5)).receipt
    assert (receipt.door, receipt.presence, receipt.stale_s, receipt.scope) == (door, presence, 5, "site")
    plain = decide(facts(door=DoorFacts())).receipt
    assert (plain.door, plain.presence, plain.stale_s, plain.scope) == (None, None, 0, "device")


def test_no_name_in_a_row_makes_a_rule_fail() -> None:
    known = row(plan="x", groups=["x"], schedules=["x"], zones=["x"], cls="x")
    assert [answer.rule for answer in answers(facts(known))] == list(RULES)
