"""The card matrix, and some thousand strangers; `python -m tests.cardmatrix` shows a million."""

import pytest

from tests.cardmatrix.doors import DOORS
from tests.cardmatrix.formats import FORMATS
from tests.cardmatrix.matrix import Cell, cells, strangers
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


def test_no_stranger_opens_a_door() -> None:
    assert strangers(3_000, seed=5) == 0


def test_kinds_of_the_matrix_are_all_there_are() -> None:
    assert {format_.kind for format_ in FORMATS} == set(CredentialKind)
