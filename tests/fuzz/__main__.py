"""A campaign, with its counts: ``python -m tests.fuzz --inputs N --seconds S --target T --seed X``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import engines, run
from tests.fuzz.target import NAMES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="for each target and engine, at most")
    parser.add_argument("--seconds", type=float, default=60, help="for each target and engine, at most")
    parser.add_argument("--target", action="append", choices=NAMES, help="all without it; may be repeated")
    parser.add_argument(
        "--engine", action="append", choices=["random", "hypothesis", "atheris"], help="those installed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-findings"), help="where inputs of findings go"
    )
    options = parser.parse_args()
    engine = options.engine or list(engines())
    if missing := [each for each in engine if each not in engines()]:
        print(f"not installed: {', '.join(missing)} (the extra `fuzz`)", file=sys.stderr)
        return 2
    results = run(
        options.target or list(NAMES), engine, options.inputs, options.seconds, options.seed, options.keep
    )
    findings = sum(len(result.findings) for result in results)
    print(f"{sum(result.inputs for result in results):,} inputs, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
