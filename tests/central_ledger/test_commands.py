"""The management commands of ledger and directory."""

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from central.checkins import ingest, runs
from central.devices.models import Door, Site
from central.directory.models import Credential, Member
from tests.fakes.journal_script import JournalScript, hello

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_ledger_tells_each_event_once(journal: JournalScript, member: Member) -> None:
    journal.visit(member.pk)
    journal.store_text(b"{}")
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    ledger = json.loads(run("ledger", "--device", str(journal.device), "--json"))
    assert ledger["runs"] == [{"run": journal.run, "ord": 1, "upto": 3, "head": journal.heads[3].hex()}]
    assert [event["n"] for event in ledger["events"]] == [1, 2, 3]
    assert (ledger["visits"], ledger["dead_letters"], ledger["losses"], ledger["alerts"]) == (1, 1, 0, 0)
    assert "3 events" in run("ledger", "--device", str(journal.device))


@pytest.mark.parametrize("device", ["nonsense", "01900000-0000-7000-8000-000000000000"])
def test_ledger_of_no_device_says_where_to_look(db: None, device: str) -> None:
    with pytest.raises(CommandError, match="the admin lists them"):
        run("ledger", "--device", device)


def test_demonstration_is_the_same_each_time(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_DEMO_PASSWORD", "from the environment")
    first, second = (json.loads(run("demo_seed", "--json", "--members", "12")) for _ in range(2))
    assert first["cards"] == second["cards"]
    assert first["code"] != second["code"]
    assert len({card["uid"] for card in first["cards"]}) == Member.objects.count() == Credential.objects.count() == 12
    assert (Site.objects.count(), Door.objects.count()) == (1, 1)
    assert authenticate(username="desk", password="from the environment") is not None


def test_demonstration_prints_how_to_log_in(db: None) -> None:
    said = run("demo_seed", "--members", "1", "--password", "given password")
    assert "1 members, enrolment code" in said
    assert "Log in as desk with given password" in said
