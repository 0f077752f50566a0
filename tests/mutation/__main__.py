"""Mutation testing: ``python -m tests.mutation``, or ``--module recorder/seal/usage_terms.py --sample 20``.

Puts faults into the modules that decide about destruction, retention, access and disclosure, one at a time:
every comparison, condition, ``and``, ``raise``, return, call and term of a query.  Lists those that no test
nearby notices.  The exit status is 1 if one of them is not in ``survivors.toml``, or if one is there that was
noticed or that there is no longer.  Requires Python 3.12.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tomllib
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from tests.mutation.campaign import Choice, Result, run
from tests.mutation.modules import TESTS

SURVIVORS = Path(__file__).with_name("survivors.toml")
"""By module and mutation: why no test notices it."""

Reasons = Mapping[str, Mapping[str, str]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--module", action="append", choices=sorted(TESTS), help="only this one; repeatable")
    parser.add_argument("--sample", type=int, help="only so many mutants of each group, chosen at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="mutants tested concurrently")
    args = parser.parse_args()
    reasons = tomllib.loads(SURVIVORS.read_text())
    modules = sorted(args.module or TESTS, key=TESTS.__getitem__)
    choose = _sample(args.seed, args.sample) if args.sample else list
    groups = [(tests, list(group)) for tests, group in groupby(modules, key=TESTS.__getitem__)]
    for module in (foreign := sorted(reasons.keys() - TESTS.keys())):
        print(f"listed, but not in tests/mutation/modules.py: {module}")
    wrong = sum(_run_group(group, tests, choose, args.jobs, reasons) for tests, group in groups)
    return 1 if wrong or foreign else 0


def _sample(seed: int, count: int) -> Choice:
    return lambda mutations: random.Random(seed).sample(mutations, min(count, len(mutations)))


def _run_group(
    modules: list[str], tests: tuple[str, ...], choose: Choice, jobs: int, reasons: Reasons
) -> int:
    """Run modules with the same tests; returns how many results are not as listed."""
    start = time.monotonic()
    campaign = run(map(Path, modules), tests, choose, jobs)
    for test, message in campaign.unusable.items():
        print(f"fails without a mutation, and is not used: {test}: {message}")
    wrong = 0
    for module in modules:
        listed = reasons.get(module, {})
        results = [each for each in campaign.results if str(each.mutation.path) == module]
        wrong += _report(module, results, listed)
        known = {each.name for each in campaign.mutations if str(each.path) == module}
        for name in (former := sorted(listed.keys() - known)):
            print(f"  listed, but no mutation any more: {name}")
        wrong += len(former)
    print(f"{len(campaign.results)} mutants in {time.monotonic() - start:.0f} s", flush=True)
    return wrong


def _report(module: str, results: list[Result], reasons: Mapping[str, str]) -> int:
    """Print a module's results; returns how many are not as listed."""
    alive = {each.mutation.name: each for each in results if each.outcome != "killed"}
    unlisted = alive.keys() - reasons.keys()
    stale = {each.mutation.name for each in results} & reasons.keys() - alive.keys()
    killed = sum(each.outcome == "killed" for each in results)
    listed = f", {len(results) - killed} not, {len(unlisted)} of them unlisted"
    print(f"{module}: {killed} of {len(results)} noticed{listed}")
    for name in unlisted:
        print(f"  unlisted: {name}")
    for name in sorted(stale):
        print(f"  listed, but noticed: {name}")
    return len(unlisted) + len(stale)


if __name__ == "__main__":
    sys.exit(main())
