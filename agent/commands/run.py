"""`doorstile run`: the service's process."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Final

import click

from agent.config import Config, load_config, overridden
from hardware.errors import HardwareError
from wire.errors import DoorstileError

log = logging.getLogger("agent")

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="File to read [/etc/doorstile/agent.toml].")
@click.option("--state", type=click.Path(path_type=Path), help="State folder, instead of the file's.")
@click.option("--profile", help="Hardware profile, instead of the file's.")
@click.option("--kiosk-port", type=click.IntRange(0, 65535), help="Port of the local page, instead of the file's.")
@click.option("--outputs-off", is_flag=True, help="Switch every output off and exit: for after a crash.")
def run(
    *, config: Path | None, state: Path | None, profile: str | None, kiosk_port: int | None, outputs_off: bool
) -> None:
    """Work the door until stopped. Exits with 1 on a fault; the service starts it again."""
    chosen = overridden(load_config(config), state=state, profile=profile, kiosk_port=kiosk_port)
    logging.basicConfig(level=chosen.log_level.upper(), format=_FORMAT, stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    if outputs_off:
        _switch_off(chosen.named_profile)
    else:
        _work(chosen)


def _switch_off(profile: str) -> None:
    """A Pi's line keeps its level when its owner is killed: the service calls this before it starts the agent anew."""
    from hardware.factory import drive_safe
    from hardware.profiles import load_profile

    try:
        drive_safe(load_profile(profile))
    except HardwareError as error:
        raise click.ClickException(str(error)) from error


def _work(chosen: Config) -> None:
    from agent.app import work  # everything that a door needs is imported when one is worked

    stopped_by: list[BaseException] = []
    try:
        asyncio.run(_until_signal(lambda: work(chosen)))
    except* (DoorstileError, HardwareError) as group:
        stopped_by += _leaves(group)
    for error in stopped_by:
        if _is_terminal():
            click.echo(f"doorstile run: {error}", err=True)
        else:
            log.critical("stopped: %s", error)
    if stopped_by:
        sys.exit(1)  # not within except*, where Python 3.11.2 makes a group of it


def _is_terminal() -> bool:
    """Whether a person reads this, who started the agent by hand."""
    return sys.stderr.isatty()


async def _until_signal(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run until SIGTERM or SIGINT, then unwind: the strike is off before anything else ends."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work(), name="agent")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.cancel)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
