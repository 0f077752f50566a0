"""The commands of every documentation page work as they are written, and print what the page shows.

Each page has an installation of its own (:mod:`tests.pages.installation`), and one shell for its blocks.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.pages.blocks import Block, Command, blocks, pattern
from tests.pages.installation import ROOT, PageMachine, command_server, make_template

PAGES = [page for page in sorted(ROOT.glob("docs/**/*.md")) if any(blocks(page))]
TESTED_ELSEWHERE = {"docs/install.md": "tests/deploy/test_first_call.py"}
"""Pages whose steps need a machine of their own, with the test that follows them."""
MOST_NOT_RUN = 10
SECONDS = 120


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    make_template(folder)
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with command_server(tmp_path_factory.mktemp("commands")) as folder:
        yield folder


@pytest.fixture
def machine(tmp_path: Path, template: Path, programs: Path) -> Iterator[PageMachine]:
    page_machine = PageMachine(tmp_path / "machine", template, programs)
    yield page_machine
    page_machine.close()


@pytest.mark.long
@pytest.mark.parametrize("page", [each for each in PAGES if name(each) not in TESTED_ELSEWHERE], ids=name)
def test_commands_of_a_page_work(page: Path, machine: PageMachine) -> None:
    run = [block for block in blocks(page) if not block.not_run]
    results = machine.folder / "results"
    results.mkdir()
    script = machine.folder / "page.sh"
    script.write_text(shell_script(run, machine, results))
    with agreeing_terminal() as terminal:
        shell = subprocess.Popen(
            ["bash", str(script)],
            cwd=machine.work,
            env=machine.environment,
            stdin=terminal,
            start_new_session=True,
        )
        try:
            shell.wait(SECONDS)
        finally:
            end_group(shell.pid)
    for number, block in enumerate(run):
        for at, command in enumerate(block.commands):
            check(f"{name(page)}:{block.line}", command, results / f"{number}-{at}")


def check(place: str, command: Command, result: Path) -> None:
    """The command came to its end, with the status and the output that the page shows."""
    output = result.with_suffix(".out")
    printed = output.read_text() if output.exists() else ""
    message = f"{place}: {command.text.strip()}\n\nprinted\n\n{printed}"
    status = result.with_suffix(".status")
    assert status.exists(), f"{message}\n\nand failed"
    assert int(status.read_text()) == command.status, message
    if command.output is not None:
        assert pattern(command.output).fullmatch(printed), f"{message}\n\nnot\n\n{command.output}"


@contextmanager
def agreeing_terminal() -> Iterator[int]:
    """A terminal with an operator who confirms everything."""
    operator, terminal = pty.openpty()
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    os.write(operator, b"y\n" * 1000)
    try:
        yield terminal
    finally:
        os.close(terminal)
        os.close(operator)


def end_group(group: int) -> None:
    """Kill what a page started in the background: it is an installation that nobody needs any more."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def shell_script(run: list[Block], machine: PageMachine, results: Path) -> str:
    """One shell runs all commands. Each leaves its output and status in a file; the first failure ends it."""
    lines = ["exec 3>&1 4>&2"]
    for number, block in enumerate(run):
        lines += [machine.event(event) for event in block.events]
        for at, command in enumerate(block.commands):
            result = results / f"{number}-{at}"
            lines += [f"exec >{result}.out 2>&1", "set -e" if block.language == "sh" else "set +e"]
            lines += [machine.place(command.text), f"status=$?; echo $status >{result}.status", "set +e"]
            lines += [f"exec >&3 2>&4; [ $status -eq {command.status} ] || exit 1"]
    return "\n".join(lines) + "\n"


def test_few_blocks_are_not_run() -> None:
    """Each of them says why."""
    reasons = [block.not_run for page in PAGES for block in blocks(page) if block.not_run]
    assert all(len(reason.split()) > 1 for reason in reasons)
    assert len(reasons) <= MOST_NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_can_be_copied(page: Path) -> None:
    """They have no placeholder that a shell would interpret, and no date that passes."""
    for block in blocks(page):
        for command in block.commands:
            assert not re.findall(r"<[a-z][a-z' -]*>|\[-|\b20\d\d-\d\d-\d\d", command.text), command.text


@pytest.mark.parametrize("page", TESTED_ELSEWHERE)
def test_page_is_tested_elsewhere(page: str) -> None:
    assert Path(page).name in (ROOT / TESTED_ELSEWHERE[page]).read_text("utf-8")
