"""Django's command line: `python -m central.manage COMMAND`."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run the management command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
