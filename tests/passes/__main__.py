"""`python -m tests.passes [--replays N] [--seed N]`: mutated passes and used codes; exits 1 where one is accepted."""

import argparse
import sys
from collections import Counter

from tests.passes.making import PassDoor, signed
from tests.passes.matrix import PHONE, mutations
from tests.passes.replays import replay


def main(arguments: list[str]) -> int:
    """Print the counts; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.passes", description="Show passes that must not open.")
    parser.add_argument("--replays", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    controls = [PassDoor(PHONE.row()).decide(text).is_grant for text in (signed(), PHONE.code())]
    reasons, accepted, otherwise = Counter[str](), 0, 0
    for mutation in mutations():
        decision = PassDoor(PHONE.row()).decide(mutation.text)
        reasons[decision.reason] += 1
        accepted += decision.is_grant
        otherwise += decision.reason is not mutation.reason
    print(f"controls        {sum(controls)} of {len(controls)} passes that hold were granted")
    print(
        f"mutated passes  {reasons.total()}: {accepted} accepted, {otherwise} refused for another reason than expected"
    )
    for reason, count in sorted(reasons.items()):
        print(f"  {reason:20} {count:4}")
    tally = replay(options.replays, options.seed)
    print(
        f"replays         {tally.replayed} of {tally.granted} used codes, {tally.restarts} restarts: "
        f"{tally.accepted} accepted"
    )
    return 0 if all(controls) and not accepted and not otherwise and not tally.accepted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
