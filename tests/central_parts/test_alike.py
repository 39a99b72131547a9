"""Two cards that a door's reader could not tell apart are refused when the second is enrolled, and named."""

import secrets
from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal
from central.directory import versions
from central.directory.enrolling import enrol, replace
from central.directory.importing.running import Report, import_members
from central.directory.models import Credential, Member, Membership
from central.editions import offering
from central.parts import alike
from central.parts.alike import AlikeError
from central.parts.models import CardPart, DoorForm
from tests.central_ledger.told import rows_for, whole_for
from wire.credentials import credential_key, partial_key
from wire.forms import forms
from wire.transfer import DirDelta
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

FIRST = "hf_uid/wiegand34_first"
ANN = bytes.fromhex("04A15BC2D3E4E6")
LIKE_ANN = bytes.fromhex("04A15BC2000000")
BEN = bytes.fromhex("04A15BC3000000")


@pytest.fixture
def door(db: None) -> Door:
    site = Site.objects.create(name="Harbour gym")
    return Door.objects.create(site=site, name="North")


@pytest.fixture
def spelled(door: Door) -> DoorForm:
    return DoorForm.objects.create(door=door, spelling=FIRST)


def person(name: str, *sites: Site) -> Member:
    member = Member.objects.create(full_name=name)
    for site in sites:
        Membership.objects.create(member=member, site=site)
    return member


def given(member: Member, uid: bytes) -> Credential:
    return enrol(member, CredentialKind.HF_UID, uid)


def test_card_that_looks_like_another_at_a_door_is_refused_and_the_holder_named(spelled: DoorForm) -> None:
    given(person("Ann", spelled.door.site), ANN)
    ben = person("Ben", spelled.door.site)
    with pytest.raises(AlikeError, match=r"at Harbour gym, North this card looks like one of Ann \(hf_uid/wiegand34"):
        given(ben, LIKE_ANN)
    assert not ben.credentials.exists()
    given(ben, BEN)
    assert CardPart.objects.count() == 2


def test_cards_that_look_alike_may_be_at_different_sites(spelled: DoorForm) -> None:
    given(person("Ann", spelled.door.site), ANN)
    elsewhere = Site.objects.create(name="Hill gym")
    given(person("Ben", elsewhere), LIKE_ANN)
    given(person("Cleo", spelled.door.site), bytes.fromhex("0110185C5B")[:4])
    assert CardPart.objects.filter(site=spelled.door.site).count() == 2


def test_door_whose_readers_drop_no_bits_refuses_nothing(door: Door) -> None:
    given(person("Ann", door.site), ANN)
    given(person("Ben", door.site), LIKE_ANN)
    assert not CardPart.objects.exists()


def known(door: Door) -> list[str]:
    """Return whom the doors of a site know by a form that drops bits."""
    found = alike.spellings_by_card(door.site_id)
    return sorted(card.member.full_name for card in Credential.objects.filter(pk__in=found))


def told(device: Device) -> list[tuple[str, int]]:
    """Return how many rows a door has of each member."""
    count = Counter(Member.objects.get(pk=row.member).full_name for row in rows_for(device))
    return sorted(count.items())


def device_at(door: Door) -> Device:
    sealed = seal(secrets.token_bytes(32), CREDENTIAL_KEY)
    return Device.objects.create(door=door, name="North", session=1, sealed_credential_key=sealed)


def test_new_form_leaves_out_the_cards_that_look_alike_in_it(door: Door) -> None:
    given(person("Ann", door.site), ANN)
    given(person("Ben", door.site), LIKE_ANN)
    given(person("Cleo", door.site), BEN)
    ver = versions.of_site(door.site_id).ver
    DoorForm.objects.create(door=door, spelling=FIRST)
    assert known(door) == ["Cleo"]
    ((spelling, cards),) = alike.renew(door.site)
    assert (spelling, [card.member.full_name for card in cards]) == (FIRST, ["Ann", "Ben"])
    assert versions.of_site(door.site_id).ver > ver
    with pytest.raises(AlikeError):
        given(person("Dan", door.site), ANN[:4] + b"\1\1\1")
    DoorForm.objects.all().delete()
    assert not CardPart.objects.exists()


def test_neither_is_known_by_a_card_that_looks_like_one_which_a_member_brings_to_a_site(spelled: DoorForm) -> None:
    """Were the first one known on, the second's card would let its holder in under the other's name."""
    device = device_at(spelled.door)
    given(person("Ann", spelled.door.site), ANN)
    assert told(device) == [("Ann", 2)]
    ben = person("Ben")
    card = given(ben, LIKE_ANN)
    membership = Membership.objects.create(member=ben, site=spelled.door.site)
    assert (known(spelled.door), told(device)) == ([], [("Ann", 1), ("Ben", 1)])
    membership.delete()
    assert told(device) == [("Ann", 2)]
    Membership.objects.create(member=ben, site=spelled.door.site)
    assert told(device) == [("Ann", 1), ("Ben", 1)]
    card.delete()
    assert told(device) == [("Ann", 2)]


def imported(*lines: str) -> Report:
    header = "external_id,full_name,sites,credential_kind,credential\n"
    return import_members((header + "\n".join(lines)).encode(), is_dry_run=False)


def test_file_is_refused_with_a_card_that_looks_like_another(spelled: DoorForm) -> None:
    device = device_at(spelled.door)
    given(person("Ann", spelled.door.site), ANN)
    report = imported(f"2,Ben,Harbour gym,hf_uid,{LIKE_ANN.hex()}", f"3,Cleo,Harbour gym,hf_uid,{BEN.hex()}")
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, "credential")]
    assert "this card looks like one of Ann" in report.faults[0].detail
    assert told(device) == [("Ann", 2)]
    pair = [f"{at},Pair {at},Harbour gym,hf_uid,{BEN[:4].hex()}00000{at}" for at in (4, 5)]
    assert [fault.line for fault in imported(*pair).faults] == [2, 3]
    assert imported(pair[0], "6,Dan,,,").is_applied
    assert told(device) == [("Ann", 2), ("Pair 4", 2)]


def test_card_that_a_file_brings_to_a_site_may_look_like_another_and_neither_is_known_by_it(spelled: DoorForm) -> None:
    device = device_at(spelled.door)
    given(person("Ann", spelled.door.site), ANN)
    assert imported(f"2,Ben,,hf_uid,{LIKE_ANN.hex()}").is_applied
    assert imported("2,,Harbour gym,,").is_applied
    assert told(device) == [("Ann", 1), ("Ben", 1)]


def test_replacement_that_looks_like_another_card_leaves_everything_as_it_was(spelled: DoorForm) -> None:
    given(person("Ann", spelled.door.site), ANN)
    lost = given(person("Ben", spelled.door.site), BEN)
    with pytest.raises(AlikeError):
        replace(lost, CredentialKind.HF_UID, LIKE_ANN)
    lost.refresh_from_db()
    assert not lost.is_revoked


@pytest.mark.parametrize("spelling", ["hf_uid/hex", "hf_uid/octal", "rfid/hex", "hf_uid"])
def test_only_forms_that_drop_bits_are_entered(door: Door, spelling: str) -> None:
    with pytest.raises(ValidationError):
        DoorForm(door=door, spelling=spelling).full_clean()


def test_administration_names_the_holder_and_the_cards_that_look_alike(
    door: Door, django_user_model: type[User]
) -> None:
    chief = Client()
    chief.force_login(django_user_model.objects.create_superuser("chief"))
    given(person("Ann", door.site), ANN)
    given(person("Ben", door.site), LIKE_ANN)
    form = {"door": str(door.pk), "spelling": FIRST}
    shown = chief.post("/admin/parts/doorform/add/", form, follow=True).content.decode()
    assert "the cards of Ann, Ben look alike" in shown
    cleo = person("Cleo", door.site)
    given(cleo, BEN)
    typed = {"member": str(cleo.pk), "kind": "hf_uid", "value": (BEN[:4] + b"\1\1\1").hex()}
    shown = chief.post("/admin/directory/credential/add/", typed).content.decode()
    assert "this card looks like one of Cleo" in shown


def test_doors_of_the_site_know_the_card_whole_and_in_part(spelled: DoorForm) -> None:
    key = secrets.token_bytes(32)
    device = Device.objects.create(
        door=spelled.door, name="North", session=1, sealed_credential_key=seal(key, CREDENTIAL_KEY)
    )
    ann = person("Ann", spelled.door.site)
    given(ann, ANN)
    text = forms(CredentialKind.HF_UID, ANN)["wiegand34_first"]
    whole, part = (
        credential_key(key, CredentialKind.HF_UID, ANN),
        partial_key(key, CredentialKind.HF_UID, "wiegand34_first", text),
    )
    told = {row.key: row.member for row in rows_for(device)}
    assert told == {whole: str(ann.pk), part: str(ann.pk)}
    spelled.delete()
    assert {row.key for row in rows_for(device)} == {whole}


def test_card_that_comes_later_reaches_the_doors_in_part(spelled: DoorForm) -> None:
    key = secrets.token_bytes(32)
    device = Device.objects.create(
        door=spelled.door, name="North", session=1, sealed_credential_key=seal(key, CREDENTIAL_KEY)
    )
    held = whole_for(device).issue.ref
    given(person("Ann", spelled.door.site), ANN)
    delta = offering.offer(device.pk, held, 0, takes_deltas=True).what
    assert isinstance(delta, DirDelta)
    assert len(delta.put) == 2
    assert len(rows_for(device)) == 2
