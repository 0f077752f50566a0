"""The daemon's lines, disk and spool, and when it last watched the switch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.capture import config_cache
from recorder.capture.config_cache import ConfigCache
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.spool.snapshot import Snapshot, write_snapshot
from tests.clock import Clock
from tests.waiting import until

SOUND = b"RIFF and so on"
SHA = hashlib.sha256(SOUND).hexdigest()


def write(
    folder: Path,
    *numbers: str,
    never: tuple[str, ...] = (),
    sound: bytes = SOUND,
    suspended: bool = False,
) -> None:
    (folder / "prompts").mkdir(parents=True, exist_ok=True)
    (folder / "prompts" / f"{SHA}.wav").write_bytes(sound)
    announcement = Announcement("a", 1, "en", "text", ("agreement",), 30, SHA, 1000)
    lines = [
        LinePolicy("t", f"l{n}", n, "notice", "before_ringing", ("opus",), announcement, suspended=suspended)
        for n in numbers
    ]
    write_snapshot(folder, lines, never, datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def cache(tmp_path: Path, clock: Clock):
    caches: list[ConfigCache] = []

    def make(full_at: float = 0.999999) -> ConfigCache:
        one = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", full_at, clock)
        assert one.claim()
        one.start()
        caches.append(one)
        return one

    yield make
    for one in caches:
        one.stop()


def test_decide_returns_a_line_or_a_reason(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100", "3225550101", never=("+3225550101", "3225550109"))
    decide = cache().decide
    line, reason = decide("+3225550100")
    assert line is not None
    assert (line.number, reason) == ("3225550100", None)
    assert decide("3225550101")[1] == "never_record"
    assert decide("3225550109") == (None, "never_record")
    for number in ("3225550199", "", "322555010", "32255501000", "x", "3225550100; drop"):
        assert decide(number) == (None, "no_line")


def test_never_record_list_applies_to_callers(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100", never=("+3225550109", "112"))
    decide = cache().decide
    for caller in ("+3225550109", "3225550109", "112"):
        line, reason = decide("3225550100", {"0", caller})
        assert line is not None
        assert reason == "never_record"
    for caller in ("", "+", "+32255501091", "025550109", "sip:112@host"):
        assert decide("3225550100", {caller})[1] is None


def test_suspended_line_is_not_recorded_though_it_could_be(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100", "3225550101", never=("3225550101",), suspended=True)
    decide = cache().decide
    line, reason = decide("+3225550100")
    assert line is not None
    assert (line.number, reason) == ("3225550100", "suspended")
    assert decide("3225550101")[1] == "never_record"


def test_suspended_line_is_called_so_though_its_sound_is_damaged(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100", sound=b"something else", suspended=True)
    assert cache().decide("3225550100")[1] == "suspended"


def test_records_nothing_without_a_snapshot(cache) -> None:
    assert cache().decide("3225550100") == (None, "no_snapshot")


def test_damaged_prompt_affects_only_its_line(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100", sound=b"something else")
    assert cache().decide("3225550100")[1] == "prompt_damaged"


def test_detects_changed_prompts_without_a_new_snapshot(cache, tmp_path: Path) -> None:
    """The worker restores the prompt without writing the snapshot again."""
    write(tmp_path / "snapshot", "3225550100")
    prompt = tmp_path / "snapshot" / "prompts" / f"{SHA}.wav"
    one = cache()
    assert one.decide("3225550100")[1] is None
    for harm in (prompt.unlink, lambda: prompt.write_bytes(SOUND[:-1])):
        harm()
        one._check()
        assert one.decide("3225550100")[1] == "prompt_damaged"
        prompt.write_bytes(SOUND)
        one._check()
        assert one.decide("3225550100")[1] is None


def test_does_not_reread_an_unchanged_snapshot(
    cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "snapshot", "3225550100")
    one = cache()
    monkeypatch.setattr(config_cache, "read_snapshot", lambda *_: pytest.fail("read again"))
    os.utime(tmp_path / "snapshot" / "prompts" / f"{SHA}.wav")  # a take was announced with it
    one._check()


def test_full_disk_prevents_recording(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100")
    assert cache(full_at=0.0).decide("3225550100")[1] == "full_disk"


def test_read_only_spool_is_reported_until_it_is_writable(cache, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    write(tmp_path / "snapshot", "3225550100")
    one, spool = cache(), str(tmp_path / "spool")
    before = one.checked_at
    subprocess.run(["mount", "--bind", spool, spool], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", spool], check=True)
        one._check()
        assert "the daemon may not write to it" in one.problem
        assert spool in one.problem
        assert one.checked_at == before, "readiness looks at how old the last complete check is"
    finally:
        subprocess.run(["umount", "--lazy", spool], check=True)
    one._check()
    assert one.problem == ""
    assert one.checked_at > before


AS_NOBODY = """
import os, sys
from pathlib import Path
from recorder.capture.config_cache import ConfigCache
from recorder.clock import utc_now
spool, snapshot = map(Path, sys.argv[1:])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
cache = ConfigCache(spool, snapshot, 0.999999, utc_now)
for _ in sys.stdin:
    cache._check()
    print(cache.problem, file=sys.stderr, flush=True)
"""


def test_spool_closed_to_the_daemon_s_user_is_reported_until_it_is_open(tmp_path: Path) -> None:
    """As another user than root, who may write everywhere."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder / "snapshot", "3225550100")
        (folder / "spool").mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", AS_NOBODY, str(folder / "spool"), str(folder / "snapshot")],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[3],
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stderr is not None
            problems = []
            for mode in (0o777, 0o555, 0o666, 0o777):
                (folder / "spool").chmod(mode)
                process.stdin.write("check\n")
                process.stdin.flush()
                problems.append(process.stderr.readline().strip())
            process.stdin.close()
    assert [bool(each) for each in problems] == [False, True, True, False], problems
    assert all("the daemon may not write to it" in each for each in problems[1:3])


def test_reads_a_new_snapshot_and_keeps_the_old_one_if_broken(cache, tmp_path: Path) -> None:
    write(tmp_path / "snapshot", "3225550100")
    one = cache()
    write(tmp_path / "snapshot", "3225550100", "3225550101")
    one._check()
    assert one.decide("3225550101")[1] is None
    for content in (b"{", b'{"format": 99}', b'{"format": 1}', b"[]"):
        (tmp_path / "snapshot" / "snapshot.json").write_bytes(content)
        one._check()
        assert one.decide("3225550101")[1] is None
    (tmp_path / "snapshot" / "snapshot.json").unlink()
    one._check()
    assert one.decide("3225550101")[1] is None


def test_bug_in_one_check_does_not_end_the_checks(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the daemon would not detect a full disk or a new line any more."""
    monkeypatch.setattr(config_cache, "CHECK_INTERVAL", 0.01)
    one = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", 0.999999, clock)
    assert one.claim()
    one.start()
    failed: list[Path] = []

    def fail(folder: Path, _known: Snapshot | None) -> Snapshot:
        failed.append(folder)
        raise ArithmeticError("a bug")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(config_cache, "read_snapshot", fail)
            write(tmp_path / "snapshot", "3225550100")
            until("it fails again", lambda: len(failed) > 1, 10)
            until("the problem is known", lambda: "bug" in one.problem, 10)
        until("the snapshot is read", lambda: one.decide("3225550100")[1] is None, 10)
        assert one.problem == ""
    finally:
        one.stop()


def test_spool_has_one_daemon(cache, tmp_path: Path) -> None:
    cache()
    second = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", 0.95, lambda: datetime.now(UTC))
    assert not second.claim()
    assert second.claim_error().error_id == "daemon.second"


def test_crash_leaves_the_last_watch_time(tmp_path: Path, clock: Clock) -> None:
    first = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", 0.95, clock)
    assert first.claim()
    first.start()
    assert first.unwatched_since() == clock()  # the first daemon: nothing was missed
    first.begin_watch()
    first._check()
    first.stop()
    watch_time = clock().timestamp() - 500
    os.utime(tmp_path / "spool" / config_cache.WATCH_FILE, (watch_time, watch_time))
    second = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", 0.95, clock)
    assert second.claim()
    second.start()
    second._check()  # not watching yet: the file remains unchanged
    assert abs(second.unwatched_since() - datetime.fromtimestamp(watch_time, UTC)) < timedelta(seconds=1)
    second.stop()


def test_late_check_writes_no_other_file(tmp_path: Path, clock: Clock) -> None:
    """The check was running in a thread when the spool was released."""
    one = ConfigCache(tmp_path / "spool", tmp_path / "snapshot", 0.95, clock)
    assert one.claim()
    one.start()
    one.begin_watch()
    number = one._descriptor
    one.stop()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    one._check()
    for each in {other, number}:
        os.close(each)
    assert (tmp_path / "other").read_bytes() == b""


def test_unwatched_since_the_connection_was_lost(cache, clock: Clock) -> None:
    one = cache()
    one.begin_watch()
    clock.forward(minutes=5)
    one.end_watch()
    loss = clock()
    clock.forward(minutes=1)
    one.end_watch()
    assert one.unwatched_since() == loss


def test_reading_unwatched_since_does_not_note_a_watch(cache, tmp_path: Path, clock: Clock) -> None:
    """Reconciling may fail half-way, and reads it again."""
    one = cache()
    start = clock()
    for _ in range(2):
        clock.forward(minutes=1)
        assert one.unwatched_since() == start
        one._check()
        assert (tmp_path / "spool" / config_cache.WATCH_FILE).stat().st_size == 0
    one.begin_watch()
    assert one.unwatched_since() == clock()
    one._check()
    assert (tmp_path / "spool" / config_cache.WATCH_FILE).stat().st_size == 1
