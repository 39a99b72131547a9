"""A private PostgreSQL cluster on a Unix socket, made in a second and gone after the tests.

PostgreSQL refuses to run as root; there the cluster belongs to the user `postgres`, whom Debian's package creates.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_NAME = "doorstile"
_START_WITHIN_S = 30


def need_postgres() -> Path:
    """Return the folder of the newest PostgreSQL's programs; skip where there is none, fail there when CI=true."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    reason = "needs a real PostgreSQL: apt install postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_postgres(*, below: Path | None = None, is_durable: bool = False) -> Iterator[str]:
    """Run a cluster in a folder of its own; yield the URL of an empty database in it.

    A durable one flushes as in production; tests do without, as nothing of theirs has to survive.
    """
    programs = need_postgres()
    with tempfile.TemporaryDirectory(prefix="doorstile-pg-", dir=below) as folder:
        cluster = Path(folder) / "cluster"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        _run(programs / "initdb", "-D", cluster, "-U", _NAME, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        flushes = "" if is_durable else " -c fsync=off -c full_page_writes=off"
        options = f"-k {folder} -c listen_addresses='' -c max_connections=60{flushes}"
        start = ("-o", options, "-l", cluster / "log", "-w", "-t", _START_WITHIN_S, "start")
        _run(programs / "pg_ctl", "-D", cluster, *start)
        try:
            _run(programs / "createdb", "-h", folder, "-U", _NAME, _NAME)
            yield f"postgresql://{_NAME}@/{_NAME}?host={folder}"
        finally:
            _run(programs / "pg_ctl", "-D", cluster, "-m", "immediate", "-w", "stop")


def _run(program: Path, *arguments: object) -> None:
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*as_owner, str(program), *map(str, arguments)]
    # pg_ctl's children keep its output open: a pipe would never end.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, check=False, cwd="/")
        said.seek(0)
        assert done.returncode == 0, f"{program.name} failed: {said.read().decode(errors='replace')}"
