"""Mutation testing: ``python -m tests.mutation --package call --seed 1 --count 100``.

Puts faults into a package at random places, one at a time, and lists those that no unit test detects; if
there are any, the exit status is 1. Requires Python 3.12.
"""

from __future__ import annotations

import argparse
import sys

from tests.mutation.campaign import TESTS, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--package", required=True, choices=sorted(TESTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="number of mutants")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested concurrently")
    args = parser.parse_args()
    results = run(args.package, args.seed, args.count, args.jobs, lambda line: print(line, flush=True))
    alive = [result for result in results if result.outcome != "killed"]
    print(f"{len(results) - len(alive)} of {len(results)} mutants killed")
    for result in alive:
        print(f"  {result.outcome}: {result.place}")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
