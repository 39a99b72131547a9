"""The pages that are made from code say what the code says."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.wire import samples
from tools.configuration_page import field_docstrings
from tools.generate import main, pages
from tools.protocol_page import schema
from wire import codec
from wire.messages import FROM_AGENT, FROM_CENTRAL
from wire.vocabulary import ErrorCode, Reason

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = pages(ROOT)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_a_generated_page_is_fresh(path: Path) -> None:
    assert path.read_text() == PAGES[path], "stale; run: .venv/bin/python -m tools.generate"


def test_the_check_says_so_without_writing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_every_message_and_word_is_on_the_protocol_page() -> None:
    page = PAGES[ROOT / "docs" / "protocol.md"]
    for message in FROM_AGENT + FROM_CENTRAL:
        assert f"### `{message.type}`" in page
    for word in [*Reason, *ErrorCode]:
        assert f"`{word.value}`" in page


def test_the_schema_has_a_frame_for_every_type() -> None:
    frames = {frame["properties"]["type"]["const"]: frame for frame in schema()["oneOf"]}
    assert set(frames) == {message.type for message in FROM_AGENT + FROM_CENTRAL}


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    found = schema()
    names = [part.split('"')[0] for part in json.dumps(found).split('"#/$defs/')[1:]]
    assert names
    assert set(names) <= set(found["$defs"])


@pytest.mark.parametrize("kind", dict.fromkeys(FROM_AGENT + FROM_CENTRAL), ids=lambda kind: str(kind.type))
def test_frames_have_the_fields_that_the_schema_asks_for(kind: type[msgspec.Struct]) -> None:
    definition = schema()["$defs"][kind.__name__]
    payload = json.loads(codec.encode(samples.message(kind, 1), frame_bytes=10**9))["payload"]  # type: ignore[arg-type]
    assert set(definition.get("required", [])) <= set(payload) <= set(definition["properties"])


def test_the_string_below_a_field_is_its_documentation() -> None:
    class _Example:
        first: int = 1
        """What the first
        is."""
        second: int = 2

    del _Example
    from agent.config import Config

    assert field_docstrings(Config)["log_level"] == "Least severe message that is logged."
