"""`python -m tests.fuzz TARGET|all --seconds N [--keep] [--engine atheris|mutation]`: the long form.

With atheris (the `fuzz` extra) the fuzzer is guided by coverage; without it, mutations of the corpus are drawn for as
long. `--keep` adds what reached new code to the corpus, smallest first. A violation is printed with its input, and the
exit code is 1.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.names import NAMES

MAX_KEPT: Final = 40
MAX_KEPT_BYTES: Final = 4096


def main(arguments: list[str]) -> int:
    """Fuzz what was asked for; return the exit code."""
    options = _options(arguments)
    names = NAMES if options.target == "all" else (options.target,)
    return max(_fuzzed(name, options) for name in names)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz one parser, or all in turn.")
    parser.add_argument("target", choices=(*NAMES, "all"))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add what reached new code to the corpus")
    default = "atheris" if find_spec("atheris") else "mutation"
    parser.add_argument("--engine", choices=("atheris", "mutation"), default=default)
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    return parser.parse_args(arguments)


def _fuzzed(name: str, options: argparse.Namespace) -> int:
    if options.engine == "mutation":
        return _mutate(name, options.seconds, options.seed)
    return _guided(name, options.seconds, is_kept=options.keep)


def _mutate(name: str, seconds: int, seed: int) -> int:
    from tests.fuzz.mutation import good_inputs, mutated
    from tests.fuzz.outside import prepared
    from tests.fuzz.watch import watched

    target = prepared(name)

    good, random, runs = good_inputs(target), Random(seed), 0
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        data = mutated(random, good)
        try:
            watched(target, data)
        except Exception as fault:  # supervising: the input is what matters
            path = Path(tempfile.mkdtemp(prefix="doorstile-fuzz-"), "input")
            path.write_bytes(data)
            print(f"{name}: {type(fault).__name__}: {fault}\n  input: {path}: {data[:200]!r}", file=sys.stderr)
            return 1
        runs += 1
    print(f"{name:20} {runs:9} inputs in {seconds} s, no violation (mutation, seed {seed})")
    return 0


def _guided(name: str, seconds: int, *, is_kept: bool) -> int:
    from tests.fuzz.target import CORPUS

    with tempfile.TemporaryDirectory(prefix="doorstile-fuzz-") as folder:
        found, minimal = Path(folder, "found"), Path(folder, "minimal")
        found.mkdir()
        minimal.mkdir()
        bounds = [
            f"-max_total_time={seconds}",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-max_len=4096",
            "-print_final_stats=1",
        ]
        kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
        code, said = _libfuzzer(name, [*bounds, str(found), *kept])
        if code != 0:
            _tell_crash(name, folder, said)
            return 1
        runs = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
        print(f"{name:20} {runs:>9} inputs in {seconds} s, no violation (atheris)")
        if is_kept:
            _keep(name, found)
    return 0


def _libfuzzer(name: str, arguments: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode, done.stdout


def _tell_crash(name: str, folder: str, said: str) -> None:
    print(said[-4000:], file=sys.stderr)
    for artifact in sorted(Path(folder).glob("*-*")):
        print(f"{name}: {artifact.name}\n  input: {artifact.read_bytes()[:2000]!r}", file=sys.stderr)


def _keep(name: str, found: Path) -> None:
    """Put the smallest inputs that reach something new into the corpus, named by their digest."""
    from tests.fuzz.minimise import minimal
    from tests.fuzz.mutation import kept
    from tests.fuzz.outside import prepared

    target = prepared(name)

    target.corpus.mkdir(parents=True, exist_ok=True)
    inputs = [*target.seeds(), *kept(target), *(path.read_bytes() for path in found.iterdir())]
    chosen = [data for data in minimal(target, inputs) if 0 < len(data) <= MAX_KEPT_BYTES][:MAX_KEPT]
    for data in chosen:
        (target.corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"  corpus: {sum(1 for _ in target.corpus.iterdir())} inputs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
