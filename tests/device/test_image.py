"""A new image is built for what is in it, and for nothing else."""

from pathlib import Path

import pytest

from tests.device import image

pytestmark = pytest.mark.unit


def test_the_image_depends_on_the_pins_of_what_the_agent_needs_and_of_what_that_needs() -> None:
    names = {pin.partition("==")[0].lower() for pin in image.pins()}
    assert {"websockets", "cryptography", "cffi", "msgspec"} <= names
    assert not {"django", "pytest", "ruff", "hypothesis"} & names


def test_another_source_of_the_agent_makes_another_snapshot_on_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    image_key, booted_key, ready_key = image.image_key(), image.booted_key(), image.ready_key()
    monkeypatch.setattr(image, "_packages", lambda: ["agent"])
    assert (image.image_key(), image.booted_key()) == (image_key, booted_key)
    assert image.ready_key() != ready_key


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_DEVICE_CACHE", "/somewhere/else")
    assert image.cache_folder() == Path("/somewhere/else")
