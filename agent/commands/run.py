"""`doorstile run`: the service's process."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from agent.config import load_config
from wire.errors import DoorstileError

log = logging.getLogger("agent")

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="File to read [/etc/doorstile/agent.toml]."
)
@click.option("--state", type=click.Path(path_type=Path), help="State folder, instead of the file's.")
@click.option("--profile", help="Hardware profile, instead of the file's.")
@click.option("--kiosk-port", type=click.IntRange(0, 65535), help="Port of the local page, instead of the file's.")
def run(config_path: Path | None, state: Path | None, profile: str | None, kiosk_port: int | None) -> None:
    """Work the door until stopped. Exits with 1 on a fault; the service starts it again."""
    from agent.app import Overrides, configure, main  # the agent proper is imported when it runs

    config = configure(load_config(config_path), Overrides(state=state, profile=profile, kiosk_port=kiosk_port))
    logging.basicConfig(level=config.log_level.upper(), format=_FORMAT, stream=sys.stderr)
    try:
        asyncio.run(_until_stopped(main(config)))
    except* DoorstileError as group:
        for error in _leaves(group):
            log.critical("stopped: %s", error)
        sys.exit(1)


async def _until_stopped(agent) -> None:
    pass
