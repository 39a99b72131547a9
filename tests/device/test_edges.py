"""The kernel's trace of the lines is read right, and what breaks a promise is found in it."""

import pytest

from tests.device.edges import Edge, Pulse, Rule, faults_of, left_on_ms, parse, pulses

pytestmark = pytest.mark.unit

_LINE = 17
_RULE = Rule(ceiling_ms=4000, late_ms=1000, off_within_ms=3000)
_TRACE = """\
# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
       doorstile-316     [001] .....    97.098377: gpio_value: 987 set 0
       doorstile-316     [001] .....    97.098400: gpio_direction: 987 out (0)
      pulse-guard-320    [000] d..1.   100.750614: gpio_value: 987 set 1
           gpioget-400   [000] .....   101.000000: gpio_value: 993 get 1
   some task-1-401       [000] .....   102.500000: gpio_direction: 993  in (0)
"""


def _edges(*levels: tuple[float, int]) -> list[Edge]:
    return [Edge(_LINE, level, at_ms, 1) for at_ms, level in levels]


def _faults(edges: list[Edge], openings_ms: list[float], ends_ms: tuple[float, ...] = ()) -> list[str]:
    return list(faults_of(edges, _LINE, openings_ms, ends_ms, _RULE))


def test_settings_and_releases_are_read_and_what_only_reads_a_line_is_not() -> None:
    assert [(edge.line, edge.level, round(edge.at_ms), edge.pid, edge.is_input) for edge in parse(_TRACE)] == [
        (17, 0, 97098, 316, False),
        (17, 1, 100751, 320, False),
        (23, 0, 102500, 401, True),
    ]


def test_a_level_that_is_told_twice_is_one_pulse() -> None:
    assert pulses(_edges((1, 0), (2, 1), (3, 1), (5, 0), (6, 0), (8, 1)), _LINE) == [Pulse(2, 5), Pulse(8, None)]


def test_other_lines_do_not_count() -> None:
    assert pulses([Edge(23, 1, 1, 1)], _LINE) == []


def test_pulses_in_their_grants_are_no_fault() -> None:
    assert _faults(_edges((0, 0), (1010, 1), (3010, 0), (9020, 1), (11020, 0)), [1000, 9000]) == []


def test_a_pulse_before_any_grant_is_found() -> None:
    assert _faults(_edges((900, 1), (2900, 0)), [1000]) == ["on at 900: pulse 1, 0 durable openings before"]


def test_a_second_pulse_of_one_grant_is_found() -> None:
    assert _faults(_edges((1010, 1), (3010, 0), (4000, 1), (5000, 0)), [1000]) == [
        "on at 4000: pulse 2, 1 durable openings before"
    ]


def test_a_pulse_long_after_its_grant_is_found() -> None:
    assert _faults(_edges((20_000, 1), (21_000, 0)), [1000]) == ["on at 20000: pulse 1, 1 durable openings before"]


def test_a_pulse_beyond_its_ceiling_is_found() -> None:
    assert _faults(_edges((1010, 1), (7010, 0)), [1000]) == ["on for 6000 ms from 1010"]


def test_a_pulse_that_never_ends_is_found() -> None:
    assert _faults(_edges((1010, 1)), [1000]) == ["on since 1010"]


def test_a_line_that_is_let_go_is_found() -> None:
    assert _faults([Edge(_LINE, 0, 5, 1, is_input=True)], []) == ["line let go at 5"]


def test_after_a_kill_the_line_has_its_time_from_then_on() -> None:
    killed_in_time = _edges((1010, 1), (6200, 0))
    assert _faults(killed_in_time, [1000], (3300,)) == []
    assert _faults(killed_in_time, [1000], (3100,)) == ["on for 5190 ms from 1010"]
    assert left_on_ms(killed_in_time, _LINE, (3300, 9000)) == [2900]
