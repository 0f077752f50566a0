"""A pytest plugin that records each test's duration and the lines of a package that it runs.

``ACCORD_MUTATION_PACKAGE`` names the folder, ``ACCORD_MUTATION_RECORD`` the JSON file to write at the end.
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

monitoring = sys.monitoring
PACKAGE = os.path.abspath(os.environ["ACCORD_MUTATION_PACKAGE"]) + os.sep
RECORD = Path(os.environ["ACCORD_MUTATION_RECORD"])

lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
"""By test and file."""
seconds: dict[str, float] = defaultdict(float)
failed: list[str] = []
IMPORT = ""
running = [IMPORT]


def _line(code: CodeType, line: int) -> object:
    if code.co_filename.startswith(PACKAGE):
        lines[running[0]][code.co_filename].add(line)
    return monitoring.DISABLE  # until the next test


# On import, not in ``pytest_configure``: by then pytest has imported the first conftest.py files, and with
# them the package.
monitoring.use_tool_id(monitoring.COVERAGE_ID, "accord-mutation")
monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, _line)
monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    running[0] = item.nodeid
    monitoring.restart_events()
    try:
        return (yield)
    finally:
        running[0] = IMPORT


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds[report.nodeid] += report.duration
    if report.failed:
        failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.NO_EVENTS)
    record = {
        "seconds": seconds,
        "failed": failed,
        "lines": {test: {file: sorted(run) for file, run in files.items()} for test, files in lines.items()},
    }
    RECORD.write_text(json.dumps(record))
