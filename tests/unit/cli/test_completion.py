"""``accord completion``: the scripts load, and complete commands and options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.cli import accord


def script(shell: str) -> str:
    result = CliRunner().invoke(accord, ["completion", shell], env={"ACCORD_CONFIG": "/nowhere.toml"})
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_script_is_valid(tmp_path: Path, shell: str, check: str) -> None:
    text = script(shell)
    assert "_ACCORD_COMPLETE" in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(text, "utf-8")
    subprocess.run([shell, check, str(path)], check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (("accord", "subj"), ["subject-request"]),
        (("accord", "line", "se"), ["set", "set-keep-question"]),
        (("accord", "line", "set", "--tim"), ["--timing"]),
        (("accord", "line", "set", "--timing", "at"), ["at-pickup"]),
    ],
)
def test_bash_completes_commands_options_and_choices(
    tmp_path: Path, words: tuple[str, ...], completions: list[str]
) -> None:
    program = tmp_path / "accord"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m recorder "$@"\n', "utf-8")
    program.chmod(0o755)
    (tmp_path / "script").write_text(script("bash"), "utf-8")
    ask = (
        f"source {tmp_path}/script; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        '_accord_completion accord; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", ask], capture_output=True, text=True, env=environment, check=True, timeout=60
    )
    assert result.stdout.splitlines() == completions
