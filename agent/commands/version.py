"""`doorstile version`."""

import platform

import click

from agent import __version__
from wire.version import SPOKEN


@click.command()
def version() -> None:
    """Print the version of the program, of the protocol and of Python."""
    click.echo(f"doorstile {__version__}, protocol {SPOKEN.min} to {SPOKEN.max}, Python {platform.python_version()}")
