from pathlib import Path

import pytest

from bench.measure import (
    ROUNDS,
    Options,
    Target,
    conclude,
    figure,
    in_turn,
    in_turn_async,
    print_table,
    quantile,
    raw_flushes,
    read_options,
    work_folder,
)

pytestmark = pytest.mark.unit

FULL = Options(is_quick=False, rounds=ROUNDS, folder=Path())
QUICK = Options(is_quick=True, rounds=2, folder=Path())
MET = Target("first_ms", 4.0, 5)
SHORT = Target("second_ms", 6.0, 5)


def test_a_target_says_name_value_limit_and_verdict() -> None:
    assert [str(MET), str(SHORT)] == ["target first_ms 4 5 ok", "target second_ms 6 5 short"]


def test_a_floor_is_kept_from_above() -> None:
    assert [Target("r", value, 0.8, is_floor=True).is_met for value in (0.79, 0.8, 0.81)] == [False, True, True]


def test_a_limit_is_kept_from_below() -> None:
    assert [Target("r", value, 1.5).is_met for value in (1.49, 1.5, 1.51)] == [True, True, False]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.0123"), (1.5, "1.5"), (99.96, "100"), (123.4, "123"), (20_000.0, "20000")]
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert figure(value) == text


def test_one_short_target_fails_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert [conclude([MET], FULL), conclude([MET, SHORT], FULL)] == [0, 1]
    assert capsys.readouterr().out.splitlines() == [str(MET), str(MET), str(SHORT)]


def test_a_quick_run_judges_nothing() -> None:
    assert conclude([SHORT], QUICK) == 0


def test_contenders_take_turns_round_by_round() -> None:
    order: list[str] = []

    def work(name: str) -> int:
        order.append(name)
        return len(order)

    results = in_turn(2, {"floor": lambda: work("floor"), "ours": lambda: work("ours")})
    assert order == ["floor", "ours", "floor", "ours"]
    assert results == {"floor": [1, 3], "ours": [2, 4]}


async def test_contenders_that_await_take_turns_too() -> None:
    order: list[str] = []

    async def one() -> str:
        order.append("one")
        return "a"

    async def two() -> str:
        order.append("two")
        return "b"

    assert await in_turn_async(2, {"one": one, "two": two}) == {"one": ["a", "a"], "two": ["b", "b"]}
    assert order == ["one", "two", "one", "two"]


def test_a_quantile_is_a_figure_that_was_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 51, 100, 100]


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("", "us"), [("floor", 12.345), ("ours, alone", 7)])
    assert capsys.readouterr().out == "               us\nfloor        12.3\nours, alone     7\n"


def test_options_never_go_below_the_rounds_that_may_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for arguments in (["bench"], ["bench", "--rounds", "3"], ["bench", "--rounds", "9"], ["bench", "--quick"]):
        monkeypatch.setattr("sys.argv", arguments)
        options = read_options("What it measures.\n\nAt length.")
        found.append((options.rounds, options.is_quick))
    assert found == [(ROUNDS, False), (ROUNDS, False), (9, False), (2, True)]


def test_the_work_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with work_folder(Options(is_quick=True, rounds=2, folder=tmp_path)) as folder:
        assert raw_flushes(folder, 2)
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
