"""A mutation campaign over one package: each mutant against the unit tests that run its line.

Every mutant is made in a copy of the source tree; the original is not changed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tests.mutation.mutations import Mutation, mutations_of

ROOT = Path(__file__).parents[2]

TESTS: dict[str, tuple[str, ...]] = {
    "call": ("tests/unit/call",),
    "seal": ("tests/unit/seal",),
    "playback": (
        "tests/unit/playback",
        "tests/unit/web/test_log_growth.py",
        "tests/unit/web/test_subject_requests.py",
    ),
    "lifecycle": (
        "tests/unit/lifecycle",
        "tests/unit/playback",
        "tests/unit/pipeline",
        "tests/unit/recovery",
        "tests/unit/catalogue/test_preview.py",
    ),
    "auditlog": ("tests/unit/auditlog",),
    "catalogue": (
        "tests/unit/catalogue",
        "tests/unit/pipeline/test_leases.py",
        "tests/unit/web/test_recordings.py",
    ),
}
"""The packages, each with its unit tests."""

ONCE = "test_postgresql or not ([postgresql] or [postgresql- or -postgresql] or -postgresql-)"
"""Leaves out the repetition of tests on PostgreSQL, which have a parameter of that name, but not the tests of
the driver. (The plain word would also leave out, on SQLite too, every test of a module with the marker of
that name.)"""

IMPORT = ""
"""The name under which lines that run on import are recorded."""

SLOW = (
    "tests/unit/call/test_states.py",
    "tests/unit/pipeline/test_encoders.py",
    "tests/unit/pipeline/test_worker.py",
)
"""Excluded: they take longest, and other tests cover the same code."""

FIRST = 30
"""Number of tests in the first run: those in the files that killed most, then the quickest."""


@dataclass(frozen=True)
class Record:
    """The record of ``line_record.py``: each test's seconds, the failed ones, and the tests that run a
    line."""

    seconds: dict[str, float]
    failed: list[str]
    tests: dict[tuple[str, int], list[str]]

    def tests_of(self, mutation: Mutation, source: bytes) -> list[str]:
        """The tests that run a mutated line; all tests, if only imports run it."""
        last = mutation.line + source[mutation.begin : mutation.end].count(b"\n")
        file = str(mutation.path)
        lines = range(mutation.line, last + 1)
        found = dict.fromkeys(test for line in lines for test in self.tests.get((file, line), ()))
        return list(self.seconds) if list(found) == [IMPORT] else [test for test in found if test != IMPORT]


@dataclass(frozen=True)
class Result:
    """The outcome of a mutant: ``killed`` by a test (its name), ``survived``, or ``not run`` by any test."""

    place: str
    outcome: str
    test: str = ""


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """Copies of the source tree's versioned files, in a queue."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = [name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory(prefix="accord-mutation-") as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            copy = Path(folder) / str(number)
            for name in names:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
            free.put(copy)
        yield free


def _pytest(arguments: list[str]) -> list[str]:
    plain = ["-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not long", "-q", "--tb=no", "--no-header"]
    return [sys.executable, "-m", "pytest", *plain, *arguments]


def record_lines(copy: Path, package: str) -> Record:
    """Run the package's tests once without a mutation. Tests that fail are not used."""
    out = copy / "mutation-record.json"
    arguments = [*TESTS[package], "-k", ONCE, *(f"--ignore={path}" for path in SLOW)]
    environment = {
        **os.environ,
        "TEST_MUTATION_PACKAGE": str(copy / "recorder" / package),
        "TEST_MUTATION_RECORD": str(out),
    }
    command = _pytest(["-p", "tests.mutation.line_record", *arguments])
    subprocess.run(command, cwd=copy, env=environment, check=False, stdout=subprocess.DEVNULL)
    record = json.loads(out.read_bytes())
    tests: dict[tuple[str, int], list[str]] = {}
    for test, files in record["lines"].items():
        if test in record["failed"]:
            continue
        for file, lines in files.items():
            for line in lines:
                tests.setdefault((str(Path(file).relative_to(copy)), line), []).append(test)
    return Record(record["seconds"], record["failed"], tests)


def chosen_mutations(tree: Path, package: str, seed: int, count: int) -> list[Mutation]:
    """A random sample of the package's mutations."""
    found = [
        mutation
        for path in sorted((tree / "recorder" / package).rglob("*.py"))
        if "migrations" not in path.parts
        for mutation in mutations_of(path.relative_to(tree), path.read_bytes())
    ]
    return random.Random(seed).sample(found, min(count, len(found)))


class Campaign:
    """Tests the mutants of one package concurrently."""

    def __init__(self, record: Record, free: SimpleQueue[Path]) -> None:
        self._record = record
        self._free = free
        self._kills: Counter[str] = Counter()
        self._lock = Lock()

    def results(self, mutations: list[Mutation], jobs: int) -> Iterator[Result]:
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(self._result, mutations)

    def _result(self, mutation: Mutation) -> Result:
        copy = self._free.get()
        file = copy / mutation.path
        source = file.read_bytes()
        place = mutation.describe(source)
        try:
            file.write_bytes(mutation.apply(source))
            outcome, test = self._outcome(copy, self._ordered(self._record.tests_of(mutation, source)))
        finally:
            file.write_bytes(source)
            self._free.put(copy)
        return Result(place, outcome, test)

    def _ordered(self, tests: list[str]) -> list[str]:
        """Tests in the order to run: those in the files that killed most, then the quickest."""
        with self._lock:
            return sorted(tests, key=lambda test: (-self._kills[_file(test)], self._record.seconds[test]))

    def _outcome(self, copy: Path, tests: list[str]) -> tuple[str, str]:
        if not tests:
            return "not run", ""
        for some in filter(None, (tests[:FIRST], tests[FIRST:])):
            limit = 60 + 10 * sum(self._record.seconds[test] for test in some)
            try:
                process = subprocess.run(
                    _pytest(["-x", "-rfE", *some]), cwd=copy, capture_output=True, text=True, timeout=limit
                )
            except subprocess.TimeoutExpired:
                return "killed", "it never ended"
            if process.returncode != 0:
                return "killed", self._killer(process.stdout)
        return "survived", ""

    def _killer(self, output: str) -> str:
        """The failed test by pytest's summary; ``import`` if a module could not be imported."""
        names = [line.split()[1] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        with self._lock:
            self._kills.update(_file(name) for name in names[:1])
        return names[0] if names else "import"


def _file(test: str) -> str:
    return test.partition("::")[0]


def run(package: str, seed: int, count: int, jobs: int, tell: Callable[[str], None]) -> list[Result]:
    """Run a campaign; ``tell`` is called with a line for each mutant."""
    with copies(jobs) as free:
        first = free.get()
        record = record_lines(first, package)
        mutations = chosen_mutations(first, package, seed, count)
        free.put(first)
        tell(f"{package}: {len(record.seconds)} tests in {sum(record.seconds.values()):.0f} s")
        for test in record.failed:
            tell(f"fails without a mutation, and is not used: {test}")
        results = []
        for result in Campaign(record, free).results(mutations, jobs):
            tell(f"{result.outcome:9} {result.place}{result.test and f'   ({result.test})'}")
            results.append(result)
        return results
