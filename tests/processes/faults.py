"""The fault table: `python -m tests.processes.faults [--only F12]`.

Every row runs against the real agent, the real central or the real component, one after the other, and ends as `ok`,
`short` or `not run` with its reason. Then the planted bugs.
"""

import asyncio
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from tests.processes.doors import central_alone
from tests.processes.lab import Lab, Row
from tests.processes.verdicts import NOT_RUN, OK, SHORT, Ending, attempted

MODULES: Final = ("power", "disk", "door", "process", "network", "central", "clock")
ROW_WITHIN_S: Final = 240.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a row ended."""

    row: Row
    ending: Ending

    def text(self) -> str:
        """Return the row for people."""
        row, ending = self.row, self.ending
        head = f"{row.id:<8} {ending.verdict:<8}{ending.seconds:6.1f} s  {row.promise} | {row.did}"
        return ending.row(head, indent=27, at_most=600)


def rows(only: tuple[str, ...] = (), *, is_quick: bool = False) -> list[Row]:
    """Return the rows in order; `only` keeps those whose id begins so, `is_quick` those of the short form."""
    every = [row for name in MODULES for row in import_module(f"tests.processes.rows_{name}").TABLE.rows]
    kept = [row for row in every if not only or row.id.startswith(only)]
    kept = [row for row in kept if row.is_quick or not is_quick]
    return sorted(kept, key=lambda row: row.id)


@contextlib.asynccontextmanager
async def lab_in(folder: Path) -> AsyncIterator[Lab]:
    """Run the central that rows share."""
    async with central_alone(folder / "central") as central:
        yield Lab(folder, central)


async def run_row(row: Row, lab: Lab) -> Result:
    """Run one row; whatever happens becomes its result."""
    return Result(row, await attempted(row.attempt(lab), within_s=ROW_WITHIN_S))


async def table(folder: Path, chosen: list[Row]) -> list[Result]:
    """Run rows one by one, printing each as it ends."""
    results = []
    async with lab_in(folder) as lab:
        for row in chosen:
            result = await run_row(row, lab)
            results.append(result)
            click.echo(result.text())
    return results


def planted() -> bool:
    """Run the planted bugs and print their table; False where one escaped."""
    if importlib.util.find_spec("tests.planted.__main__") is None:
        click.echo("planted bugs: not run: tests/planted has no table to run yet")
        return True
    return subprocess.run([sys.executable, "-m", "tests.planted"], check=False).returncode == 0


@click.command()
@click.option("--only", multiple=True, help="Rows whose id begins so, such as F12; may be repeated.")
@click.option("--no-planted", is_flag=True, help="Leave out the planted bugs.")
def main(only: tuple[str, ...], *, no_planted: bool) -> None:
    """Run the fault table; exits with 1 where a promise is not kept or a planted bug escapes."""
    with tempfile.TemporaryDirectory(prefix="doorstile-faults-", ignore_cleanup_errors=True) as folder:
        results = asyncio.run(table(Path(folder), rows(only)))
    counts = Counter(result.ending.verdict for result in results)
    click.echo(", ".join(f"{counts[verdict]} {verdict}" for verdict in (OK, SHORT, NOT_RUN)))
    all_caught = no_planted or planted()
    if counts[SHORT] or not all_caught:
        sys.exit(1)


if __name__ == "__main__":
    main()
