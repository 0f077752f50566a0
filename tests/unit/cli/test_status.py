"""``accord status`` on a spool and a log, without a running process."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder import config
from recorder.cli import accord
from recorder.cli.terminal import printable
from recorder.domain.markers import Marker
from recorder.ops.doctor.findings import DoctorFinding, Patient
from recorder.ops.status import NodeStatus, call_state, format_duration, last_failure
from recorder.pipeline import stages
from recorder.processes.services import Context
from recorder.spool.layout import AUDIO, append_marker, open_take
from tests.clock import Clock
from tests.house import Bakery


@pytest.fixture
def clock() -> Clock:
    """The day of the log."""
    return Clock()


def status(house: Bakery, **more: str) -> NodeStatus:
    return NodeStatus(Patient(Context(config.load(None, environment(house, **more)), None), house.clock))


def environment(house: Bakery, **more: str) -> dict[str, str]:
    return {
        "ACCORD_NODE_DATA": str(house.folder),
        "ACCORD_METRICS_DAEMON_PORT": "0",
        "ACCORD_METRICS_WORKER_PORT": "0",
        "ACCORD_METRICS_WEB_PORT": "0",
        **more,
    }


def node_findings(node: NodeStatus, check: str) -> list[DoctorFinding]:
    return [finding for name, finding in node.look() if name == check]


def live(house: Bakery, *kinds: str, **changes: object) -> Path:
    folder = open_take(house.spool, house.start(**changes))
    for kind in kinds:
        append_marker(folder, Marker(house.clock(), kind))
    (folder / AUDIO).write_bytes(b"." * 32_000)
    return folder


def test_call_state_follows_its_events(house: Bakery) -> None:
    markers = ("recording_started", "announcement_started", "announcement_finished")
    states = {
        live(house): "arriving",
        live(house, *markers[:2]): "announcing",
        live(house, *markers): "ringing",
        live(house, *markers, "bridged"): "connected",
        live(house, *markers, "bridged", "hold"): "on hold",
        live(house, *markers, "bridged", "hold", "unhold"): "connected",
        live(house, *markers, "bridged", "unbridged", "participant_joined"): "connected",
        live(house, *markers, "bridged", "unbridged", "participant_joined", "participant_left"): "ringing",
        live(house, *markers, "recording_stopped"): "stopped",
        live(house, announcement=None, tenant=None, line=None): "no line",
    }
    assert {folder: call_state(folder) for folder in states} == states
    node = status(house)
    (calls,) = node_findings(node, "calls")
    assert calls.what == (
        "calls: 10 live: 1 announcing, 1 arriving, 3 connected, 1 no line, 1 on hold, 2 ringing, 1 stopped"
    )
    assert node.live == {
        "announcing": 1, "arriving": 1, "connected": 3, "no line": 1, "on hold": 1, "ringing": 2, "stopped":
        1,
    }  # fmt: skip


def test_recording_that_stopped_growing_is_reported(house: Bakery) -> None:
    live_take, silent = live(house, "recording_started"), live(house, "recording_started")
    take_on_hold = live(house, "recording_started", "announcement_finished", "hold")
    long_ago = time.time() - 60
    for each in (silent, take_on_hold):
        os.utime(each / AUDIO, (long_ago, long_ago))
    calls, wrong = node_findings(status(house), "calls")
    assert calls.what == "calls: 3 live: 2 announcing, 1 on hold"
    assert (wrong.state, wrong.what) == (
        "wrong", f"calls: 1 recordings have stopped growing: {silent.name}",
    )  # fmt: skip
    assert live_take.name not in wrong.what


def test_recording_that_the_switch_never_began_to_write_is_reported(house: Bakery) -> None:
    no_audio, new_call = live(house, "recording_started"), live(house)
    long_ago = time.time() - 60
    for each in (no_audio, new_call):
        (each / AUDIO).unlink()
        os.utime(each, (long_ago, long_ago))
    _, wrong = node_findings(status(house), "calls")
    assert wrong.what == f"calls: 1 recordings have stopped growing: {no_audio.name}"


def test_the_spool_by_stage_and_the_oldest_take(house: Bakery) -> None:
    stored_take = house.take()
    stages.step(stored_take, house.clock(), house.services)
    house.take()
    house.unrecorded()
    for folder in house.spool.iterdir():
        ended = (house.clock() - timedelta(minutes=5)).timestamp()
        os.utime(folder / "take.json", (ended, ended))
    (spool,) = node_findings(status(house), "spool")
    assert spool.state == "ok"
    assert spool.what.startswith("spool: 3 finished calls, ")
    assert spool.what.endswith(": 2 to encode, 1 to seal, the oldest for 05:00")
    house.clock.forward(minutes=6)
    (spool,) = node_findings(status(house), "spool")
    assert (spool.state, spool.hint != "") == ("warning", True)


def test_quarantined_take_is_shown_with_its_reason(house: Bakery) -> None:
    for name, since in (("a", "2026-11-25T09:00:00.000Z"), ("b", "2026-11-25T10:00:00.000Z")):
        folder = house.spool / "quarantine" / name
        folder.mkdir(parents=True)
        (folder / "quarantine.json").write_text(json.dumps({"since": since, "reason": f"reason {name}"}))
    (house.spool / "quarantine" / "c").mkdir()
    (finding,) = node_findings(status(house), "quarantine")
    assert (finding.state, finding.what) == (
        "warning", "spool: 3 takes in quarantine, the last at 2026-11-25T10:00:00.000Z: reason b",
    )  # fmt: skip


def test_the_last_failure_is_read_from_the_end_of_the_log(house: Bakery) -> None:
    log = house.folder / "accord.log"
    lines = [
        {"event": "old.failed", "level": "error", "timestamp": "2026-11-25T07:00:00.000000Z"},
        {
            "event": "store.failed",
            "level": "error",
            "timestamp": "2026-11-25T08:55:00.000000Z",
            "error": "away",
        },
        {"event": "worker.started", "level": "info", "timestamp": "2026-11-25T08:56:00.000000Z"},
    ]
    log.write_text(
        "x" * 300_000 + "\n" + "".join(json.dumps(each) + "\n" for each in lines) + '{"event": "to'
    )
    node = status(house, ACCORD_LOG_PATH=str(log))
    (finding,) = node_findings(node, "log")
    assert (finding.state, finding.what) == (
        "warning", "log: last failure at 2026-11-25 08:55:00 UTC: store.failed: away",
    )  # fmt: skip
    assert node.figures()["last_failure"] == {
        "at": "2026-11-25T08:55:00.000Z", "event": "store.failed", "error": "away",
    }  # fmt: skip
    house.clock.forward(minutes=6)
    assert [each.state for each in node_findings(node, "log")] == ["ok"]
    log.write_text("")
    assert last_failure(log) is None
    assert node_findings(status(house), "log") == []


def test_ten_thousand_takes_are_counted_quickly(house: Bakery) -> None:
    for number in range(2000):
        folder = house.spool / f"01a2102b-0000-7000-8000-{number:012}"
        folder.mkdir()
        for name in ("call.json", "take.json", "encoded.json"):
            (folder / name).write_bytes(b"{}")
    node = status(house)
    start = time.process_time()
    list(node.look())
    assert time.process_time() - start < 2
    assert node.depth is not None
    assert node.depth.finished == 2000


def test_exit_status_and_json_report_stopped_processes(house: Bakery) -> None:
    result = CliRunner().invoke(accord, ["status", "--json"], env=environment(house))
    body = json.loads(result.stdout)
    assert (result.exit_code, body["state"]) == (1, "wrong")
    assert body["spool"] == {
        "waiting": {"encode": 0, "seal": 0, "store": 0, "catalogue": 0},
        "oldest_seconds": 0, "delays": 0, "bytes": 0, "quarantine": 0,
    }  # fmt: skip
    assert {"daemon", "worker", "panel", "calls", "spool", "disk"} == {
        each["check"] for each in body["findings"]
    }


def test_unusable_settings_exit_as_wrong_usage() -> None:
    assert CliRunner().invoke(accord, ["status"], env={"ACCORD_NODE_FULL_AT": "7"}).exit_code == 2


def test_text_from_elsewhere_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\r\u202ec\nd") == "a?[2Jb??c\nd"


def test_durations_are_short() -> None:
    assert format_duration(timedelta(seconds=3723.9)) == "1:02:03"
    assert format_duration(timedelta(seconds=-5)) == "00:00"
