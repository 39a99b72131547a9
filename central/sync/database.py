"""The threads that work for devices' connections: few, named, and apart from those of the web pages."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from asgiref.sync import sync_to_async
from django.db import DatabaseError, close_old_connections, connections

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_CLOSE_WITHIN_S = 5.0


class Database:
    """An async face of synchronous database work. Each connection has at most one call under way."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="doorstile-db")

    async def run(self, work: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        """Return `work(*args)`, done in a thread. Cancelling the wait does not stop the work."""
        return await sync_to_async(_renewing(work), thread_sensitive=False, executor=self._pool)(*args)

    def close(self) -> None:
        """Close the threads' connections and end them; nothing may be under way."""
        barrier = threading.Barrier(self._threads)
        for _ in range(self._threads):
            self._pool.submit(_close_all, barrier)
        self._pool.shutdown()


def _renewing(work: Callable[[*_Ts], _T]) -> Callable[[*_Ts], _T]:
    def renewed(*args: *_Ts) -> _T:
        try:
            return work(*args)
        except DatabaseError:
            # A connection that failed is looked at, and replaced where it is gone.
            close_old_connections()
            raise

    return renewed


def _close_all(barrier: threading.Barrier) -> None:
    connections.close_all()
    # No thread takes two of these: each waits here until all have theirs.
    barrier.wait(_CLOSE_WITHIN_S)
