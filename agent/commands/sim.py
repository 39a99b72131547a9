"""`doorstile sim`: people and accidents at a simulated door."""

import asyncio
from pathlib import Path
from typing import Final

import click

from agent.config import load_config
from agent.simulation import SimAnswer, SimRequest, ask

_HEAR_S: Final = 2.0
"""Longer than an input is weighed and a slow disk takes."""


@click.group()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The agent's configuration.")
@click.option("--state", type=click.Path(path_type=Path), help="The agent's state folder.")
@click.pass_context
def sim(ctx: click.Context, config_path: Path | None, state: Path | None) -> None:
    """Work the simulated hardware of a running agent."""
    ctx.obj = state or load_config(config_path).state_folder


def _do(folder: Path, do: str, hear_s: float = 0, **args: str | None) -> SimAnswer:
    request = SimRequest(do=do, args={name: value for name, value in args.items() if value is not None}, hear_s=hear_s)
    try:
        answer = asyncio.run(ask(folder, request))
    except (OSError, TimeoutError) as error:
        raise click.ClickException(
            f"no agent with simulated hardware answers on {folder} ({error}); start one: "
            f"doorstile run --profile simulated --state {folder}"
        ) from error
    if answer.error:
        raise click.ClickException(answer.error)
    return answer


def _heard(folder: Path, do: str, **args: str | None) -> None:
    """Do it, and say what the door recorded of it."""
    answer = _do(folder, do, _HEAR_S, **args)
    click.echo(answer.heard or _nothing(do, answer.door.get("screen", "nothing")))


def _nothing(do: str, screen: str) -> str:
    again = "; the same again so soon is one presentation" if do in {"tap", "qr"} else ""
    return f"nothing was recorded of it within {_HEAR_S:g} s{again}; the door shows: {screen}"


@sim.command()
@click.argument("uid")
@click.option("--reader", help="The reader's name in the profile [the first].")
@click.pass_obj
def tap(folder: Path, uid: str, reader: str | None) -> None:
    """Tap a card; UID is 8, 14 or 20 hex digits.

    Prints what was decided. The same card again within a few seconds is the same presentation.
    """
    _heard(folder, "tap", uid=uid, reader=reader)


@sim.command()
@click.argument("text")
@click.option("--reader", help="The reader's name in the profile [the first].")
@click.pass_obj
def qr(folder: Path, text: str, reader: str | None) -> None:
    """Show a QR code that holds TEXT."""
    _heard(folder, "qr", text=text, reader=reader)


@sim.command()
@click.argument("state", type=click.Choice(["on", "off"]))
@click.pass_obj
def walk(folder: Path, state: str) -> None:
    """Let those who are let in walk through, or not.

    The grants of those who stand where they are are unused.
    """
    _do(folder, "walk", state=state)
    click.echo(f"visitors walk through: {state}")


def _verb(name: str, input_: str, state: str, text: str) -> None:
    @sim.command(name, help=text)
    @click.pass_obj
    def verb(folder: Path) -> None:
        _heard(folder, "input", input=input_, state=state)


def _switch(name: str, input_: str, text: str) -> None:
    @sim.command(name, help=text)
    @click.argument("state", type=click.Choice(["on", "off"]))
    @click.pass_obj
    def switch(folder: Path, state: str) -> None:
        _heard(folder, "input", input=input_, state=state)


_verb("open", "contact", "on", "Open the door.")
_verb("close", "contact", "off", "Close the door.")
_verb("rex", "rex", "touch", "Press the exit button.")
_verb("assist", "assist", "touch", "Press the button that calls staff.")
_switch("fire", "fire", "Set the fire alarm off, or end it.")
_switch("tamper", "tamper", "Open the housing, or close it.")
_switch("busy", "busy", "Let the turnstile be turning, or ready again.")
_switch("interlock", "interlock", "Open the other door of the pair, or close it.")
_switch("mains-fail", "mains_fail", "Let the mains fail, or come back.")


@sim.command()
@click.argument("way", type=click.Choice(["in", "out"]))
@click.pass_obj
def turn(folder: Path, way: str) -> None:
    """Pass through the turnstile."""
    _heard(folder, "input", input=f"passage_{way}", state="touch")


@sim.command("input")
@click.argument("name")
@click.argument("state", type=click.Choice(["on", "off", "touch"]))
@click.pass_obj
def input_(folder: Path, name: str, state: str) -> None:
    """Work any input by its name in the profile."""
    _heard(folder, "input", input=name, state=state)


@sim.command()
@click.argument("state", type=click.Choice(["cut", "heal"]))
@click.pass_obj
def link(folder: Path, state: str) -> None:
    """Cut the connection to central, or let it through again."""
    _do(folder, "link", state=state)
    click.echo("link: cut" if state == "cut" else "link: let through; the agent connects again by itself")


@sim.command()
@click.option("--shift-s", type=float, default=0.0, help="Move the wall clock by this many seconds.")
@click.option("--synced", type=click.Choice(["yes", "no", "kernel"]), help="Claim NTP's state; kernel: its own word.")
@click.pass_obj
def clock(folder: Path, shift_s: float, synced: str | None) -> None:
    """Make the agent's clock wrong, or right again without options."""
    answer = _do(folder, "clock", shift_s=str(shift_s), synced=synced or "kernel")
    click.echo(f"clock: {answer.door.get('clock', '')}")


@sim.command()
@click.argument("what", type=click.Choice(["torn", "unplug", "replug"]))
@click.option("--reader", help="The reader's name in the profile [the first].")
@click.pass_obj
def reader(folder: Path, what: str, reader: str | None) -> None:
    """Tear a card away, unplug a reader, plug it in again."""
    _heard(folder, what, reader=reader)


@sim.command()
@click.pass_obj
def kill(folder: Path) -> None:
    """End the agent by SIGKILL, as a power cut would."""
    try:
        _do(folder, "kill")
    except click.ClickException as error:
        if "went away" not in error.message and "reset" not in error.message.lower():
            raise


@sim.command()
@click.pass_obj
def status(folder: Path) -> None:
    """Print what the simulated door looks like."""
    for name, value in _do(folder, "status").door.items():
        click.echo(f"{name:<10} {value}")
