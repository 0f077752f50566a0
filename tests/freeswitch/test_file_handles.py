"""A daemon without free file handles: calls wait no longer than the switch's bound, and continue."""

from __future__ import annotations

import resource
import time

from tests.freeswitch.switches import SCHEDULER_S, WAIT_S, Rig, until


def test_daemon_without_file_handles_delays_no_call_and_recovers(daemon: Rig) -> None:
    daemon.wait_watching()
    process = daemon.daemon
    assert process is not None
    live_call = daemon.call()
    live_call.wait_bridged()
    allowed = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, allowed[1]))
    alone = daemon.call()
    alone.wait_bridged()
    assert alone.variable("accord_left") == "late", "the switch's own bound"
    assert alone.connected_after() < WAIT_S + SCHEDULER_S + 1
    assert alone.variable("accord_state") == "unrecorded"
    assert live_call.alive()
    assert process.poll() is None
    log = daemon.folder / "daemon.log"
    until("it says so", lambda: b"Too many open files" in log.read_bytes(), 5)
    live_call.hang_up()  # its end cannot be written now
    time.sleep(0.5)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, allowed)
    later = daemon.call()
    later.wait_bridged()
    assert later.variable("accord_state") == "announced", "without a restart"
    later.hang_up()
    alone.hang_up()
    for call in (live_call, later):
        take = call.wait_take()
        assert take.end.outcome == "recorded"
        assert take.last("hangup") is not None
    assert alone.wait_take().end.outcome == "not_recorded"
    daemon.assert_only_announced_audio_is_kept()
