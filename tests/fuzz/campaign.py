"""Runs targets for a number of inputs or a time, and keeps the findings.

There are three engines.  ``random`` mutates seeds blindly and quickly; ``hypothesis`` draws bytes as its
tests do; ``atheris`` is guided by which branches of the product an input reaches, in its own process
that imports the product instrumented.  A finding never ends a campaign: one input is kept for each place
that raised.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import structlog
from hypothesis import strategies as st

from tests.fuzz.target import Target, load, mutated_seed

HERE = Path(__file__).parent


@dataclass
class Result:
    """The result of one engine on one target: ``findings`` maps a place to the shortest input that raised
    there (hex) and the exception."""

    target: str
    engine: str
    inputs: int = 0
    seconds: float = 0.0
    findings: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.target:12} {self.engine:10} {self.inputs:9,} inputs {self.seconds:7.0f} s "
            f"{len(self.findings)} findings"
        )


class CountingCheck:
    """A check that counts inputs, and records exceptions instead of raising them."""

    def __init__(self, target: Target, engine: str, out: Path | None = None) -> None:
        self.target = target
        self.result = Result(target.name, engine)
        self._out = out
        self._start = self._saved = time.monotonic()

    def __call__(self, data: bytes) -> None:
        self.result.inputs += 1
        try:
            self.target.guarded(data)
        except Exception as error:
            self._keep(data, error)
        if self._out is not None and time.monotonic() - self._saved > 5:
            self.save()

    def save(self) -> None:
        """Save the result: an engine may end the process without returning."""
        self._saved = time.monotonic()
        self.result.seconds = self._saved - self._start
        if self._out is not None:
            self._out.write_text(json.dumps(asdict(self.result)))

    def _keep(self, data: bytes, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
        known = self.result.findings.get(place)
        if known is None or len(data) < len(known[0]) // 2:
            text = "".join(traceback.format_exception(error, limit=-12))[-6000:]
            self.result.findings[place] = (data.hex(), text)
            self.save()


def run_random(target: Target, inputs: int, seconds: float, seed: int) -> Result:
    """Run the engine that is not guided."""
    counted = CountingCheck(target, "random")
    chance = random.Random(f"{target.name}/{seed}")
    until = time.monotonic() + seconds
    for data in target.seeds:
        counted(data)
    while counted.result.inputs < inputs and time.monotonic() < until:
        counted(mutated_seed(target.seeds, target.longest, chance))
    counted.save()
    return counted.result


def run_hypothesis(target: Target, inputs: int, seconds: float, seed: int) -> Result:
    """Run hypothesis without shrinking: an input of each finding is kept as it is."""
    counted = CountingCheck(target, "hypothesis")
    until = time.monotonic() + seconds

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.binary(max_size=target.longest) | st.sampled_from(target.seeds))
    def run_target(data: bytes) -> None:
        if time.monotonic() > until:
            raise _TimeOver
        counted(data)

    with contextlib.suppress(_TimeOver):
        run_target()
    counted.save()
    return counted.result


class _TimeOver(BaseException):
    """The time is over."""


def run_atheris(target: Target, inputs: int, seconds: float, seed: int) -> Result:
    """Run atheris in its own process."""
    with tempfile.TemporaryDirectory(prefix="accord-fuzz-") as folder:
        out = Path(folder) / "result.json"
        process = subprocess.run(
            [
                sys.executable, "-m", "tests.fuzz.guided", target.name, str(out), folder,
                str(inputs), str(seconds), str(seed or 1),
            ],
            cwd=HERE.parents[1],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds + 300,
        )  # fmt: skip
        if not out.exists():
            raise RuntimeError(process.stderr.decode("utf-8", "replace")[-4000:])
        read = json.loads(out.read_text())
    findings = {place: (data, text) for place, (data, text) in read.pop("findings").items()}
    return Result(**read, findings=findings)


def engines() -> dict[str, Callable[[Target, int, float, int], Result]]:
    """The installed engines."""
    found = {"random": run_random, "hypothesis": run_hypothesis}
    if find_spec("atheris") is not None:
        found["atheris"] = run_atheris
    return found


def run(
    names: list[str], engine: list[str], inputs: int, seconds: float, seed: int, keep: Path
) -> list[Result]:
    """Run each target with each engine; inputs of findings are kept in ``keep``."""
    quiet()
    results = []
    for name in names:
        target = load(name)
        for each in engine:
            if each == "atheris" and not target.instrument:
                continue
            result = engines()[each](target, inputs, seconds, seed)
            results.append(result)
            print(result, flush=True)
            for place, (data, text) in result.findings.items():
                save(keep / name, bytes.fromhex(data))
                print(f"  {place}\n{text}", flush=True)
    return results


def save(folder: Path, data: bytes) -> Path:
    """Save an input in a folder, named by its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def quiet() -> None:
    """Suppress the product's logs about bad input."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
