"""A dead letter can be tried again; once it can be applied, everything that follows from it follows."""

from io import StringIO

import pytest
from django.core.management import call_command

from central.checkins import admission, ingest, letters, runs
from central.checkins.models import DeadLetter, Event, Visit
from central.directory.models import Member
from tests.fakes.journal_script import START_MS, JournalScript, hello
from wire import chain
from wire.events import AlarmBody, Stamp, number, write_tail
from wire.vocabulary import ClockQuality, EventKind, RejectCode

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

NEWER = b'{"n":1,"kind":"hologram","boot":"b","mono_ms":1,"wall_ms":1,"q":"synced","body":{}}'


@pytest.fixture
def rejected(journal: JournalScript, member: Member) -> JournalScript:
    """Return a run whose first event, of a kind from the future, is a dead letter, and whose third is a visit's end."""
    journal.store_text(NEWER)
    n = journal.grant(member.pk, 0)
    journal.passage(n, 1000)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    return journal


def test_letter_that_still_cannot_be_applied_goes_on_waiting(rejected: JournalScript) -> None:
    assert letters.retry_all() == (0, 1)
    letter = DeadLetter.objects.get()
    assert (letter.state, letter.retries) == (DeadLetter.State.WAITING, 1)


def test_letter_is_applied_once_central_knows_more(
    rejected: JournalScript, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = number(1, write_tail(EventKind.ALARM, Stamp("b", 1, 1, ClockQuality.SYNCED), AlarmBody(code="hologram")))
    known = admission.admit(1, chain.splice(text, chain.digest(text)))
    monkeypatch.setattr(letters, "admit", lambda _n, _raw: known)
    assert letters.retry_all() == (1, 0)
    assert letters.retry(DeadLetter.objects.get().pk)
    assert DeadLetter.objects.get().state == DeadLetter.State.APPLIED
    assert sorted(Event.objects.values_list("n", flat=True)) == [1, 2, 3]


def test_grant_among_the_dead_letters_becomes_a_visit_when_it_is_applied(
    journal: JournalScript, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.grant(member.pk, 0)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    refused = admission.Refused(1, chain.digest(journal.texts[0]), RejectCode.UNKNOWN_KIND, "", journal.raws()[0])
    monkeypatch.setattr(ingest, "admit", lambda _n, _raw: refused)
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    assert Visit.objects.count() == 0
    assert letters.retry_all() == (1, 0)
    assert Visit.objects.get().opened_ms == START_MS


def test_command_prints_what_became_of_them(rejected: JournalScript) -> None:
    out = StringIO()
    call_command("retry_dead_letters", stdout=out)
    assert out.getvalue() == "0 applied, 1 still waiting\n"
