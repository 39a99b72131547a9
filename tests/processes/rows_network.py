from typing import Final

from tests.processes.lab import Table

TABLE: Final = Table()
