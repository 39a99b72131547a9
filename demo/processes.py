"""The programs of the demo, each a process of its own with its own log."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from wire.errors import DoorstileError

STOP_TIMEOUT_S: Final = 10.0
_LAST_LINES: Final = 15


class DemoError(DoorstileError):
    """A part of the demo did not do what it should; names the log that says why."""


def doorstile(*words: str) -> list[str]:
    """Return the command line of a `doorstile` verb in this very Python."""
    return [sys.executable, "-m", "agent", *words]


def manage(*words: str) -> list[str]:
    """Return the command line of a management command of central."""
    return [sys.executable, "-m", "central.manage", *words]


@asynccontextmanager
async def running(
    name: str, command: list[str], folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program as long as the block lasts; its output goes to `folder/name.log`, appended."""
    with (folder / f"{name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ask a program to end, and end it if it does not."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def kill(process: asyncio.subprocess.Process) -> None:
    """End a program as a power cut would."""
    if process.returncode is None:
        process.kill()
        await process.wait()


async def output_of(command: list[str], *, env: Mapping[str, str] | None = None, timeout_s: float = 60) -> bytes:
    """Run a program to its end and return what it printed; raise DemoError with its complaint."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        await kill(process)
        raise DemoError(f"{' '.join(command[2:4])} did not end within {timeout_s:g} s") from None
    if process.returncode != 0:
        said = (err or out).decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise DemoError(f"{' '.join(command[2:4])} failed:\n" + "\n".join(said))
    return out


def tail_of(name: str, folder: Path) -> str:
    """Return the last lines of a program's log."""
    lines = (folder / f"{name}.log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])
