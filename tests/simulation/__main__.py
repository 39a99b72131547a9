"""Plays seeds and prints what became of them: `python -m tests.simulation [--first N] [--seeds N] [--jobs N]`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")

import sys

import django


def main() -> int:
    """Run the command line."""
    django.setup()
    from tests.simulation.command import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
