"""The short form of `make faults`: the quick rows, against one central."""

from pathlib import Path

import pytest

from tests.processes.faults import lab_in, rows, run_row
from tests.processes.verdicts import NOT_RUN, OK

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(400)]


def test_every_row_says_what_is_promised_and_what_is_done() -> None:
    every = rows()
    assert len(every) > 40
    assert all(row.promise and row.did for row in every)
    assert [row.id for row in every] == sorted(row.id for row in every)


async def test_quick_rows_keep_their_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with lab_in(tmp_path) as lab:
        results = [await run_row(row, lab) for row in rows(is_quick=True)]
    with capsys.disabled():
        print("\n" + "\n".join(f"  {result.text()}" for result in results))
    assert [result.text() for result in results if result.ending.verdict not in (OK, NOT_RUN)] == []
