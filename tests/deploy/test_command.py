"""The package's ``accord``: as which user each command of root runs, and what it may read and write."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.boot import REPOSITORY

PROGRAM = """\
#!{python}
import os, sys
folder = "{folder}"
readable = os.access(folder + "/closed/file", os.R_OK)
open(folder + "/closed/" + "-".join(sys.argv[1:]).replace("/", "_"), "x").close()
print(os.geteuid(), readable, open(folder + "/closed/file").read())
"""

ROOTS = (
    "init --yes", "doctor", "status --fleet", "upgrade check",
    "key init", "key backup /media", "key print", "key restore /media",
)  # fmt: skip
"""Commands that stay root's."""

OTHERS = (
    "key prepare", "key rotate --yes", "key renew", "key revoke 0", "key verify-copy /media", "key show",
    "key", "restore --check x", "tenant import x", "--config x key prepare", "--version",
)  # fmt: skip


@pytest.fixture
def accord(tmp_path: Path) -> Path:
    """The package's command around a program that says who runs it."""
    if os.geteuid() != 0:
        pytest.skip("only root's commands change their user")
    program, command = tmp_path / "program", tmp_path / "accord"
    program.write_text(PROGRAM.format(python=sys.executable, folder=tmp_path))
    user = pwd.getpwnam("nobody")
    text = (REPOSITORY / "deploy" / "debian" / "accord").read_text()
    text = text.replace("/opt/accord/bin/accord", str(program)).replace("/etc/accord", str(tmp_path / "etc"))
    text = text.replace("--reuid=accord --regid=accord", f"--reuid={user.pw_uid} --regid={user.pw_gid}")
    command.write_text(text)
    for each in (program, command):
        each.chmod(0o755)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "file").write_text("root's")
    (tmp_path / "closed" / "file").chmod(0o600)
    return command


def run(accord: Path, words: str) -> str:
    process = subprocess.run([str(accord), *words.split()], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def owners(accord: Path) -> set[int]:
    """Who owns the files that the commands wrote."""
    files = [each for each in (accord.parent / "closed").iterdir() if each.name != "file"]
    return {each.stat().st_uid for each in files}


@pytest.mark.parametrize("words", ROOTS)
def test_command_that_stays_root_s(accord: Path, words: str) -> None:
    assert run(accord, words) == "0 True root's"
    assert owners(accord) == {0}


@pytest.mark.parametrize("words", OTHERS)
def test_command_that_runs_as_accord_s_user(accord: Path, words: str) -> None:
    """What it writes is that user's, and yet it may read and write root's files, as access(2) says."""
    user = pwd.getpwnam("nobody").pw_uid
    assert run(accord, words) == f"{user} True root's"
    assert owners(accord) == {user}


@pytest.mark.parametrize("name", ["daemon", "worker", "web", "run"])
def test_root_runs_no_process(accord: Path, name: str) -> None:
    process = subprocess.run([str(accord), name], capture_output=True, text=True, check=False)
    assert (process.returncode, f"systemctl start accord-{name}" in process.stderr) == (1, True)
