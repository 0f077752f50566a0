"""The question before something is erased or restricted, on a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.output import json_option, print_result

ROOT = Path(__file__).parents[3]

SCRIPT = """
from tests.unit.cli.test_confirmation import erase
erase()
"""


@click.command()
@json_option
@confirmation_options
def erase() -> None:
    """Erase three recordings."""
    confirm("Erase them?", {"recordings": 3}, "3 recordings of Dubois.")
    print_result({"erased": 3}, "erased")


def run(*words: str) -> Result:
    return CliRunner().invoke(erase, [*words])


def test_without_a_terminal_nothing_happens() -> None:
    result = run()
    assert result.exit_code == 2
    assert "3 recordings of Dubois." in result.stderr
    assert "add --yes" in result.stderr
    assert result.stdout == ""


def test_yes_skips_the_question_and_prints_the_consequences() -> None:
    result = run("--yes")
    assert (result.exit_code, result.stdout) == (0, "erased\n")
    assert result.stderr == "3 recordings of Dubois.\n"


@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_dry_run_prints_the_consequences_and_ends(more: tuple[str, ...]) -> None:
    result = run("--dry-run", *more)
    assert (result.exit_code, result.stdout) == (0, "3 recordings of Dubois.\n")
    document = json.loads(run("--dry-run", "--json", *more).stdout)
    assert document == {"dry_run": True, "recordings": 3}


@pytest.mark.parametrize(("answer", "status", "printed"), [("y", 0, "erased\n"), ("n", 1, "")])
def test_terminal_is_asked(answer: str, status: int, printed: str) -> None:
    terminal, inner = pty.openpty()
    try:
        os.write(terminal, f"{answer}\n".encode())
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdin=inner, capture_output=True, text=True, cwd=ROOT, timeout=60
        )
    finally:
        os.close(terminal)
        os.close(inner)
    assert (process.returncode, process.stdout) == (status, printed)
    assert process.stderr.startswith("3 recordings of Dubois.\nErase them? [y/N]: ")
