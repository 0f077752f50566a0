"""A daemon is replaced while calls are live and arriving: none loses its recording."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import recorder
from recorder.processes.supervisor import Program, Supervisor
from recorder.spool.layout import Take
from tests.freeswitch.switches import HERE, CallUnderTest, Rig, chirp, until

LIVE = 20
NEW = 30
EVERY = 0.2
"""Seconds between two calls that arrive."""

ANNOUNCEMENT = 2.5
"""Seconds: long enough that several are told whenever the daemon changes."""


@contextmanager
def _separate(rig: Rig, **changed: object) -> Iterator[Callable[[], None]]:
    first = rig.start_daemon()

    def restart() -> None:
        rig.daemon = rig.spawn_daemon(replace=True, **changed)

    yield restart
    assert first.wait(30) == 0
    assert rig.daemon is not first
    assert rig.daemon is not None
    assert rig.daemon.poll() is None


@contextmanager
def _ended_and_started(rig: Rig) -> Iterator[Callable[[], None]]:
    first = rig.start_daemon(linger=30.0)

    def restart() -> None:
        first.terminate()
        rig.daemon = rig.spawn_daemon()

    yield restart
    assert first.wait(60) == 0


@contextmanager
def _settings(rig: Rig) -> Iterator[Callable[[], None]]:
    with _separate(rig, full_at=0.97, command_timeout=4.0, region="BE") as restart:
        yield restart


@contextmanager
def _run(rig: Rig, source: Path = HERE.parents[1], other: Path | None = None) -> Iterator[Callable[[], None]]:
    """``accord run``; its command is a link, so that a new version can replace the old one."""
    link = rig.folder / "installed"
    link.unlink(missing_ok=True)
    link.symlink_to(source)

    def argv(**more: object) -> list[str]:
        return ["sh", "-c", f'exec "$@" >>{rig.folder}/daemon.log 2>&1', "sh", *rig.program(**more)]

    supervisor = Supervisor(
        [Program("daemon", argv(), has_heartbeat=True, replacement=argv(replace=True), longest=0.3)],
        {**os.environ, "PYTHONPATH": str(link)},
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    rig.wait_daemon()
    first = supervisor.pid("daemon")

    def restart() -> None:
        if other is not None:
            link.unlink()
            link.symlink_to(other)
        supervisor.renew()

    try:
        yield restart
        until("the first has ended", lambda: supervisor.pid("daemon") not in (None, first), 30)
        until("only one is left", lambda: len(supervisor._children[0].runs) == 1, 30)
    finally:
        supervisor.stop()
        thread.join(30)


@contextmanager
def _upgrade(rig: Rig) -> Iterator[Callable[[], None]]:
    """The same code under another path."""
    other = rig.folder / "next-version"
    if not other.exists():
        for package in ("recorder", "web"):
            shutil.copytree(Path(recorder.__file__).parents[1] / package, other / package)
    with _run(rig, other=other) as restart:
        yield restart


WAYS = {
    "started beside it": _separate,
    "ended and started": _ended_and_started,
    "accord run": _run,
    "an upgrade": _upgrade,
    "settings": _settings,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.long
def test_fifty_calls_and_a_replaced_daemon(rig: Rig, way: str) -> None:
    rig.write_snapshot(chirp(ANNOUNCEMENT))
    with WAYS[way](rig) as restart:
        rig.wait_watching()
        live_calls = [rig.call() for _ in range(LIVE)]
        for call in live_calls:
            call.wait_bridged(60)
        new_calls = _arrive(rig, restart)
        for call in new_calls:
            call.wait_bridged(30)
        log = (rig.folder / "daemon.log").read_bytes
        until("the next one has taken over", lambda: b"daemon.takeover_finished" in log(), 60)
        assert all(call.alive() for call in (*live_calls, *new_calls))
        time.sleep(1.0)  # something is said after it
        for call in (*live_calls, *new_calls):
            call.hang_up()
        takes = [call.wait_take(30) for call in (*live_calls, *new_calls)]
        until("no folder is open", lambda: len(list(rig.spool.glob("*/take.json"))) == len(takes), 10)
    _report(way, takes)
    assert Counter(take.end.reason or take.end.outcome for take in takes) == {"recorded": len(takes)}
    assert len(list(rig.spool.glob("*/call.json"))) == len(takes), "each is written down once"
    gaps = [_unobserved(take) for take in takes]
    assert all(len(each) <= 1 for each in gaps)
    assert not any(gaps[LIVE + NEW - 5 :]), "the new one's own calls were watched all the time"
    rig.assert_only_announced_audio_is_kept()


def _arrive(rig: Rig, restart: Callable[[], None]) -> list[CallUnderTest]:
    """Place calls one after the other; restart the daemon after a third of them."""
    log = rig.folder / "daemon.log"
    calls: list[CallUnderTest] = []
    start = time.monotonic()
    after_it = 5
    while len(calls) < NEW or after_it:
        if len(calls) == NEW // 3:
            restart()
        if len(calls) >= NEW - 5:
            # The last ones when the next one takes them, however long it takes to start.
            until("the next one is ready", lambda: log.read_bytes().count(b"daemon.ready") > 1, 60)
            after_it -= 1
        calls.append(rig.call())
        time.sleep(max(0.0, start + len(calls) * EVERY - time.monotonic()))
    return calls


def _unobserved(take: Take) -> list[float]:
    starts = [marker.at for marker in take.markers if marker.kind == "unobserved_from"]
    ended = [marker.at for marker in take.markers if marker.kind == "unobserved_to"]
    return [(end - begin).total_seconds() for begin, end in zip(starts, ended, strict=True)]


def _report(way: str, takes: list[Take]) -> None:
    gaps = sorted(gap for take in takes for gap in _unobserved(take))
    reasons = Counter(take.end.reason for take in takes if take.end.outcome != "recorded")
    print(
        f"{way}: {len(takes)} calls, not recorded {dict(reasons)}, unobserved {len(gaps)} calls "
        f"{gaps[0] if gaps else 0:.3f} to {gaps[-1] if gaps else 0:.3f} s, {sum(gaps):.2f} s in all",
        file=sys.stderr,
    )
