"""Do the unit tests notice a fault?  ``python -m tests.mutation --package call --seed 1 --count 100``.

Faults are put into a package at random places, one at a time; those that no test notices are listed, and
make the exit status 1.  Python 3.12 or newer.
"""

from __future__ import annotations

import argparse
import sys

from tests.mutation.campaign import TESTS, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--package", required=True, choices=sorted(TESTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="of mutants")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    asked = parser.parse_args()
    results = run(asked.package, asked.seed, asked.count, asked.jobs, lambda line: print(line, flush=True))
    alive = [result for result in results if result.outcome != "killed"]
    print(f"{len(results) - len(alive)} of {len(results)} mutants killed")
    for result in alive:
        print(f"  {result.outcome}: {result.place}")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
