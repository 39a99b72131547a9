"""The `doorstile` command: a table of verbs, each imported only when it is called.

`agent` starts fast on a Pi because nothing here imports what the called verb does not need.
"""

import importlib
import sys
from typing import Final

import click

from wire.errors import DoorstileError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("agent.commands.run:run", "Work the door: what the service starts."),
    "join": ("provisioning.join:join", "Make this device a member of a site."),
    "hardware": ("agent.commands.hardware:hardware", "Show and try out this door's hardware: list, watch, test, key."),
    "why": ("agent.commands.why:why", "Explain a decision rule by rule, from the device's directory."),
    "journal": ("agent.commands.journal:journal", "Look into the device's journal: tail, export, verify."),
    "demo": ("demo.command:demo", "Play a minute at a simulated door with a central of its own."),
    "sim": ("agent.commands.sim:sim", "Work the simulated hardware of a running agent."),
    "central": ("central.embedded:main", "Run the central server in one process."),
    "pass": ("central.passes.command:passes", "Issue, show, check and revoke passes, at central."),
    "version": ("agent.commands.version:version", "Print the version."),
}
"""Verb to `module:command` and its line in the help."""


class Verbs(click.Group):
    """A group whose commands are imported when they are called; the help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a device's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == module.partition(".")[0]:
                raise
            raise click.ClickException(
                f"{cmd_name} needs the Python package {error.name!r}; pip install 'doorstile[central]'"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs from the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in COMMANDS.items()])


def _print_version(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        verb = doorstile.get_command(ctx, "version")
        assert verb is not None
        ctx.invoke(verb)
        ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def doorstile() -> None:
    """Doorstile: a door that never forgets a check-in."""


def main() -> None:
    """Run the command; a fault that Doorstile names is printed in one line and exits with 1."""
    try:
        doorstile.main(prog_name="doorstile", standalone_mode=True)
    except DoorstileError as error:
        click.echo(f"doorstile: {error}", err=True)
        sys.exit(1)
