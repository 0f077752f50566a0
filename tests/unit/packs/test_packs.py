"""Packs: what is in them, and that public tools agree with their lists, signatures and timestamps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.cli import accord
from recorder.features.packs import verify_pack
from recorder.seal import signing

from .conftest import PackWorld, unzip


@pytest.fixture
def path(world: PackWorld, tmp_path: Path) -> Path:
    (tmp_path / "root.pub").write_bytes(signing.public_pem(world.house.root_public))
    found = tmp_path / "pack.zip"
    found.write_bytes(world.make())
    return found


def test_a_pack_is_as_it_was_sealed(world: PackWorld, path: Path) -> None:
    result = verify_pack.verify_pack(str(path), world.house.root_public, {})
    assert result.intact, result.points
    states = {point.name: point.state for point in result.points}
    points = ("zip", "files", "statement", "seal", "amendments", "sound", "checkpoints", "log", "timestamps")
    assert [states[name] for name in points] == ["holds"] * len(points)
    assert states["limits"] == "unknown"


def test_the_same_inputs_give_the_same_bytes(world: PackWorld) -> None:
    pack = world.prepare()
    first, second = (b"".join(world.packs.stream(pack, "Read me.", "Report")) for _ in range(2))
    assert unzip(first).keys() == unzip(second).keys()
    assert first == second


def test_program_and_command_say_the_same(path: Path) -> None:
    """The program runs without the product; the command uses it."""
    root = str(path.parent / "root.pub")
    program = subprocess.run(
        [sys.executable, "-I", verify_pack.__file__, "--root", root, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stdout + program.stderr
    assert program.stdout.endswith("as it was sealed\n")
    command = CliRunner().invoke(accord, ["recording", "verify", str(path), "--root", root, "--json"])
    assert command.exit_code == 0, command.output
    (result,) = json.loads(command.output)["results"]
    assert result["intact"] is True
    assert len(result["points"]) == len(program.stdout.splitlines()) - 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl is installed")
def test_openssl_and_sha256sum_agree(world: PackWorld, tmp_path: Path) -> None:
    for name, content in unzip(world.make()).items():
        target = tmp_path / "pack" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (tmp_path / "root.pub").write_bytes(signing.public_pem(world.house.root_public))
    run = subprocess.run(
        ["sh", "data/check-with-openssl.txt", str(tmp_path / "root.pub")],
        cwd=tmp_path / "pack", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("signed ") == 9
