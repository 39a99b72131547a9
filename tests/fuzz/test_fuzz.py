"""Every target on its kept corpus, and on as many fresh mutations as fit into seconds."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import good_inputs, kept, mutated
from tests.fuzz.names import NAMES
from tests.fuzz.registry import TARGETS
from tests.fuzz.watch import watched, weighed

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

_NAMES = sorted(TARGETS)
_FRESH = 60
_FRESH_IN_DATABASE = 12
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Refusals are logged, thousands of them."""
    import logging

    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", _NAMES)
def test_kept_inputs_do_no_harm(name: str) -> None:
    for data in good_inputs(TARGETS[name]):
        watched(TARGETS[name], data)


@pytest.mark.parametrize("name", _NAMES)
def test_memory_stays_within_bounds(name: str) -> None:
    largest = sorted(good_inputs(TARGETS[name]), key=len)[-3:]
    for data in largest:
        weighed(TARGETS[name], data)


@pytest.mark.parametrize("name", _NAMES)
def test_fresh_mutations_do_no_harm(name: str) -> None:
    target = TARGETS[name]
    good = good_inputs(target)
    examples = _FRESH_IN_DATABASE if target.uses_database else _FRESH

    @settings(max_examples=examples, suppress_health_check=_CHECKS, phases=[Phase.generate])
    @given(st.integers(0, 2**64 - 1))
    def mutate(seed: int) -> None:
        watched(target, mutated(Random(seed), good))

    mutate()


@pytest.mark.parametrize("name", _NAMES)
def test_raw_bytes_do_no_harm(name: str) -> None:
    target = TARGETS[name]
    examples = _FRESH_IN_DATABASE if target.uses_database else _FRESH

    @settings(max_examples=examples, suppress_health_check=_CHECKS, phases=[Phase.generate, Phase.shrink])
    @given(st.binary(max_size=512))
    def run(data: bytes) -> None:
        watched(target, data)

    run()


@pytest.mark.parametrize("name", _NAMES)
def test_a_corpus_is_kept_and_small(name: str) -> None:
    inputs = kept(TARGETS[name])
    assert inputs, f"run: python -m tests.fuzz {name} --seconds 60 --keep"
    assert sum(map(len, inputs)) < 256 * 1024


def test_the_command_line_knows_every_target() -> None:
    assert tuple(_NAMES) == NAMES
