"""A change of keys at central: in no state does a door lack a card that it should know."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from central.devices import commands
from central.devices.models import Command, Device
from central.directory import versions
from central.directory.models import Credential, Member, Membership
from central.editions import offering
from central.editions.publishing import published
from central.rotation import rotating
from central.rotation.keys import key_at, keys_of
from central.rotation.models import KeyRotation
from tests.central_rotation.agents import OLD, Agent, begin, drive, state_of, world
from wire.vocabulary import CommandState

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

State = KeyRotation.State


@pytest.fixture
def agent(db: None) -> Agent:
    return world()


def test_a_change_goes_through_its_four_states(agent: Agent) -> None:
    rotation = begin(agent)
    drive()
    agent.obey()
    drive()
    assert state_of(agent) == State.HELD
    drive()
    assert state_of(agent) == State.HELD, "its directory is under the old key"
    agent.fetch()
    agent.stage()
    drive()
    assert state_of(agent) == State.USED
    drive()
    agent.obey()
    drive()
    assert state_of(agent) == State.RETIRED
    assert agent.keys == [rotation.new_key]
    assert agent.knows_the_card
    assert str(rotating.progress()) == "1 of 1 door"
    assert keys_of(agent.device.pk) == (rotation.new_key, OLD)


def test_no_key_stands_open_in_the_database(agent: Agent) -> None:
    rotation = begin(agent)
    drive()
    told = str(Command.objects.get().args)
    for key in (rotation.new_key, OLD):
        assert key.hex() not in told
        assert key not in bytes(rotation.sealed_new) + bytes(rotation.sealed_old)


def test_the_old_key_is_not_retired_while_the_directory_is_under_it(agent: Agent) -> None:
    """A directory that was worked out a moment before the change may bear the version of after it."""
    begin(agent)
    drive()
    agent.obey()
    who = offering.recipient(agent.device.pk)
    drive()
    version = versions.of_site(agent.device.door.site_id)
    now = published(agent.device.door.site_id)
    whole = offering._whole(who, now, 0)
    assert whole is not None
    agent.loaded = whole
    agent.stage()
    assert agent.held is not None
    assert agent.held.ver == version.ver
    drive()
    assert state_of(agent) == State.HELD
    assert agent.knows_the_card
    agent.fetch()
    agent.stage()
    drive()
    assert state_of(agent) == State.USED


def test_a_lost_answer_is_found_at_the_next_hello(agent: Agent) -> None:
    begin(agent)
    drive()
    agent.obey(answers=False)
    drive()
    assert state_of(agent) == State.ISSUED
    agent.hello()
    assert state_of(agent) == State.HELD
    agent.fetch()
    agent.stage()
    drive()
    drive()
    agent.obey(answers=False)
    agent.hello()
    assert state_of(agent) == State.RETIRED


def test_a_device_whose_card_went_back_begins_anew(agent: Agent) -> None:
    begin(agent)
    drive()
    agent.obey()
    drive()
    agent.keys = [OLD]
    agent.hello()
    assert state_of(agent) == State.ISSUED
    agent.fetch()
    agent.stage()
    assert agent.knows_the_card
    drive()
    agent.obey()
    drive()
    agent.fetch()
    agent.stage()
    drive()
    assert state_of(agent) == State.USED
    assert agent.knows_the_card


def test_a_device_with_keys_that_nobody_knows_keeps_its_directory(agent: Agent) -> None:
    agent.keys = [b"k" * 32]
    agent.hello()
    Member.objects.create(full_name="Bo")
    assert offering.offer(agent.device.pk, agent.held, 0, takes_deltas=True).what is None


def test_a_device_that_is_away_goes_on_when_it_is_back(agent: Agent) -> None:
    begin(agent)
    Device.objects.update(disconnected_at=timezone.now())
    rotating.drive(timezone.now())
    assert not Command.objects.exists()
    assert str(rotating.progress()) == "0 of 1 door"
    Device.objects.update(disconnected_at=None)
    drive()
    assert Command.objects.count() == 1


def test_a_device_that_could_not_is_asked_again_a_minute_later(agent: Agent) -> None:
    begin(agent)
    drive()
    command = Command.objects.get()
    commands.record_reply(agent.device.pk, command.pk, CommandState.FAILED, timezone.now(), code="storage")
    drive()
    assert Command.objects.count() == 1
    assert KeyRotation.objects.get().why == "storage"
    drive(timedelta(seconds=61))
    assert Command.objects.count() == 2


def test_a_revoked_device_holds_up_nothing(agent: Agent) -> None:
    begin(agent)
    Device.objects.update(state=Device.State.REVOKED)
    drive()
    assert not Command.objects.exists()
    assert str(rotating.progress()) == "0 of 0 doors"
    assert rotating.start(Device.objects.all(), actor="ben", now=timezone.now()) == []


def test_a_second_change_waits_for_the_first(agent: Agent) -> None:
    begin(agent)
    assert rotating.start([agent.device], actor="ben", now=timezone.now()) == []


def test_a_new_epoch_in_between_does_not_stop_the_change(agent: Agent) -> None:
    begin(agent)
    drive()
    agent.obey()
    drive()
    call_command("renew_directories", stdout=StringIO())
    agent.fetch()
    agent.stage()
    drive()
    drive()
    assert state_of(agent) == State.USED


def test_events_of_before_are_found_by_the_key_of_before(agent: Agent) -> None:
    assert agent.held is not None
    before = agent.held.ver
    rotation = begin(agent)
    drive()
    agent.obey()
    drive()
    agent.fetch()
    agent.stage()
    assert key_at(agent.device.pk, agent.held.epoch, before) == OLD
    assert key_at(agent.device.pk, agent.held.epoch, agent.held.ver) == rotation.new_key


def test_the_command_begins_it_and_says_how_far_it_is(agent: Agent) -> None:
    Device.objects.update(disconnected_at=timezone.now())
    said = StringIO()
    call_command("rotate_key", "--site", agent.device.door.site.name, stdout=said)
    assert "1 changes of keys begin" in said.getvalue()
    assert "done at 0 of 1 door" in said.getvalue()
    assert "North door: issued, not at the door yet; not connected" in said.getvalue()
    again = StringIO()
    call_command("rotate_key", "--status", stdout=again)
    assert "begin" not in again.getvalue()
    with pytest.raises(CommandError, match="no site 'nowhere'"):
        call_command("rotate_key", "--site", "nowhere")


def test_staff_begin_it_at_the_device_and_see_no_key(agent: Agent) -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("admin"))
    chosen = {"action": "rotate_key", "_selected_action": [str(agent.device.pk)]}
    answer = admin.post("/admin/devices/device/", chosen, follow=True)
    assert "0 of 1 door" in answer.content.decode()
    rotation = KeyRotation.objects.get()
    for page in ("/admin/rotation/keyrotation/", f"/admin/rotation/keyrotation/{rotation.pk}/change/"):
        shown = admin.get(page).content.decode()
        assert "not at the door yet" in shown
        assert rotation.new_key.hex() not in shown


MOVES = ("drive", "obey", "obey unheard", "fetch", "stage", "hello", "member", "card back", "later", "restart")


class TestAnyOrder(TestCase):
    """Whatever happens in whatever order, the door knows the card, and the change ends once faults do."""

    @settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
    @given(moves=st.lists(st.sampled_from(MOVES), max_size=12))
    def test_the_door_knows_the_card_at_every_moment(self, moves: list[str]) -> None:
        agent = world()
        begin(agent)
        before = list(agent.keys)
        for move in moves:
            _make(agent, move, before)
            assert agent.knows_the_card, moves
        for round_ in range(8):
            if state_of(agent) == State.RETIRED:
                break
            agent.loaded = None
            agent.hello()
            drive(timedelta(minutes=10 + 10 * round_))
            agent.obey()
            drive(timedelta(minutes=15 + 10 * round_))
            agent.fetch()
            agent.stage()
            assert agent.knows_the_card, moves
        assert state_of(agent) == State.RETIRED, moves
        assert Credential.objects.count() == 1


def _make(agent: Agent, move: str, before: list[bytes]) -> None:
    match move:
        case "drive":
            drive()
        case "later":
            drive(timedelta(minutes=5))
        case "obey":
            agent.obey()
        case "obey unheard":
            agent.obey(answers=False)
        case "fetch":
            agent.fetch()
        case "stage":
            agent.stage()
        case "hello":
            agent.hello()
        case "restart":
            agent.loaded = None
            agent.hello()
        case "card back":
            # The whole card goes back: keys and directory are of one moment.
            agent.keys, agent.loaded = list(before), None
            agent.held, agent.rows = None, set()
            agent.hello()
            agent.fetch()
            agent.stage()
        case _:
            Membership.objects.create(member=Member.objects.create(full_name="Bo"), site=agent.device.door.site)
