"""A directory that a test fills by hand."""

from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef


class MemoryDirectory:
    """Rows by their keyed index."""

    def __init__(self, *rows: DirectoryRow, ref: DirectoryRef | None = None) -> None:
        self.rows = {row.key: row for row in rows}
        self.ref = ref

    def find(self, key: str) -> DirectoryRow | None:
        return self.rows.get(key)
