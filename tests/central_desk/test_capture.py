"""One staff session, one card, half a minute."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from central.checkins.models import Event
from central.desk import capturing
from central.desk.models import Capture
from central.devices.models import Command, Device
from central.devices.signing import capture_key
from central.directory import versions
from central.directory.enrolling import enrol
from central.directory.models import Credential, Member, Membership
from central.parts.models import DoorForm
from tests.central_desk.conftest import LOST_UID, UID, Desk, device_at, staff_with
from wire.vocabulary import CommandState, CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


def is_revoked(card: Credential) -> bool:
    return Credential.objects.get(pk=card.pk).is_revoked


def test_a_tapped_card_belongs_to_the_member(desk: Desk) -> None:
    capture = desk.begin()
    assert "Tap the card now" in desk.look(capture)
    desk.tap(capture)
    shown = desk.look(capture)
    assert "Enrolled" in shown
    assert "MIFARE Classic 1K" in shown
    assert "Low assurance" in shown
    card = Credential.objects.get(member=desk.member, is_revoked=False, card_type="MIFARE Classic 1K")
    assert (card.canonical, card.kind) == (UID, "hf_uid")


def test_the_number_is_nowhere_but_sealed(desk: Desk) -> None:
    capture = desk.begin()
    sealed = desk.tap(capture)
    shown = desk.look(capture)
    capture.refresh_from_db()
    command = Command.objects.get(pk=capture.command_id)
    assert command.out == ""
    for text in (shown, str(capture.__dict__), str(command.__dict__), str(list(LogEntry.objects.values()))):
        assert UID.hex() not in text.lower().replace(" ", "")
        assert sealed not in text
        assert capture_key().private.hex() not in text
    assert Event.objects.count() == 0


def test_a_replacement_revokes_the_lost_card_with_it(desk: Desk) -> None:
    capture = desk.begin(replaces=True)
    assert not is_revoked(desk.lost)
    desk.tap(capture)
    assert "the old card is revoked" in desk.look(capture)
    assert is_revoked(desk.lost)
    messages = set(LogEntry.objects.values_list("change_message", flat=True))
    assert messages == {
        "revoked and replaced by Card, 13.56 MHz, 04 ** ** ** ** ** E6, read at Desk",
        "read at Desk for Ann Example",
    }


def test_a_card_that_somebody_holds_is_refused_by_name_and_the_lost_one_stays(desk: Desk) -> None:
    other = Member.objects.create(full_name="Bo Holder")
    enrol(other, CredentialKind.HF_UID, UID)
    capture = desk.begin(replaces=True)
    desk.tap(capture)
    shown = desk.look(capture)
    assert "Not enrolled" in shown
    assert "Bo Holder holds this credential already" in shown
    assert not is_revoked(desk.lost)


def test_a_card_cannot_replace_itself(desk: Desk) -> None:
    capture = desk.begin(replaces=True)
    desk.tap(capture, LOST_UID)
    assert "Ann Example holds this credential already" in desk.look(capture)
    assert not is_revoked(desk.lost)


def test_a_card_that_looks_like_another_at_some_door_is_refused_and_the_door_named(desk: Desk) -> None:
    other = Member.objects.create(full_name="Bo Holder")
    Membership.objects.create(member=other, site=desk.site)
    enrol(other, CredentialKind.HF_UID, UID[:4] + b"\x01\x02\x03")
    DoorForm.objects.create(door=desk.door.door, spelling="hf_uid/hex4_first")
    capture = desk.begin()
    desk.tap(capture)
    shown = desk.look(capture)
    assert "North door" in shown
    assert "Bo Holder" in shown
    assert Credential.objects.filter(member=desk.member).count() == 1


def test_a_random_number_is_refused_in_plain_words(desk: Desk) -> None:
    capture = desk.begin()
    desk.tap(capture, b"\x08\x01\x02\x03")
    shown = desk.look(capture)
    assert "another number each time" in shown
    assert "08010203" not in shown


def test_a_truncated_number_is_refused(desk: Desk) -> None:
    capture = desk.begin()
    desk.tap(capture, b"\x88\x01\x02\x03")
    assert "a part of one" in desk.look(capture)


@pytest.mark.parametrize(
    ("state", "code", "out", "words"),
    [
        (CommandState.FAILED, "unsupported_card", "random UID, another each time", "another number each time"),
        (CommandState.FAILED, "unsupported_card", "truncated UID, 4 bytes of 7", "truncated UID"),
        (CommandState.FAILED, "a_pass", "", "Passes are issued"),
        (CommandState.EXPIRED, "nobody_came", "", "No card came"),
        (CommandState.REFUSED, "", "", "update its program"),
        (CommandState.UNKNOWN, "crashed", "", "started anew"),
        (CommandState.FAILED, "odd", "", "The reader gave up: odd"),
    ],
)
def test_what_the_reader_could_not_do_is_said_in_words(
    desk: Desk, state: CommandState, code: str, out: str, words: str
) -> None:
    capture = desk.begin()
    desk.say(capture, state, code=code, out=out)
    shown = desk.look(capture)
    assert words in shown
    assert "Read again" in shown


def test_another_session_can_neither_see_nor_take_it(desk: Desk) -> None:
    capture = desk.begin()
    desk.tap(capture)
    other = staff_with("add_credential", "change_credential")
    again = Client()
    again.force_login(capture.owner)
    for client in (other, again):
        assert client.get(f"/desk/captures/{capture.pk}").status_code == 403
        assert client.post(f"/desk/captures/{capture.pk}/look").status_code == 403
    assert Credential.objects.filter(member=desk.member).count() == 1
    assert "Enrolled" in desk.look(capture)


def test_it_is_taken_once(desk: Desk) -> None:
    capture = desk.begin()
    desk.tap(capture)
    desk.look(capture)
    assert "Enrolled" in desk.look(capture)
    assert Credential.objects.filter(member=desk.member).count() == 2


def test_after_half_a_minute_nothing_is_taken(desk: Desk, half_a_minute_later: Callable[[], None]) -> None:
    capture = desk.begin()
    desk.tap(capture)
    half_a_minute_later()
    assert "within half a minute" in desk.look(capture)
    assert Credential.objects.filter(member=desk.member).count() == 1
    assert Command.objects.get(pk=capture.command_id).out == ""


def test_a_capture_that_nobody_looked_at_is_forgotten(desk: Desk, half_a_minute_later: Callable[[], None]) -> None:
    capture = desk.begin()
    half_a_minute_later()
    assert capturing.forget_late(timezone.now()) == 1
    desk.tap(capture)
    assert capturing.forget_late(timezone.now()) == 0
    assert Command.objects.get(pk=capture.command_id).out == ""
    capture.refresh_from_db()
    assert capture.state == Capture.State.EXPIRED


def test_a_card_for_another_capture_is_not_opened(desk: Desk, half_a_minute_later: Callable[[], None]) -> None:
    first = desk.begin()
    half_a_minute_later()
    second = desk.begin()
    desk.tap(second, bound=f"{desk.device.pk}|{first.command_id}")
    assert "cannot be used" in desk.look(second)


def test_one_capture_at_a_time_waits_at_a_reader(desk: Desk) -> None:
    desk.begin()
    answer = desk.staff.post(f"/desk/members/{desk.member.pk}", {"device": str(desk.device.pk)})
    assert answer.status_code == 409
    assert "already" in answer.content.decode()


def test_a_reader_that_is_away_is_refused_at_once(desk: Desk) -> None:
    Device.objects.filter(pk=desk.device.pk).update(disconnected_at=timezone.now())
    answer = desk.staff.post(f"/desk/members/{desk.member.pk}", {"device": str(desk.device.pk)})
    assert answer.status_code == 409
    assert "not connected" in answer.content.decode()
    assert not Capture.objects.exists()


def test_the_doors_that_know_the_card_are_counted_by_what_they_confirmed(desk: Desk) -> None:
    south = device_at(desk.site, "South door")
    capture = desk.begin()
    desk.tap(capture)
    assert "Known at 0 of 2 doors" in desk.look(capture)
    version = versions.of_site(desk.site.pk)
    for device, ver in ((desk.door, version.ver), (south, version.ver - 1)):
        Device.objects.filter(pk=device.pk).update(dir_epoch=version.epoch, dir_ver=ver)
    shown = desk.look(capture)
    assert "Known at 1 of 2 doors" in shown
    assert "South door does not know it yet" in shown
    assert 'data-goes-on="yes"' in shown
    Device.objects.filter(pk=south.pk).update(dir_ver=version.ver)
    shown = desk.look(capture)
    assert "Known at 2 of 2 doors" in shown
    assert 'data-goes-on="no"' in shown


def test_a_member_without_a_membership_is_told_apart(desk: Desk) -> None:
    Membership.objects.all().delete()
    capture = desk.begin()
    desk.tap(capture)
    assert "no membership" in desk.look(capture)


def test_who_may_not_enrol_may_not_read(desk: Desk) -> None:
    address = f"/desk/members/{desk.member.pk}"
    assert Client().get(address).status_code == 302
    assert staff_with("view_credential", name="looker").get(address).status_code == 403
    only_new = staff_with("add_credential", name="half")
    assert only_new.get(address).status_code == 200
    assert only_new.get(f"{address}?replaces={desk.lost.pk}").status_code == 403


def test_only_a_card_of_the_member_is_replaced(desk: Desk) -> None:
    other = Member.objects.create(full_name="Bo Holder")
    assert desk.staff.get(f"/desk/members/{other.pk}?replaces={desk.lost.pk}").status_code == 404
    assert desk.staff.get(f"/desk/members/{other.pk}?replaces=nonsense").status_code == 404


def test_the_pages_name_the_reader_and_lead_there(desk: Desk) -> None:
    page = desk.staff.get(f"/desk/members/{desk.member.pk}").content.decode()
    assert "Desk (desk)" in page
    capture = desk.begin()
    assert "At Desk" in desk.staff.get(f"/desk/captures/{capture.pk}").content.decode()
    admin = Client()
    user = capture.owner
    user.is_superuser = True
    user.save()
    admin.force_login(user)
    assert (
        f"/desk/members/{desk.member.pk}"
        in admin.get(f"/admin/directory/member/{desk.member.pk}/change/").content.decode()
    )
    assert (
        f"?replaces={desk.lost.pk}" in admin.get(f"/admin/directory/credential/{desk.lost.pk}/change/").content.decode()
    )
    shown = admin.get("/admin/desk/capture/")
    assert "Ann Example" in shown.content.decode()
    detail = admin.get(f"/admin/desk/capture/{capture.pk}/change/").content.decode()
    assert capture.session_hash not in detail
