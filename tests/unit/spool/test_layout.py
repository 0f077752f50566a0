from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.clock import Uptime
from recorder.domain.line_policy import TransferNotice
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence
from recorder.errors import TakeError
from recorder.spool import layout
from recorder.spool.layout import CallStart
from tests.expected_errors import expect_error

NOBODY = 65534
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture
def open_spool() -> Iterator[Path]:
    """A spool that other users may read, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_finds_other_takes_beside_an_unreadable_folder(open_spool: Path) -> None:
    for name, mode in (("01-closed", 0o700), ("02-open", 0o755)):
        (open_spool / name).mkdir()
        (open_spool / name / layout.END).write_text("{}")
        (open_spool / name).chmod(mode if os.geteuid() == 0 else mode & 0o077)
    (open_spool / "02-open").chmod(0o755)
    child = os.fork()
    if child == 0:
        # Another user, since root may read everything.
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        found = [folder.name for folder in layout.finished_takes(open_spool)]
        closed = [folder.name for folder in layout.unreadable_folders(open_spool)]
        os._exit(0 if (found, closed) == (["02-open"], ["01-closed"]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (open_spool / "01-closed").chmod(0o700)


def test_line_cut_by_a_crash_does_not_corrupt_the_next(tmp_path: Path) -> None:
    """After a power failure, the daemon continues the file at a reconciliation."""
    layout.append_marker(tmp_path, Marker(AT, "recording_started", {}))
    with open(tmp_path / layout.EVENTS, "ab") as file:
        file.write(b'{"at": "2026-11-25T0\0\0\0')
    assert [marker.kind for marker in layout.read_markers(tmp_path)] == ["recording_started"]
    layout.append_marker(tmp_path, Marker(AT, "hangup", {"cause": "x"}))
    assert [marker.kind for marker in layout.read_markers(tmp_path)] == ["recording_started", "hangup"]


def test_full_disk_leaves_no_partial_line(tmp_path: Path) -> None:
    """The kernel lets the file grow by ten bytes, as on a full disk."""
    layout.append_marker(tmp_path, Marker(AT, "recording_started", {}))
    before = (tmp_path / layout.EVENTS).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            layout.append_marker(tmp_path, Marker(AT, "hold"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / layout.EVENTS).read_bytes() == before
    layout.append_marker(tmp_path, Marker(AT, "hangup"))
    assert [marker.kind for marker in layout.read_markers(tmp_path)] == ["recording_started", "hangup"]


GOOD = b'{"at": "2026-11-25T09:00:00.000Z", "kind": "hold"}'


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b'{"at": 5, "kind": "hold"}',
        b'{"at": "2026-11-25T09:00:00.000Z", "kind": 5}',
        b'{"at": "0001-01-01T00:00:00.000+14:00", "kind": "hold"}',
        b'{"at": "2026-11-25T09:00:00.000Z", "kind": "hold", "cause": {"a": 1}}',
        b'{"at": "2026-11-25T09:00:00.000Z", "kind": "hold", "cause": "\\ud800"}',
        b'{"at": "2026-11-25T09:00:00.000Z", "kind": "hold", "cause": "\\u0000"}',
        b"[" * 5000 + b"]" * 5000,
    ],
    ids=lambda line: line[:60].decode(),
)
def test_invalid_line_breaks_its_take_only(tmp_path: Path, line: bytes) -> None:
    """Any other exception would end the worker, which reads every take."""
    (tmp_path / layout.EVENTS).write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    with expect_error(TakeError, "spool.broken"):
        layout.read_markers(tmp_path)


def test_reads_the_transfer_notice_of_a_call() -> None:
    sentence = TimedSentence("said", "0" * 64, 1000)
    start = CallStart("r", None, None, "1", "inbound", "n", "c", Party("withheld", ""), AT, (), None)
    for notice in (TransferNotice("alone", sentence), TransferNotice("both", sentence, sentence)):
        body = json.loads(json.dumps(layout.start_body(replace(start, transfer_notice=notice))))
        assert ("refused" in body["transfer_notice"]) == (notice.refused is not None)
        assert layout.parse_start(body).transfer_notice == notice


def test_reads_a_call_without_uptime(tmp_path: Path) -> None:
    """The uptime is optional, but an invalid one breaks the take."""
    start = CallStart("r", None, None, "1", "inbound", "n", "c", Party("withheld", ""), AT, (), None)
    body = layout.start_body(start)
    del body["uptime"]
    assert layout.parse_start(body) == start
    start_without = replace(start, uptime=Uptime("this start", 12.5))
    assert layout.parse_start(json.loads(json.dumps(layout.start_body(start_without)))) == start_without
    for wrong in ({"boot": "x"}, {"boot": 1, "up": 1.0}, {"boot": "x", "up": "y"}, [], "x"):
        with pytest.raises((TypeError, ValueError, KeyError)):
            layout.parse_start(body | {"uptime": wrong})
