"""A change of keys on the device: no card fails, no used pass is good again, and an order is whole or nothing."""

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from agent import keyring as module
from agent.errors import IdentityError
from agent.identity import Identity, load_identity, save_identity
from agent.keyring import MAX_RETIRED, NEW, RETIRE, Keyring
from agent.presenting import Presenter
from agent.reading import ReaderPlace
from hardware.base import Medium, Scan
from provisioning.keys import private_pem
from tests.core.builders import DIRECTORY, row
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from tests.passes.making import PassClock, PassDoor, Phone, claims, signed
from wire.credentials import credential_key, key_id, partial_key
from wire.messages import Command
from wire.sealing import signed_order, wrap_key
from wire.vocabulary import CommandMode, CredentialKind, Direction

pytestmark = pytest.mark.unit

OLD, NEXT, THIRD = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
SIGNS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CARD = bytes.fromhex("04A1B2C3D4E5E6")
HF = CredentialKind.HF_UID
PLACE = ReaderPlace("in", Direction.IN)


def keyring(folder: Path) -> Keyring:
    identity = Identity(
        device="d1", central="https://central.example", audience="a", kid="k1",
        private_key=private_pem(Ed25519PrivateKey.generate()), credential_key=OLD.hex(), name="North", site="Gym",
        time_zone="UTC",
    )  # fmt: skip
    save_identity(folder, identity)
    return opened(folder)


def opened(folder: Path) -> Keyring:
    return Keyring(load_identity(folder), folder, lambda: SIGNS.public_key().public_bytes_raw())


def order(what: str, *, key: str = "", under: bytes = OLD, id: str = "c1", device: str = "d1") -> Command:
    text = signed_order(device, id, "rotate_key", f"{what}|{key}|{key_id(under)}")
    sig = urlsafe_b64encode(SIGNS.sign(text)).decode().rstrip("=")
    args = {"what": what, "key": key, "under": key_id(under), "sig": sig}
    return Command(id=id, name="rotate_key", mode=CommandMode.IDEMPOTENT, ttl_ms=1, age_ms=0, server_ms=0, args=args)


def renewal(new: bytes = NEXT, *, under: bytes = OLD, id: str = "c1") -> Command:
    return order(NEW, key=wrap_key(new, under, f"d1|{id}", bytes(12)), under=under, id=id)


async def told(keys: Keyring, command: Command) -> str:
    return keys.begin(command) or await keys.change(command.id)


async def test_both_keys_find_cards_until_the_old_one_is_retired(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    assert await told(keys, renewal()) == ""
    assert (keys.finding, keys.ids) == ((NEXT, OLD), (key_id(NEXT), key_id(OLD)))
    assert opened(tmp_path).finding == (NEXT, OLD)
    assert await told(keys, order(RETIRE, id="c2")) == ""
    assert (keys.finding, keys.naming) == ((NEXT,), (NEXT, OLD))
    assert opened(tmp_path).naming == (NEXT, OLD)


@pytest.mark.parametrize("under", [OLD, NEXT])
async def test_a_card_opens_whichever_key_the_directory_is_under(tmp_path: Path, under: bytes) -> None:
    keys = keyring(tmp_path)
    await told(keys, renewal())
    known = row("ann", key=credential_key(under, HF, CARD))
    part = row("ben", key=partial_key(under, HF, "hex4_last", "AABBCCDD"))
    presenter = Presenter(MemoryDirectory(known, part, ref=DIRECTORY), MemoryJournal(), PassClock(), keys)
    whole = presenter.facts(Scan("in", Medium.CARD_UID, CARD, 5), PLACE)
    assert (whole.row, whole.read.credential.key) == (known, known.key)
    spelled = presenter.facts(Scan("in", Medium.CARD_UID, b"AABBCCDD", 5, form="hex4_last"), PLACE)
    assert (spelled.row, spelled.read.credential.key) == (part, part.key)
    stranger = presenter.facts(Scan("in", Medium.CARD_UID, b"\x04999999", 5), PLACE)
    assert stranger.row is None
    assert stranger.read.credential.key == credential_key(NEXT, HF, b"\x04999999")


async def test_a_card_fails_when_the_directory_is_under_a_key_that_was_retired(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    await told(keys, renewal())
    await told(keys, order(RETIRE, id="c2"))
    known = row("ann", key=credential_key(OLD, HF, CARD))
    presenter = Presenter(MemoryDirectory(known, ref=DIRECTORY), MemoryJournal(), PassClock(), keys)
    assert presenter.facts(Scan("in", Medium.CARD_UID, CARD, 5), PLACE).row is None


@pytest.mark.parametrize("retires", [False, True])
@pytest.mark.parametrize("kind", ["rotating", "signed once"])
async def test_no_pass_that_was_used_is_good_again(tmp_path: Path, kind: str, retires: bool) -> None:
    keys = keyring(tmp_path)
    phone = Phone()
    text = phone.code() if kind == "rotating" else signed(claims(once=True))
    before = replace(phone.row(), key=credential_key(OLD, CredentialKind.PASS_ROTATING, phone.public))
    after = replace(phone.row(), key=credential_key(NEXT, CredentialKind.PASS_ROTATING, phone.public))
    door = PassDoor(before, keys=keys)
    assert door.decide(text).is_grant
    await told(keys, renewal())
    assert not door.decide(text).is_grant
    if retires:
        await told(keys, order(RETIRE, id="c2"))
    moved = PassDoor(after, keys=keys, steps=door.journal)
    assert not moved.decide(text).is_grant
    assert PassDoor(after, keys=keys).decide(text).is_grant, "it is its use that is remembered"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (order("new", device="d2"), "unsigned"),
        (order("other"), "bad_argument"),
        (order(NEW, key="x"), "bad_argument"),
        (renewal(under=THIRD), "unknown_key"),
        (order(NEW, key=wrap_key(NEXT, OLD, "d1|c9", bytes(12))), "bad_argument"),
        (order(RETIRE, under=OLD), "in_use"),
        (Command(id="c1", name="rotate_key", mode=CommandMode.ONCE, ttl_ms=1, age_ms=0, server_ms=0), "unsigned"),
    ],
)
async def test_an_order_that_makes_no_sense_changes_nothing(tmp_path: Path, command: Command, code: str) -> None:
    keys = keyring(tmp_path)
    assert await told(keys, command) == code
    assert keys.finding == (OLD,)
    assert opened(tmp_path).finding == (OLD,)


async def test_the_same_order_twice_is_one_change(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    for id in ("c1", "c2"):
        assert await told(keys, renewal(id=id)) == ""
    for id in ("c3", "c4"):
        assert await told(keys, order(RETIRE, id=id)) == ""
    assert keys.naming == (NEXT, OLD)


async def test_an_order_that_was_overtaken_is_not_carried_out(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    assert keys.begin(renewal(THIRD, id="c2")) == ""
    assert await told(keys, renewal()) == ""
    assert await keys.change("c2") == "bad_argument"
    assert keys.finding == (NEXT, OLD)


async def test_a_third_key_waits_until_the_first_is_retired(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    await told(keys, renewal())
    assert await told(keys, renewal(THIRD, id="c2")) == "busy"
    await told(keys, order(RETIRE, id="c3"))
    assert await told(keys, renewal(THIRD, under=NEXT, id="c4")) == ""
    assert keys.naming == (THIRD, NEXT, OLD)


async def test_a_device_forgets_no_retired_key_and_says_when_there_are_too_many(tmp_path: Path) -> None:
    keyring(tmp_path)
    identity = load_identity(tmp_path)
    save_identity(tmp_path, replace(identity, retired_keys=["00" * 32] * MAX_RETIRED))
    assert await told(opened(tmp_path), renewal()) == "too_many_keys"


async def test_a_disk_that_takes_nothing_leaves_the_keys_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Path, _identity: Identity) -> None:
        raise IdentityError("no space")

    keys = keyring(tmp_path)
    monkeypatch.setattr(module, "save_identity", full)
    assert await told(keys, renewal()) == "storage"
    assert keys.finding == (OLD,)


def test_a_key_that_is_no_number_is_damage(tmp_path: Path) -> None:
    keyring(tmp_path)
    identity = load_identity(tmp_path)
    for damaged in (replace(identity, old_key="zz"), replace(identity, retired_keys=["zz"])):
        save_identity(tmp_path, damaged)
        with pytest.raises(IdentityError, match="damaged"):
            load_identity(tmp_path)
