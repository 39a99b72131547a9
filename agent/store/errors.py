"""The store's own faults, `agent.errors.StoreError` but for what counts as one of SQLite's."""

import sqlite3

from agent.errors import StoreError, StoreFullError


class QueueFullError(StoreFullError):
    """More events wait for the disk than the queue may hold; nothing of the refused draft was written."""


class DuplicatePromiseError(StoreError):
    """A draft opens a promise whose key is in use: what it names was begun before and must not begin again."""


class StepUsedError(StoreError):
    """A draft uses a step of a pass that is not higher than the last one: that code was shown here before."""


class MisshapenError(sqlite3.DatabaseError):
    """A file's tables are not those of the version that it says it has: damage, as what SQLite finds itself."""


class SchemaError(StoreError):
    """A file was written by another version of the agent and cannot be used by this one."""


class RowDamagedError(StoreError):
    """A stored row does not match its digest."""


class UnknownRunError(StoreError):
    """The journal does not hold the run."""


class AckRefusedError(StoreError):
    """An acknowledgement that the journal does not accept; nothing was changed.

    `first` to `upto` is the range it would have acknowledged.
    """

    def __init__(self, run: str, first: int, upto: int, why: str) -> None:
        super().__init__(f"acknowledgement of events {first} to {upto} of run {run} refused: {why}")
        self.run = run
        self.first = first
        self.upto = upto


class AckBeyondError(AckRefusedError):
    """The acknowledgement reaches beyond the last durable event: this storage went back, or central is wrong."""


class AckHeadError(AckRefusedError):
    """The chain head in the acknowledgement is not ours: the two sides hold different events."""
