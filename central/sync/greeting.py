"""Reading a `hello` and writing the `welcome`. Pure."""

import re
from typing import Final

from central.sync.exchange import Opened, Terms
from wire.directory import DELTAS
from wire.limits import MAX_RUNS_IN_HELLO
from wire.messages import Hello, RunState, Welcome
from wire.vocabulary import DirectoryMode

MAX_ID_CHARS: Final = 64
_RUN = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"[!-~]{1,64}")
_HEAD = re.compile(r"[0-9a-f]{64}")


def fault_of(hello: Hello, device: str) -> str | None:
    """Return what is wrong with a hello, or None; what passes fits the database's columns."""
    if hello.device != device:
        return "device is another than the token's"
    if not (is_id(hello.store) and is_id(hello.boot)):
        return f"store and boot must be 1 to {MAX_ID_CHARS} printable characters"
    if len(hello.runs) > MAX_RUNS_IN_HELLO:
        return f"{len(hello.runs)} runs, at most {MAX_RUNS_IN_HELLO} are allowed"
    if len({run.run for run in hello.runs}) < len(hello.runs):
        return "a run is named twice"
    return next((fault for fault in map(_run_fault, hello.runs) if fault), None)


def is_id(text: str) -> bool:
    """Whether a device's word can be kept as an id."""
    return _ID.fullmatch(text) is not None


def _run_fault(run: RunState) -> str | None:
    if not _RUN.fullmatch(run.run):
        return f"run {run.run[:40]!a} is not 16 lower-case hex digits"
    if run.ord < 1 or run.acked > run.last:
        return f"run {run.run}: ord {run.ord}, acknowledged {run.acked} of {run.last}"
    if not _HEAD.fullmatch(run.head) or not (_HEAD.fullmatch(run.prev_head) or not run.prev_head):
        return f"run {run.run}: head and prev_head must be 64 lower-case hex digits"
    return None


def welcome_of(hello: Hello, opened: Opened, terms: Terms, proto: int) -> Welcome:
    """Return central's answer."""
    return Welcome(
        session=opened.session,
        server_ms=opened.now.wall_ms,
        proto=proto,
        runs=list(opened.runs),
        limits=terms.limits,
        hb_s=terms.hb_s,
        ack_timeout_s=terms.ack_timeout_s,
        lease_s=terms.lease_s,
        reconnect=terms.reconnect,
        dir=opened.directory,
        dir_mode=_mode_of(hello, opened),
        last_run=opened.last_run,
        dir_key=terms.directory_key,
        pres=opened.presence,
        tz=opened.time_zone,
    )


def _mode_of(hello: Hello, opened: Opened) -> DirectoryMode:
    """Return what is likely: whether a delta will do is only known once the changes are looked up."""
    held, newest = hello.dir, opened.directory
    if held == newest:
        return DirectoryMode.CURRENT
    is_near = held is not None and held.epoch == newest.epoch and held.ver <= newest.ver
    return DirectoryMode.DELTA if is_near and DELTAS in hello.feat else DirectoryMode.SNAPSHOT
