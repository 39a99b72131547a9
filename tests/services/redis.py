"""A private redis-server on a Unix socket, for tests that need two processes to hear each other."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

_START_WITHIN_S = 10.0


def need_redis() -> str:
    """Return the path of redis-server; skip where it is missing, fail there when CI=true."""
    found = shutil.which("redis-server")
    if found:
        return found
    reason = "needs a real Redis: apt install redis-server"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_redis() -> Iterator[str]:
    """Run Redis without persistence in a folder of its own; yield its URL."""
    server = need_redis()
    with tempfile.TemporaryDirectory(prefix="doorstile-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = [
            server,
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            _wait_for(path, process)
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.wait(_START_WITHIN_S)


def _wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    pause = Event()
    for _ in range(int(_START_WITHIN_S / 0.02)):
        if path.exists():
            return
        assert process.poll() is None, f"redis-server ended with {process.returncode}"
        pause.wait(0.02)
    pytest.fail(f"redis-server did not listen within {_START_WITHIN_S} s")
