"""The device test: `python -m tests.device [--only door] [--long]`.

Boots a Debian under QEMU with simulated lines, keyboards and card readers in its kernel, in which the agent runs from
our wheel as its unit starts it. Prints a row for each case and exits with 1 where one is short.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter, deque
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from tests.device.door import Bench
from tests.device.image import cache_folder, ensure, only_one
from tests.device.table import LONG, Case, Result, Scale, run_case
from tests.processes.doors import central_alone
from tests.processes.lab import NotRunError
from tests.processes.verdicts import NOT_RUN, OK, SHORT

MODULES: Final = ("door", "reader", "power", "keyboard", "inputs")


def cases(only: tuple[str, ...] = ()) -> list[Case]:
    """Return the cases in order; `only` keeps those whose id begins so."""
    every = [case for name in MODULES for case in import_module(f"tests.device.cases_{name}").TABLE.cases]
    return [case for case in every if not only or case.id.startswith(only)]


async def run(chosen: list[Case], scale: Scale, folder: Path, at_once: int) -> list[Result]:
    """Run cases, each in a guest of its own, so many at a time; print each as it ends."""
    ready = await ensure(cache_folder())
    waiting, results = deque(chosen), list[Result]()

    async def lane(inner: Path) -> None:
        """Run what waits, with a central of our own: at another door the same members would be in already."""
        async with central_alone(inner / "central") as central:
            while waiting:
                result = await run_case(waiting.popleft(), Bench(inner, central, ready), scale)
                results.append(result)
                click.echo(result.text())

    async with asyncio.TaskGroup() as tasks:
        for number in range(min(at_once, len(chosen))):
            tasks.create_task(lane(folder / str(number)), name=f"lane {number}")
    return results


@click.command()
@click.option("--only", multiple=True, help="Cases whose id begins so, such as door; may be repeated.")
@click.option("--long", "is_long", is_flag=True, help="As often as before a release: hours.")
@click.option(
    "--at-once",
    type=click.IntRange(1),
    default=min(2, os.cpu_count() or 1),
    show_default=True,
    help="Guests at a time.",
)
@click.option("--restarts", type=click.IntRange(0), help="Restarts of the agent.")
@click.option("--crashes", type=click.IntRange(0), help="Kills of the agent.")
@click.option("--greens", type=click.IntRange(1), help="Visitors before the power is cut.")
@click.option("--cuts", type=click.IntRange(0), help="Power cuts.")
@click.option("--codes", type=click.IntRange(1), help="Codes typed with each layout.")
@click.option("--replugs", type=click.IntRange(0), help="Times that a keyboard is pulled out and plugged in.")
@click.option("--pulls", type=click.IntRange(0), help="Times that a card reader is pulled out and plugged in.")
def main(only: tuple[str, ...], *, is_long: bool, at_once: int, **counts: int | None) -> None:
    """Run the device test; exits with 1 where a promise is not kept, with 2 where there is no guest to run it in."""
    scale = replace(
        LONG if is_long else Scale(), **{name: count for name, count in counts.items() if count is not None}
    )
    try:
        with (
            only_one(cache_folder()),
            tempfile.TemporaryDirectory(prefix="doorstile-device-", ignore_cleanup_errors=True) as folder,
        ):
            results = asyncio.run(run(cases(only), scale, Path(folder), at_once))
    except NotRunError as reason:
        click.echo(f"device: not run: {reason}", err=True)
        sys.exit(2)
    counts_by = Counter(result.ending.verdict for result in results)
    click.echo(", ".join(f"{counts_by[verdict]} {verdict}" for verdict in (OK, SHORT, NOT_RUN)))
    if counts_by[SHORT] or not counts_by[OK]:
        sys.exit(1)


if __name__ == "__main__":
    main()
