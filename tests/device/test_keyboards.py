"""The keyboards of the device test can type every code, and no two characters by the same keys."""

import random

import pytest

from hardware.readers.layouts import LAYOUTS, LayoutName
from tests.device.keyboards import ALPHABET, ENTER, KEYBOARDS, random_code, strokes

pytestmark = pytest.mark.unit


def test_there_is_a_keyboard_for_every_layout_that_a_profile_may_name() -> None:
    assert KEYBOARDS.keys() == set(LayoutName)


@pytest.mark.parametrize("layout", KEYBOARDS)
def test_every_character_of_the_alphabet_has_keys_of_its_own(layout: str) -> None:
    keys = KEYBOARDS[layout]
    assert set(keys) == set(ALPHABET)
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize("layout", KEYBOARDS)
def test_the_drivers_tables_agree_with_these(layout: str) -> None:
    table = LAYOUTS[LayoutName(layout)]
    for character, keys in KEYBOARDS[layout].items():
        assert table.character(keys[-1], shift=len(keys) > 1, caps=False, alt_gr=False) == character


def test_a_code_ends_with_enter() -> None:
    code = random_code(random.Random(1))
    assert strokes("us", code)[-1] == (ENTER,)
    assert len(strokes("us", code)) == len(code) + 1
