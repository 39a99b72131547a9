"""`python -m tests.cardmatrix [--strangers N] [--seed N]`: the table; exits 1 where a cell or a stranger is wrong."""

import argparse
import sys
import time

from tests.cardmatrix.doors import DOORS
from tests.cardmatrix.formats import FORMATS
from tests.cardmatrix.matrix import cells, strangers


def main(arguments: list[str]) -> int:
    """Print the table and the count of strangers; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cardmatrix", description="Enrolled once, opens everywhere.")
    parser.add_argument("--strangers", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = {(cell.format, cell.door): cell for cell in cells()}
    print(f"{'':26}" + "".join(f"{door.name:>20}" for door in DOORS))
    for format_ in FORMATS:
        row = [found[format_.name, door.name] for door in DOORS]
        words = ["cannot be read" if cell.reason is None else "opens" if cell.opens else cell.reason for cell in row]
        print(f"{format_.name:26}" + "".join(f"{word:>20}" for word in words))
    wrong = sum(cell.reason is not None and not cell.opens for cell in found.values())
    read = sum(cell.reason is not None for cell in found.values())
    print(f"{len(found)} cells, {read} can be read, {read - wrong} open")
    begun_s = time.monotonic()
    opened = strangers(options.strangers, options.seed)
    print(f"{options.strangers} strangers in {time.monotonic() - begun_s:.0f} s: {opened} grants")
    return 1 if wrong or opened else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
