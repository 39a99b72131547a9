"""How often a process flushes and how much it writes, without root: a preloaded counter and /proc/self/io."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("flushes.c")
_COUNTER: Final = "DOORSTILE_FLUSHES"


def counted_run(module: str, arguments: list[str], folder: Path) -> str | None:
    """Run a module with its flushes counted and return what it printed; None where no C compiler is installed."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library, counter = folder / "flushes.so", folder / "flushes"
    if not library.exists():
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl"], check=True)
    counter.write_bytes(bytes(8))
    environment = {**os.environ, "LD_PRELOAD": str(library), _COUNTER: str(counter)}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout


def flushes_so_far() -> int:
    """Return the flushes of this process, which `counted_run` started."""
    return int.from_bytes(Path(os.environ[_COUNTER]).read_bytes(), sys.byteorder)


def bytes_written_so_far() -> int:
    """Return what this process gave to disks, as the kernel accounts it (proc(5), /proc/pid/io)."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])
