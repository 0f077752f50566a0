"""A pytest plugin that records each test's duration and the lines of a package that it runs.

``TEST_MUTATION_PACKAGE`` names the folder, ``TEST_MUTATION_RECORD`` the JSON file to write at the end.
Lines that run on import are listed under :data:`IMPORT`.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from types import CodeType

import pytest

monitor = sys.monitoring
PACKAGE = os.path.abspath(os.environ["TEST_MUTATION_PACKAGE"]) + os.sep
RECORD = Path(os.environ["TEST_MUTATION_RECORD"])

lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
"""By test and file."""
seconds: dict[str, float] = defaultdict(float)
failed: list[str] = []
IMPORT = ""
current_test = [IMPORT]


def _line(code: CodeType, line: int) -> object:
    if code.co_filename.startswith(PACKAGE):
        lines[current_test[0]][code.co_filename].add(line)
    return monitor.DISABLE  # until the next test


# On import, not in ``pytest_configure``: by then pytest has imported the first conftest.py files, and with
# them the package.
monitor.use_tool_id(monitor.COVERAGE_ID, "accord-mutation")
monitor.register_callback(monitor.COVERAGE_ID, monitor.events.LINE, _line)
monitor.set_events(monitor.COVERAGE_ID, monitor.events.LINE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    current_test[0] = item.nodeid
    monitor.restart_events()
    try:
        return (yield)
    finally:
        current_test[0] = IMPORT


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds[report.nodeid] += report.duration
    if report.failed:
        failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    monitor.set_events(monitor.COVERAGE_ID, monitor.events.NO_EVENTS)
    record = {
        "seconds": seconds,
        "failed": failed,
        "lines": {test: {file: sorted(run) for file, run in files.items()} for test, files in lines.items()},
    }
    RECORD.write_text(json.dumps(record))
