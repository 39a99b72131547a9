"""A decision explained, and what would open without the link."""

import pytest

from rules import passes
from rules.explaining import _ASKED_OF_PASSES, Verdict, explain, survey, without_link
from rules.policy import RULES, decide
from tests.rules.builders import NOON, at, book, facts, row
from wire.book import Site
from wire.facts import DoorFacts, PresenceFacts
from wire.vocabulary import ClockQuality, CredentialKind, Direction, DoorMode, Reason, WhenOffline

pytestmark = pytest.mark.unit


def test_every_rule_is_explained_and_one_is_decisive() -> None:
    given = facts(row(plan="day", is_blocked=True), wall_ms=at("2027-01-13T23:00"))
    found = explain(given)
    assert found.decision == decide(given)
    assert [step.reason for step in found.steps] == [rule.reason for rule in RULES]
    objecting = {step.reason: step.is_decisive for step in found.steps if step.verdict is Verdict.OBJECTS}
    assert objecting == {Reason.MEMBER_BLOCKED: True, Reason.OUTSIDE_HOURS: False}


def test_a_grant_has_no_decisive_rule() -> None:
    assert not any(step.is_decisive for step in explain(facts()).steps)


def test_what_was_lifted_and_what_was_not_asked_is_said() -> None:
    lifted = explain(facts(row(rights=["override"]), door=DoorFacts("north", DoorMode.LOCKED)))
    assert lifted.decision.is_grant
    assert {step.reason for step in lifted.steps if step.verdict is Verdict.LIFTED} == {Reason.DOOR_LOCKED}
    leaving = explain(facts(row(is_blocked=True), direction=Direction.OUT))
    assert Reason.MEMBER_BLOCKED in {step.reason for step in leaving.steps if step.verdict is Verdict.NOT_ASKED}


def test_a_rule_that_looks_at_nothing_of_the_holder_does_not_apply() -> None:
    silent = {Reason.PASS_SIGNATURE, Reason.PACK_EMPTY, Reason.GUARDIAN_ABSENT, Reason.UNPAID, Reason.ZONE_FULL}
    alone = {step.reason: step.verdict for step in explain(facts()).steps}
    assert {alone[reason] for reason in silent} == {Verdict.DOES_NOT_APPLY}
    known = facts(row(guardians=["m2"], paid_to_ms=NOON + 1), presence=PresenceFacts(is_guardian_inside=True))
    said = {step.reason: step.verdict for step in explain(known).steps}
    assert (said[Reason.GUARDIAN_ABSENT], said[Reason.UNPAID]) == (Verdict.PASSES, Verdict.PASSES)


def test_every_question_about_passes_is_asked_of_some_kind_in_the_order_of_the_faults() -> None:
    order = list(passes.FAULTS)
    every = [[reason for reason in asked if reason in order] for asked in _ASKED_OF_PASSES.values()]
    assert {reason for asked in every for reason in asked} == set(order)
    assert all(asked == sorted(asked, key=order.index) for asked in every)


def test_an_unknown_credential_is_explained_as_far_as_it_goes() -> None:
    given = facts(site=None, door=DoorFacts())
    stranger = type(given)(given.read, given.now, given.directory, None)
    found = explain(stranger)
    assert found.steps[-1].reason is Reason.UNKNOWN_CREDENTIAL
    assert found.steps[-1].is_decisive


def test_without_the_link_the_site_is_not_known() -> None:
    given = facts(presence=PresenceFacts(is_site_wide=True, inside=3), stale_s=7)
    alone = without_link(given)
    assert alone.presence == PresenceFacts(inside=3)
    assert (alone.stale_s, alone.now.q) == (7, ClockQuality.SYNCED)
    assert without_link(given, stale_s=9, q=ClockQuality.NONE).stale_s == 9


def test_a_survey_counts_what_the_link_keeps_open() -> None:
    site = book(Site(id="s1", tz="Europe/Madrid", stale_after_s=86_400, companions_offline=WhenOffline.DENY))
    rows = [row(), row(host="m2"), row(is_blocked=True), row(valid_to_ms=NOON + 1), row(cls="trusted")]
    given = facts(site=site)
    now = survey(given, rows)
    assert (now.asked, now.open_linked, now.open_alone, now.lost) == (5, 4, 3, {Reason.NEEDS_LINK: 1})
    after_an_hour = survey(given, rows, stale_s=3_600, q=ClockQuality.NONE)
    assert after_an_hour.open_alone == 1
    assert after_an_hour.lost == {Reason.NEEDS_LINK: 1, Reason.CLOCK_UNKNOWN: 1, Reason.DIRECTORY_STALE: 1}


def test_a_phone_is_denied_without_a_clock_as_the_door_would_deny_it() -> None:
    phone = row(kind=CredentialKind.PASS_ROTATING)
    lost = facts(phone, q=ClockQuality.NONE)
    assert explain(lost).decision.reason is Reason.CLOCK_UNKNOWN
    assert explain(facts(phone)).decision.is_grant
    found = survey(facts(), [phone, row()], q=ClockQuality.NONE)
    assert (found.open_linked, found.open_alone, found.lost) == (2, 1, {Reason.CLOCK_UNKNOWN: 1})
