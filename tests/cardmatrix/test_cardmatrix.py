"""The card matrix, and some thousand strangers; `python -m tests.cardmatrix` shows a million."""

import pytest

from tests.cardmatrix.doors import DOORS
from tests.cardmatrix.formats import FORMATS
from tests.cardmatrix.matrix import Cell, canonical_of, cells, enrolled, strangers, tapped
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.format} at {cell.door}")
def test_credential_opens_wherever_it_can_be_read(cell: Cell) -> None:
    assert cell.opens or cell.reason is None


def test_every_credential_can_be_read_somewhere_and_every_door_reads_some() -> None:
    read = [cell for cell in cells() if cell.reason is not None]
    assert {cell.format for cell in read} == {format_.name for format_ in FORMATS}
    assert {cell.door for cell in read} == {door.name for door in DOORS}
    assert (len(FORMATS), len(DOORS)) == (12, 5)


def test_a_card_that_is_tapped_is_the_one_that_is_typed_whatever_the_reader() -> None:
    cards = [format_ for format_ in FORMATS if format_.typed is not None]
    brought = {(card.name, door.name): tapped(card, door) for card in cards for door in DOORS}
    assert all(brought[card.name, door.name] in (None, canonical_of(card)) for card in cards for door in DOORS)
    assert sum(value is not None for value in brought.values()) >= 2 * len(cards)
    assert all(enrolled(card) == canonical_of(card) for card in cards)


def test_no_stranger_opens_a_door() -> None:
    assert strangers(3_000, seed=5) == 0


def test_kinds_of_the_matrix_are_all_there_are() -> None:
    assert {format_.kind for format_ in FORMATS} == set(CredentialKind)
