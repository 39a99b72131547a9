"""`doorstile demo`: everything at once, on this machine, without hardware."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from demo.compare import Comparison
from demo.play import CHECK, MINUTE, play
from demo.world import Setup, free_port, is_free, world
from wire.errors import DoorstileError


@click.command()
@click.option("--check", is_flag=True, help="Play at speed without pages, compare both sides, exit with 0 or 1.")
@click.option("--port", default=8000, show_default=True, help="Port of the dashboard.")
@click.option("--kiosk-port", default=8080, show_default=True, help="Port of the kiosk page.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep all data and logs in this folder.")
@click.option("--stay", is_flag=True, help="Go on after the play until Ctrl-C.")
def demo(*, check: bool, port: int, kiosk_port: int, keep: Path | None, stay: bool) -> None:
    """Play a minute at a simulated door with a central of its own."""
    if check:
        port, kiosk_port = 0, free_port()
    else:
        _require_free(port, kiosk_port)
    with _folder(keep) as folder:
        try:
            is_equal = asyncio.run(_perform(folder, port, kiosk_port, check=check, stay=stay))
        except DoorstileError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            return
    if not is_equal:
        sys.exit(1)


def _require_free(port: int, kiosk_port: int) -> None:
    for wanted in (port, kiosk_port):
        if not is_free(wanted):
            other = f"--port {port + 10} --kiosk-port {kiosk_port + 10}"
            raise click.ClickException(f'port {wanted} is in use; try: make demo ARGS="{other}"')


async def _perform(folder: Path, port: int, kiosk_port: int, *, check: bool, stay: bool) -> bool:
    began = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - began:5.1f} s  {line}")

    async with world(folder, Setup(port, kiosk_port), say) as built:
        if not check:
            say(f"Dashboard  {built.central_url}/  (user {built.seed.username}, password {built.seed.password})")
            say(f"Kiosk      http://127.0.0.1:{kiosk_port}/")
        found = await play(built, CHECK if check else MINUTE, say)
        _report(found)
        if stay:
            click.echo("Going on until Ctrl-C.")
            await asyncio.Event().wait()
    return found.is_equal


def _report(found: Comparison) -> None:
    click.echo(f"{'':9}{'events':<24}{'device':>8}{'central':>9}")
    click.echo(f"{'':9}{'recorded':<24}{len(found.device):>8}{len(found.central):>9}")
    for name, count in (
        ("lost", len(found.missing)),
        ("invented", len(found.invented)),
        ("changed", len(found.different)),
        ("twice", found.twice),
        ("rejected", found.dead_letters),
    ):
        click.echo(f"{'':9}{name:<24}{'':>8}{count:>9}")
    click.echo(f"{'':9}{'visits':<24}{'':>8}{found.visits:>9}")
    click.echo("Both sides are equal." if found.is_equal else "THE SIDES DIFFER.")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="doorstile-demo-") as folder:
        yield Path(folder)
