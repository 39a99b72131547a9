"""`doorstile hardware`: what the profile names and what is there, what it says, and whether it works.

Nothing here needs the agent, and what needs a line that the agent holds says so. Exits with 5 where hardware is at
fault.
"""

import logging
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from agent.commands.keying import key
from agent.commands.relay import relay
from agent.commands.trying import (
    HardwareFault,
    Named,
    built,
    line_of,
    notice,
    run,
    tell_of_own_people,
    test,
    with_profile,
)
from agent.commands.wrapping import wrapped
from hardware import trial
from hardware.base import InputChange, ReaderEvent
from hardware.discover import Found, look
from hardware.presence import Presence, Row, rows
from hardware.profiles import Profile, sensing_only
from hardware.proposal import Proposal, propose

_INDENT: Final = " " * 23


class Listing(msgspec.Struct, frozen=True):
    """What `list --json` prints."""

    profile: str
    parts: list[Row]
    found: Found
    proposal: Proposal


@click.group()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The agent's configuration.")
@click.option("--profile", help="Hardware profile, instead of the configuration's.")
@click.option("--state", type=click.Path(path_type=Path), help="The agent's state folder.")
@click.pass_context
def hardware(ctx: click.Context, config_path: Path | None, profile: str | None, state: Path | None) -> None:
    """Show and try out this door's hardware."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    ctx.obj = Named(config_path, profile, state)


@hardware.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_profile
def list_parts(profile: Profile, as_json: bool) -> None:
    """List what the profile names, and what is there.

    Says of each part whether it is there, what is plugged in, and which shipped profile would fit.
    """
    found = look()
    parts = rows(profile, found)
    proposal = propose(found)
    if as_json:
        click.echo(msgspec.json.encode(Listing(profile.name, parts, found, proposal)).decode())
    else:
        _print_lines(f"profile {profile.name}: {profile.description}", rest="  ")
        for row in parts:
            _print_row(row)
        _print_found(found, proposal)
    if any(row.presence is Presence.MISSING for row in parts):
        sys.exit(HardwareFault.exit_code)


def _print_row(row: Row) -> None:
    _print_lines(f"{row.key:<20} {row.presence:<8} {row.driver} {row.where}".rstrip(), first="  ", rest=_INDENT)
    for note in filter(None, (row.note, row.beep)):
        _print_note(note)


def _print_note(note: str) -> None:
    _print_lines(note, first=_INDENT, rest=_INDENT)


def _print_lines(text: str, *, first: str = "", rest: str = "") -> None:
    for line in wrapped(text, first=first, rest=rest):
        click.echo(line)


def _print_found(found: Found, proposal: Proposal) -> None:
    click.echo("plugged in")
    for usb in found.usb:
        click.echo(f"  usb {usb.port:<16} {usb.usb_id}  {usb.name}")
    for keyboard in found.keyboards:
        click.echo(f"  types {keyboard.event:<14} {keyboard.usb_id}  {keyboard.name}, {keyboard.port}")
    for name in found.pcsc:
        click.echo(f"  pcsc {'':<15} {name}")
    if found.pcsc_problem:
        click.echo("  pcsc")
        _print_note(found.pcsc_problem)
    for port in found.serial:
        click.echo(f"  serial {'':<13} {port}")
    for chip in found.gpio:
        click.echo(f"  gpio {chip.path:<15} {chip.label}, {chip.lines} lines")
    if found.rtc:
        click.echo(f"  clock {'/dev/rtc0':<14} {found.rtc}")
    _print_lines(f"fits: {proposal.profile} ({proposal.why})", rest="  ")
    for setting in proposal.settings:
        click.echo(f"  in a copy of it: {setting}")


@hardware.command()
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long [when interrupted].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@with_profile
def watch(profile: Profile, seconds: float | None, as_json: bool) -> None:
    """Print what readers and inputs say, as it happens.

    Cards and codes are masked; no output is touched.
    """

    def report(event: ReaderEvent | InputChange) -> None:
        noticed = notice(event)
        click.echo(msgspec.json.encode(noticed).decode() if as_json else line_of(noticed))

    tell_of_own_people(profile)
    things = built(sensing_only(profile))
    try:
        run(trial.watch(things, report, for_s=seconds))
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        things.close()


test.add_command(relay)
hardware.add_command(test)
hardware.add_command(key)
