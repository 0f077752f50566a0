"""Tests a group's mutants, each in a process of its own with the mutated function in place.

pytest collects a group's tests once, and everything is imported then.  Each mutant is a fork of that process:
the functions' code is replaced, and the tests run that execute the changed lines.  So a mutant costs little
more than its tests; but it is not seen by processes that a test starts, nor by what was computed on import.
"""

from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getclosurevars
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from gevent.os import fork_gevent

from recorder.capture import thread_pool
from tests.mutation.mutations import Mutation, mutations_of

ROOT = Path(__file__).parents[2]

ONCE = "test_postgresql or not ([postgresql] or [postgresql- or -postgresql] or -postgresql-)"
"""Leaves out the repetition of tests on PostgreSQL, which have a parameter of that name, but not the tests of
the driver. (The plain word would also leave out, on SQLite too, every test of a module with the marker of
that name.)"""

PATIENCE = 5.0
"""Seconds of the processor that a mutant gets beside five times what its tests take."""

STANDSTILL = 300.0
"""Seconds after which a mutant is ended that does not use the processor, beside a minute for each second of
its tests'."""

BUDGET = 4.0
"""Seconds of the processor that a mutant's tests take together; the most promising come first."""

SECOND_BUDGET = 30.0
"""Seconds of the processor that the next tests take, which run for a mutant that survived the first."""

PREPARED = "prepared.<locals>.decorate.<locals>.run"
"""What runs a prepared query (:mod:`recorder.catalogue.prepared_query`), whose ``statements`` it keeps."""

Choice = Callable[[list[Mutation]], list[Mutation]]
"""Which of some modules' mutations are tried."""

Lines = dict[tuple[str, int], list[str]]
"""The tests that execute a line."""


@dataclass(frozen=True)
class Result:
    """The outcome of a mutant: ``killed`` by a test; ``survived`` the tests that execute its lines; ``not
    run`` by any; ``not tried``, because no function could take its code."""

    mutation: Mutation
    outcome: str
    test: str = ""


class Campaign:
    """A pytest plugin that runs mutants in place of the session's tests."""

    def __init__(self, paths: Iterable[Path], choose: Choice, jobs: int) -> None:
        self._sources = {path: (ROOT / path).read_bytes() for path in paths}
        self._choose = choose
        self._jobs = jobs
        self._folder = Path(tempfile.mkdtemp(prefix="accord-mutation-"))
        self._items: dict[str, pytest.Item] = {}
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
        self._caches: list[functools._lru_cache_wrapper[object]] = []
        self._statements: dict[str, list[dict[object, object]]] = defaultdict(list)
        self._seconds: dict[str, float] = {}
        self._lines: Lines = {}
        self._kills: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self.unusable: dict[str, str] = {}
        self.mutations = [
            each for path, source in self._sources.items() for each in mutations_of(path, source)
        ]
        self.results: list[Result] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from tests.catalogue_template import make_catalogue

        try:
            make_catalogue(f"sqlite:///{self._folder}/catalogue.db")  # once for all
            self._items = {item.nodeid: item for item in session.items}
            self._warm_up()
            gc.unfreeze()
            self._find_functions()
            gc.freeze()
            self._record()
            self._test(self._choose(self.mutations))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        before = time.process_time()  # the clock on the wall depends on what else this machine does
        result = yield
        self._seconds[item.nodeid] = time.process_time() - before
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.setdefault(report.nodeid, _message(report))

    def _find_functions(self) -> None:
        files = {str(ROOT / path) for path in self._sources}
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename in files:
                code = each.__code__
                self._functions[code.co_filename, code.co_qualname, code.co_firstlineno].append(each)
            elif isinstance(each, FunctionType) and each.__code__.co_qualname == PREPARED:
                self._statements[each.__module__].append(getclosurevars(each).nonlocals["statements"])
            elif isinstance(each, functools._lru_cache_wrapper):
                self._caches.append(each)

    def _forget_statements(self, modules: set[str]) -> None:
        """Let prepared queries be made again."""
        for module in modules:
            for statements in self._statements[module]:
                statements.clear()

    def _warm_up(self) -> None:
        """Run the first test of each file: what a process computes once, it computes for all mutants."""
        first = {item.path: item for item in reversed(self._items.values())}
        with _quiet():
            self._use_folder("0")
            for _ in self._run(list(first.values())):
                pass
        self._seconds, self._failed = {}, {}

    def _record(self) -> None:
        """Run all tests once, in a fork, without a mutation.  Those that fail are not used."""
        out = self._folder / "record.json"

        def run() -> None:
            with _executed_lines({str(ROOT / path) for path in self._sources}) as begin:
                executed = {}
                for item in self._run(list(self._items.values())):
                    self._forget_statements({_module(path) for path in self._sources})
                    executed[item.nodeid] = begin()
            lists = {test: sorted(lines) for test, lines in executed.items()}
            out.write_text(json.dumps([self._seconds, self._failed, lists]))

        _status(self._fork("record", run), None)
        self._seconds, self.unusable, executed = json.loads(out.read_bytes())
        for test, lines in executed.items():
            if test not in self.unusable and test in self._seconds:
                for file, line in lines:
                    self._lines.setdefault((file, line), []).append(test)

    def _test(self, mutations: list[Mutation]) -> None:
        children: dict[int, tuple[Mutation, list[str], float, Path]] = {}
        queue: list[tuple[Mutation, list[str] | None]] = [(each, None) for each in reversed(mutations)]
        numbers = itertools.count(1)
        while queue or children:
            while queue and len(children) < self._jobs:
                mutation, others = queue.pop()
                tests, others = self._tests_of(mutation) if others is None else (others, [])
                if not tests:
                    self._note(Result(mutation, "not run"))
                    continue
                number = next(numbers)
                out = self._folder / f"{number}.killer"
                seconds = sum(self._seconds[test] for test in tests)
                attempt = functools.partial(self._attempt, mutation, tests, seconds, out)
                until = time.monotonic() + STANDSTILL + 60 * seconds
                children[self._fork(str(number), attempt)] = (mutation, others, until, out)
            for child, (mutation, others, until, out) in list(children.items()):
                status = _status(child, until)
                if status is None:
                    continue
                del children[child]
                result = self._result(mutation, status, out)
                if result.outcome == "survived" and others:
                    queue.append((mutation, others))
                else:
                    self._note(result)
            time.sleep(0.01)

    def _note(self, result: Result) -> None:
        self.results.append(result)
        if result.outcome != "killed":
            place = f"{result.mutation.path}:{result.mutation.lines[0]}"
            print(f"  {place}: {result.outcome}: {result.mutation.name}", flush=True)

    def _result(self, mutation: Mutation, status: int, out: Path) -> Result:
        if out.exists():
            test = out.read_text()
            self._kills[test] += 1
            return Result(mutation, "killed", test)
        if status < 0:
            return Result(mutation, "killed", "it never ended")
        return Result(mutation, "survived" if status == 0 else "not tried")

    def _tests_of(self, mutation: Mutation) -> tuple[list[str], list[str]]:
        """The tests that execute the mutated lines, as many as :data:`BUDGET` allows, and the next ones of
        :data:`SECOND_BUDGET`. First those that go where few others go beside these lines (into the branch
        that a condition opens), and those that killed most, for the time that they take."""
        file, lines = str(ROOT / mutation.path), mutation.lines
        tests = {test for line in lines for test in self._lines.get((file, line), ())}
        rarity: dict[str, float] = defaultdict(float)
        for line in range(lines[0] - 2, lines[-1] + 10):
            beside = self._lines.get((file, line), [])
            for test in beside:
                rarity[test] += 1 / len(beside)

        def cost(test: str) -> tuple[float, str]:
            return self._seconds[test] / (1 + self._kills[test]) / rarity[test], test

        best = sorted(tests, key=cost)
        until = list(accumulate(self._seconds[test] for test in best))
        first = max(1, sum(seconds < BUDGET for seconds in until))
        last = sum(seconds < BUDGET + SECOND_BUDGET for seconds in until)
        return best[:first], best[first:last]

    def _attempt(self, mutation: Mutation, tests: list[str], seconds: float, out: Path) -> None:
        limit = round(time.process_time() + PATIENCE + 5 * seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        self._replace(mutation)
        for item in self._run([self._items[test] for test in tests]):
            if self._failed:
                out.write_text(next(iter(self._failed)))
                item.session._setupstate.teardown_exact(None)  # servers of tests that did not run yet
                return
        if self._failed:
            out.write_text(next(iter(self._failed)))

    def _replace(self, mutation: Mutation) -> None:
        """Put the mutated code into the functions of this process."""
        file, source = str(ROOT / mutation.path), self._sources[mutation.path]
        before, after = (
            _codes(compile(text, file, "exec", dont_inherit=True))
            for text in (source, mutation.apply(source))
        )
        replaced = 0
        for old, new in zip(before, after, strict=True):
            if old.co_firstlineno <= mutation.lines[0] and old != new:
                for function in self._functions[file, old.co_qualname, old.co_firstlineno]:
                    function.__code__ = new
                    replaced += 1
        if not replaced:
            raise RuntimeError(f"no function of {mutation.path} has the code of {mutation.name}")
        self._forget_statements({_module(mutation.path)})
        for each in self._caches:  # what it has computed so far
            if each.__module__ == _module(mutation.path):
                each.cache_clear()

    def _run(self, items: list[pytest.Item]) -> Iterator[pytest.Item]:
        """Run tests; yields each before it runs, and the last one's successor never comes."""
        for item, successor in zip(items, [*items[1:], None], strict=True):
            yield item
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=successor)

    def _fork(self, name: str, run: Callable[[], None]) -> int:
        """Run in a new process, with a folder for its tests' files; returns its id."""
        if child := fork_gevent():
            return child
        thread_pool._pool.cache_clear()  # its threads are the other process's
        status, base = 1, self._use_folder(name)
        try:
            os.setpgid(0, 0)
            with _quiet():
                run()
            status = 0
        finally:
            shutil.rmtree(base, ignore_errors=True)
            os._exit(status)

    def _use_folder(self, name: str) -> Path:
        """Make a folder for the files of this process's tests."""
        base = self._folder / "run" / name
        base.mkdir(parents=True)
        next(iter(self._items.values())).config._tmp_path_factory._basetemp = base  # type: ignore[attr-defined]
        os.environ["PYTEST_XDIST_WORKER"] = "mutant"  # encoded takes are shared
        return base


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what this process prints."""
    outputs = [os.dup(each) for each in (1, 2)]
    with open(os.devnull, "wb") as nowhere:
        for each in (1, 2):
            os.dup2(nowhere.fileno(), each)
    try:
        yield
    finally:
        for each, before in enumerate(outputs, 1):
            os.dup2(before, each)
            os.close(before)


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(report.longrepr if crash is None else crash.message).split())[:200]


def _status(child: int, until: float | None) -> int | None:
    """The exit status of a process, ``None`` while it runs; without ``until``, wait for it."""
    pid, status = os.waitpid(child, 0 if until is None else os.WNOHANG)
    if pid:
        return os.waitstatus_to_exitcode(status)
    if until is not None and time.monotonic() > until:
        os.killpg(child, signal.SIGKILL)
    return None


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def _codes(code: CodeType) -> list[CodeType]:
    """The code of a module's functions and its classes' methods, in their order."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [one for each in inner for one in ([each] if _is_function(each) else _codes(each))]


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 0x2)  # inspect.CO_NEWLOCALS: a class body has none


@contextmanager
def _executed_lines(files: set[str]) -> Generator[Callable[[], set[tuple[str, int]]]]:
    """Yields what begins a new set, which then receives each line of these files that is executed."""
    monitor = sys.monitoring
    current: list[set[tuple[str, int]]] = [set()]

    def line(code: CodeType, number: int) -> object:
        if code.co_filename in files:
            current[0].add((code.co_filename, number))
        return monitor.DISABLE  # until the next test

    def begin() -> set[tuple[str, int]]:
        current[0] = set()
        monitor.restart_events()
        return current[0]

    monitor.use_tool_id(monitor.COVERAGE_ID, "accord-mutation")
    monitor.register_callback(monitor.COVERAGE_ID, monitor.events.LINE, line)
    monitor.set_events(monitor.COVERAGE_ID, monitor.events.LINE)
    try:
        yield begin
    finally:
        monitor.set_events(monitor.COVERAGE_ID, monitor.events.NO_EVENTS)


def run(paths: Iterable[Path], tests: Iterable[str], choose: Choice, jobs: int) -> Campaign:
    """Run the chosen mutants of modules against tests."""
    campaign = Campaign(paths, choose, jobs)
    plain = ["-p", "no:cacheprovider", "-p", "no:xdist", "-s", "-q", "--tb=no", "--no-header", "--timeout=0"]
    pytest.main([*plain, "-m", "not long", "-k", ONCE, *tests], plugins=[campaign])
    return campaign
