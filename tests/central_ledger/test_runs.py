"""What a device says of its runs in `hello` is compared with what central holds of them."""

from typing import Any

import msgspec
import pytest

from central.checkins import ingest, runs
from central.checkins.models import Alert, Run
from central.devices.models import Device
from central.directory.models import Member
from tests.fakes.journal_script import JournalScript, hello
from wire.errors import RemoteProtocolError
from wire.messages import RunAck, RunState

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def delivered(journal: JournalScript, member: Member) -> JournalScript:
    """Return a run of four events that central holds."""
    for _ in range(2):
        journal.visit(member.pk)
    register(journal.device, journal.state())
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    return journal


def register(device: Any, *states: RunState, store: str = "5707e00000000001") -> list[RunAck]:
    return runs.register(device, 1, hello(device, states, store=store))


def alerts() -> list[str]:
    return list(Alert.objects.values_list("kind", flat=True))


def test_new_run_begins_at_its_genesis(journal: JournalScript) -> None:
    (ack,) = register(journal.device, journal.state())
    assert ack == RunAck(journal.run, 0, journal.heads[0].hex())
    assert alerts() == []


def test_known_run_says_what_is_held(delivered: JournalScript) -> None:
    (ack,) = register(delivered.device, delivered.state(acked=2))
    assert ack == RunAck(delivered.run, 4, delivered.heads[4].hex())
    assert (runs.last_run(delivered.device), alerts()) == (ack, [])


def test_device_without_runs_has_no_last_run(device: Device) -> None:
    assert runs.last_run(device.pk) is None


def test_a_run_of_which_nothing_arrived_is_not_the_last_that_central_holds(delivered: JournalScript) -> None:
    later = delivered.next_run("00000000000000bb")
    register(delivered.device, delivered.state(acked=4), later.state())
    assert runs.last_run(delivered.device) == RunAck(delivered.run, 4, delivered.heads[4].hex())


def test_answers_come_in_the_order_of_hello(journal: JournalScript) -> None:
    later = journal.next_run("00000000000000bb")
    acks = register(journal.device, later.state(), journal.state())
    assert [ack.run for ack in acks] == [later.run, journal.run]


def test_run_whose_beginning_is_not_as_expected_is_taken_with_an_alert(journal: JournalScript) -> None:
    (ack,) = register(journal.device, journal.state(), store="0000000000000bad")
    assert (ack.head, alerts()) == (journal.heads[0].hex(), [Alert.Kind.CHAIN_ANCHORED_ANEW])


def test_run_that_is_acknowledged_elsewhere_begins_at_the_expected_place(delivered: JournalScript) -> None:
    acked = delivered.state(acked=3)
    other = JournalScript(delivered.device, "00000000000000ff", ord=0)
    (ack,) = register(delivered.device, msgspec.structs.replace(acked, run=other.run, ord=0))
    assert (ack.upto, ack.head) == (0, other.heads[0].hex())


def test_device_that_knows_fewer_events_went_back(delivered: JournalScript) -> None:
    (ack,) = register(delivered.device, delivered.state(last=3, acked=2))
    assert (ack.upto, alerts()) == (4, [Alert.Kind.STORAGE_WENT_BACK])
    assert "events 4 to 4" in Alert.objects.get().detail


def test_finding_is_kept_once(delivered: JournalScript) -> None:
    for _ in range(3):
        register(delivered.device, delivered.state(last=3, acked=2))
    assert len(alerts()) == 1


def test_device_with_another_chain_is_found(delivered: JournalScript) -> None:
    told = msgspec.structs.replace(delivered.state(acked=4), head="ab" * 32)
    register(delivered.device, told)
    assert alerts() == [Alert.Kind.STORAGE_WENT_BACK]


def test_next_run_that_states_the_end_held_here_is_fine(delivered: JournalScript) -> None:
    register(delivered.device, delivered.next_run("00000000000000bb").state())
    assert alerts() == []


def test_next_run_may_state_an_end_that_is_not_delivered_yet(journal: JournalScript, member: Member) -> None:
    register(journal.device, journal.state())
    journal.visit(member.pk)
    register(journal.device, journal.state(), journal.next_run("00000000000000bb").state())
    assert alerts() == []


@pytest.mark.parametrize(("end", "head"), [(2, None), (4, b"\x07" * 32)])
def test_next_run_that_states_another_end_went_back(delivered: JournalScript, end: int, head: bytes | None) -> None:
    later = JournalScript(
        delivered.device, "00000000000000bb", ord=2, prev_n=end, prev_head=head or delivered.heads[end]
    )
    register(delivered.device, later.state())
    assert alerts() == [Alert.Kind.STORAGE_WENT_BACK]


def test_device_that_forgot_a_whole_run_went_back(delivered: JournalScript, member: Member) -> None:
    later = delivered.next_run("00000000000000bb")
    later.visit(member.pk)
    register(delivered.device, later.state())
    ingest.ingest_events(delivered.device, 1, later.run, 1, later.raws())
    instead = delivered.next_run("00000000000000cc")
    register(delivered.device, instead.state())
    assert alerts() == [Alert.Kind.STORAGE_WENT_BACK]
    assert later.run in Alert.objects.get().detail


@pytest.mark.parametrize(
    "changes",
    [
        {"ord": -1},
        {"last": 1 << 60},
        {"acked": 5, "last": 4},
        {"run": ""},
        {"run": "a" * 33},
        {"run": "../etc"},
        {"head": "zz"},
        {"head": ""},
        {"prev_head": "ab"},
        {"prev_n": -4},
    ],
)
def test_impossible_run_is_refused(journal: JournalScript, changes: dict[str, Any]) -> None:
    told = msgspec.structs.replace(journal.state(), **changes)
    with pytest.raises(RemoteProtocolError):
        register(journal.device, told)
    assert Run.objects.count() == 0


def test_long_store_is_refused(journal: JournalScript) -> None:
    with pytest.raises(RemoteProtocolError):
        register(journal.device, journal.state(), store="s" * 65)
