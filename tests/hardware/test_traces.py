"""Recorded sessions replay through the decoders that heard them, and come to what they came to."""

from itertools import pairwise
from random import Random

import pytest

from hardware.base import Medium, ReaderFault, Scan
from hardware.masking import masked
from hardware.profiles import GpioInput
from hardware.replay import replay, replay_input
from hardware.traces import Step, Trace, TraceError, events_of, read_trace, write_trace
from tests.hardware.replugs import KINDS, main
from tests.hardware.sessions import FOLDER, card_reader, kept, wiegand_replugs

pytestmark = pytest.mark.unit

CYCLES = 1000


def kept_traces() -> list[str]:
    """Those that a decoder alone replays; sessions with the PC/SC daemon replay through its driver."""
    return sorted(path.name for path in FOLDER.glob("*.trace") if not path.name.startswith("pcsc-"))


@pytest.mark.parametrize("name", kept_traces())
def test_kept_trace_comes_to_what_it_came_to(name: str) -> None:
    trace = read_trace((FOLDER / name).read_text(encoding="utf-8"))
    assert read_trace(write_trace(trace)) == trace
    if isinstance(trace.part, GpioInput):
        believed = list(replay_input(trace))
        assert len(believed) == 21
        assert all(one.is_active != two.is_active for one, two in pairwise(believed))
    else:
        assert trace.results
        assert events_of(replay(trace)) == trace.results


def test_kept_traces_are_those_that_the_sessions_make() -> None:
    found = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.trace")}
    made = {name: write_trace(trace) for name, trace in kept()}
    assert {name: text for name, text in found.items() if name in made} == made, "python -m tests.hardware.sessions"


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_replugs_invent_and_merge_nothing(kind: str) -> None:
    trace, whole = KINDS[kind](Random(1000), CYCLES)
    events = replay(trace)
    assert [event.data for event in events if isinstance(event, Scan)] == whole
    assert len(whole) > CYCLES / 5
    assert sum(isinstance(event, ReaderFault) for event in events) > CYCLES / 5


@pytest.mark.parametrize("kind", KINDS)
def test_masked_trace_has_other_credentials_and_is_else_the_same(kind: str) -> None:
    trace, whole = KINDS[kind](Random(7), 60)
    hidden = masked(trace, Random(8))
    before, after = replay(trace), replay(hidden)
    assert [step.at_us for step in hidden.steps] == [step.at_us for step in trace.steps]
    assert [type(event) for event in after] == [type(event) for event in before]
    shown = {event.data for event in after if isinstance(event, Scan)}
    assert len(shown) == len(whole)
    assert shown.isdisjoint(whole)
    assert not any(code.hex().upper() in write_trace(hidden) for code in whole)


def test_masked_card_keeps_its_length_its_first_byte_and_the_status() -> None:
    part = read_trace(PCSC).part
    step = Step(5, "answer", ("ACS%20ACR122U", "04A1B2C3D4E5F69000"))
    (hidden,) = masked(Trace(part, (step,)), Random(1)).steps
    assert hidden.values[0] == "ACS%20ACR122U"
    assert (hidden.values[1][:2], hidden.values[1][-4:], len(hidden.values[1])) == ("04", "9000", 18)
    assert hidden.values[1] != step.values[1]


PCSC = 'doorstile-trace 1\n> driver = "pcsc"\n> name = "in"\n> direction = "in"\n> match = "ACR122"\n0 torn 80100069\n'


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "line 1: no trace"),
        ("doorstile-trace 2\n", "line 1: no trace"),
        ("doorstile-trace 1\n> driver = \n0 back\n", "settings: "),
        ('doorstile-trace 1\n> driver = "evdev"\n', "settings: "),
        ('doorstile-trace 1\n> role = "contact"\n', "settings: "),
        (PCSC + "1 key 30\n", "line 7: '1 key 30' is no step"),
        (PCSC + "-1 back\n", "line 7: '-1 back' is no step"),
        (PCSC + "x\n", "line 7: 'x' is no step"),
    ],
)
def test_text_that_is_no_trace_is_refused_by_its_line(text: str, refusal: str) -> None:
    with pytest.raises(TraceError, match=refusal):
        read_trace(text)


@pytest.mark.parametrize(
    "step",
    [Step(1, "level", ("high",)), Step(1, "key", ("x", "1")), Step(1, "bytes", ("x",)), Step(1, "edge", ("x", ""))],
)
def test_step_that_its_decoder_cannot_take_is_refused(step: Step) -> None:
    with pytest.raises(TraceError):
        replay(Trace(card_reader(), (Step(0, "back"), step)))


def test_trace_without_a_decoder_says_so() -> None:
    with pytest.raises(TraceError, match="PcscReader replays through its driver only"):
        replay(Trace(read_trace(PCSC).part, (Step(0, "back"),)))


def test_comments_and_empty_lines_say_nothing() -> None:
    trace = Trace(card_reader(), (Step(0, "back"),), ("scan 31",))
    assert read_trace(write_trace(trace) + "\n# seen at the front desk\n") == trace
    assert card_reader().medium is Medium.EM4100


def test_command_counts_what_was_invented_and_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(20) == 0
    assert capsys.readouterr().out.count(" 0 invented, 0 lost") == len(KINDS)


def test_cable_that_is_pulled_in_the_middle_of_a_frame_is_a_torn_read() -> None:
    whole, _ = wiegand_replugs(Random(3), 1)
    trace = Trace(whole.part, (*whole.steps[:21], Step(whole.steps[20].at_us + 10, "gone")))
    assert events_of(replay(trace)) == ("fault torn_read",)
