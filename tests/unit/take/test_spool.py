from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.take import spool

NOBODY = 65534


@pytest.fixture
def open_spool() -> Iterator[Path]:
    """A spool that other users may look into, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_a_folder_that_is_closed_to_us_keeps_no_other_from_being_found(open_spool: Path) -> None:
    for name, mode in (("01-closed", 0o700), ("02-open", 0o755)):
        (open_spool / name).mkdir()
        (open_spool / name / spool.END).write_text("{}")
        (open_spool / name).chmod(mode if os.geteuid() == 0 else mode & 0o077)
    (open_spool / "02-open").chmod(0o755)
    child = os.fork()
    if child == 0:
        # A user of its own: root may look into everything.
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        found = [folder.name for folder in spool.finished_takes(open_spool)]
        closed = [folder.name for folder in spool.closed_folders(open_spool)]
        os._exit(0 if (found, closed) == (["02-open"], ["01-closed"]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (open_spool / "01-closed").chmod(0o700)
