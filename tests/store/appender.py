"""A process that appends until it is killed and says what was durable: `python -m tests.store.appender FOLDER`."""

import asyncio
import sys
from pathlib import Path

from agent.store.journal import Journal
from tests.store.samples import DEVICE, QUICK, begun


async def _append_for_ever(folder: Path) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    for finding in journal.report.found:
        print("found", finding, flush=True)
    while True:
        for event in await asyncio.gather(*(journal.append(begun("x" * 50)) for _ in range(3))):
            print(event.run, event.n, flush=True)


if __name__ == "__main__":
    asyncio.run(_append_for_ever(Path(sys.argv[1])))
