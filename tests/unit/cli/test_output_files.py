"""Files that commands write appear whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.cli.output_files import check_output, open_output, write_output


def test_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    with open_output(path) as file:
        assert file is not None
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report"]


def test_interrupted_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_output(path):
        raise KeyboardInterrupt
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["report"])


def test_device_and_link_are_written_in_place(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    write_output(link, b"text")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"text")
    with pytest.raises(OSError, match="/dev/full"):
        write_output(Path("/dev/full"), b"text")
    assert Path("/dev/full").is_char_device()


def test_check_creates_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "report")
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="missing/report"):
        check_output(tmp_path / "missing" / "report")
    check_output(None)
