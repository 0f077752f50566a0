"""The real logrotate on the log of writing processes: no line is lost or duplicated."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.cli.logs import LogFile
from tests.deploy.boot import REPOSITORY

WRITER = """
import sys, time, structlog
from recorder.cli import logs
from pathlib import Path
path, lines = Path(sys.argv[1]), int(sys.argv[3])
logs.begin(path)
log = structlog.get_logger()
for number in range(lines):
    if number == lines // 2:
        path.with_name(f"half-{sys.argv[2]}").touch()
        while not path.with_name("rotated").exists():
            time.sleep(0.01)
    log.info("line", writer=sys.argv[2], number=number, more="x" * (number % 300))
"""
"""Each writer waits after half of its lines for the first rotation."""

LINES = 4_000
WRITERS = 3


@pytest.fixture
def rotation(tmp_path: Path) -> Path:
    """The shipped file, for a log in a test's folder and this user."""
    text = (REPOSITORY / "deploy/logrotate/accord").read_text()
    text = text.replace("/var/log/accord", str(tmp_path)).replace("/var/lib/accord", str(tmp_path))
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("su "))
    path = tmp_path / "logrotate.conf"
    path.write_text(text)
    path.chmod(0o644)
    return path


def rotate(conf: Path) -> None:
    process = subprocess.run(
        ["logrotate", "--force", "--state", str(conf.with_name("state")), str(conf)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
    )
    assert process.returncode == 0, process.stderr


def test_no_line_is_lost_and_none_is_doubled(tmp_path: Path, rotation: Path) -> None:
    if shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("logrotate is missing (package logrotate)")
    tmp_path.chmod(0o755)
    path = tmp_path / "accord.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number), str(LINES)], stderr=subprocess.PIPE
        )
        for number in range(WRITERS)
    ]
    rotations = 0
    while any(writer.poll() is None for writer in writers):
        if len(list(tmp_path.glob("half-*"))) == WRITERS and path.exists() and path.stat().st_size:
            rotate(rotation)
            rotations += 1
            path.with_name("rotated").touch()
        time.sleep(1.05)  # rotated files are named by the second
    for writer in writers:
        errors = writer.communicate()[1]
        assert (writer.returncode, errors) == (0, b"")
    assert rotations >= 1
    counts: dict[tuple[str, int], int] = {}
    written_to: dict[str, set[str]] = {}
    files = [each for each in tmp_path.iterdir() if each.name.startswith("accord.log")]
    assert len(files) == rotations + path.exists()
    for each in files:
        content = gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes()
        for line in content.splitlines():
            body = json.loads(line)
            key = (body["writer"], body["number"])
            counts[key] = counts.get(key, 0) + 1
            written_to.setdefault(body["writer"], set()).add(each.name)
    assert len(counts) == WRITERS * LINES
    assert set(counts.values()) == {1}
    assert all(len(names) > 1 for names in written_to.values()), "each went on in the new file"


def test_log_lines_lost_to_a_full_disk_are_counted(tmp_path: Path) -> None:
    """A file size limit replaces a full disk: the write fails in the same place."""
    script = f"""
import resource, signal
from pathlib import Path
from recorder.cli.logs import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = LogFile(Path({str(tmp_path / "log")!r}))
log.write("first\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
log.write("second line\\n")
log.write("third line\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write("fourth\\n")
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "log").read_text() == (
        'first\nseco\n{"event": "log.lost", "lines": 2, "level": "error"}\nfourth\n'
    )


def test_moved_log_is_reopened(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write("one\n")
    (tmp_path / "log").rename(tmp_path / "old")
    log.write("two\n")
    assert (tmp_path / "old").read_text() == "one\n"
    assert (tmp_path / "log").read_text() == "two\n"
