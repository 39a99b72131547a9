"""`python -m tests.reference N`: N random decisions, by the rules and by the reference, in two processes."""

import sys
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

from tests.reference.cases import CASES_PER_SITE
from tests.reference.comparing import Tally, compare

_PROCESSES = 2
_SITES_AT_ONCE = 100


def main(arguments: list[str]) -> int:
    """Compare, print what was found, and return 1 where the two disagree."""
    wanted = int(arguments[0]) if arguments else 1_000_000
    sites = -(-wanted // CASES_PER_SITE)
    began, total = perf_counter(), Tally()
    parts = [range(first, min(first + _SITES_AT_ONCE, sites)) for first in range(0, sites, _SITES_AT_ONCE)]
    with ProcessPoolExecutor(_PROCESSES) as processes:
        for tally in processes.map(compare, parts):
            total.add(tally)
    for reason, count in total.reasons.most_common():
        print(f"{reason:24}{count:10}")
    print(f"{total.cases} decisions, {total.disagreements} disagreements, {perf_counter() - began:.0f} s")
    for example in total.examples:
        print(example)
    return 1 if total.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
