"""Peers that pretend to be the switch are refused; the switch is admitted, whatever else is down."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.capture.admission import FILE, key_variable
from recorder.spool.layout import AUDIO
from tests import forged_switch
from tests.freeswitch.process import Esl, until
from tests.freeswitch.switches import NUMBER, PASSWORD, RATE, CallUnderTest, Rig
from tests.scenarios.proxy import Proxy

KEY = key_variable("test")
USERS = [
    pytest.param(None, id="the switch's own user"),
    pytest.param(
        forged_switch.SOMEBODY,
        id="another user",
        marks=pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else"),
    ),
]


@pytest.fixture
def standing_proxy(rig: Rig) -> Iterator[Proxy]:
    """A proxy for the daemon's standing connection, which tests cut."""
    proxy = Proxy("standing", 0, rig.switch.esl_port, [])
    yield proxy
    proxy.cut()


def log(rig: Rig) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", (rig.folder / "daemon.log").read_text())


def spools(rig: Rig) -> set[str]:
    return {path.name for path in rig.spool.iterdir() if path.is_dir()}


def assert_still_recorded(rig: Rig, call: CallUnderTest) -> None:
    call.wait_bridged()
    assert call.variable("accord_state") == "announced"
    assert rig.recorded_now() == {call.leg}


def assert_recorded(rig: Rig, call: CallUnderTest) -> None:
    assert_still_recorded(rig, call)
    assert_kept(rig, call)


def assert_kept(rig: Rig, call: CallUnderTest) -> None:
    call.hang_up()
    take = call.wait_take()
    assert take.end.outcome == "recorded", (take.end, take.markers)
    rig.assert_only_announced_audio_is_kept()


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize(
    ("state", "direction"), [("waiting", "inbound"), ("answered", "outbound"), ("late", "inbound")]
)
def test_forged_call_has_no_effect_and_reveals_nothing(
    daemon: Rig, uid: int | None, state: str, direction: str
) -> None:
    daemon.wait_watching()
    channel = str(uuid.uuid4())
    with forged_switch.run(
        str(daemon.daemon_port), "--channel", channel, "--line", f"{NUMBER}01", "--state", state,
        "--direction", direction, uid=uid,
    ) as process:  # fmt: skip
        bodies = json.loads(process.communicate(timeout=20)[0])
    assert bodies[0] == "connect"
    assert all(re.fullmatch(r"connect|api global_getvar \w+", each) for each in bodies), bodies
    assert spools(daemon) == set()
    assert "call.arrived" not in log(daemon)
    assert channel not in log(daemon)
    assert "socket.peer_refused" in log(daemon)
    assert_recorded(daemon, daemon.call())


def test_calls_are_recorded_without_the_standing_connection(rig: Rig, standing_proxy: Proxy) -> None:
    rig.start_daemon(switch_port=standing_proxy.port)
    rig.wait_watching()
    standing_proxy.cut()
    until("it is noticed", lambda: "switch.down" in log(rig))
    first = rig.call()
    assert_still_recorded(rig, first)
    needed_bytes = (len(rig.prompt) / RATE + 1) * RATE * 4
    until("they have talked", lambda: (first.take() / AUDIO).stat().st_size > needed_bytes)  # type: ignore[operator]
    first.hang_up()
    # And by the next daemon, which never was connected.
    rig.kill_daemon()
    rig.start_daemon(switch_port=standing_proxy.port)
    rig.switch.wait_empty()
    second = rig.call()
    assert_still_recorded(rig, second)
    assert log(rig).count("switch.up") == 1
    # How it ends is told by the switch, once it is connected.
    rig.start_daemon()
    assert_kept(rig, second)
    take = first.wait_take()
    assert take.end.outcome == "recorded", (take.end, take.markers)
    assert "unobserved_from" in [marker.kind for marker in take.markers]


def test_restarted_switch_is_admitted_at_once(rig: Rig, standing_proxy: Proxy) -> None:
    rig.start_daemon()
    rig.wait_watching()
    assert_recorded(rig, rig.call())
    rig.switch.stop()
    rig.switch.start()
    assert_recorded(rig, rig.call())
    until("it has a key again", lambda: "-ERR" not in rig.switch.esl.api(f"global_getvar {KEY}"))
    # By its user alone: started anew, and the daemon cannot connect to it.
    rig.start_daemon(switch_port=standing_proxy.port)
    rig.wait_watching()
    standing_proxy.cut()
    rig.switch.stop()
    rig.switch.start()
    assert "-ERR" in rig.switch.esl.api(f"global_getvar {KEY}")
    call = rig.call()
    assert_still_recorded(rig, call)
    rig.start_daemon()
    assert_kept(rig, call)


def test_restarted_daemon_accepts_calls_at_once(daemon: Rig) -> None:
    daemon.wait_watching()
    key = daemon.switch.esl.api(f"global_getvar {KEY}")
    for _ in range(2):
        daemon.kill_daemon()
        daemon.start_daemon()
        assert_recorded(daemon, daemon.call())
    daemon.wait_watching()
    assert daemon.switch.esl.api(f"global_getvar {KEY}") != key, "each daemon has its own"


def test_key_is_in_no_channel_event_or_log(daemon: Rig) -> None:
    daemon.wait_watching()
    key = daemon.switch.esl.api(f"global_getvar {KEY}")
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    daemon.switch.esl.api("console loglevel debug")
    daemon.switch.esl.api("fsctl loglevel debug")
    listener = Esl(daemon.switch.esl_port, PASSWORD)
    try:
        listener.command("event plain ALL")
        call = daemon.call()
        call.wait_bridged()
        dump = daemon.switch.esl.api(f"uuid_dump {call.leg}")
        assert "variable_accord_state: announced" in dump
        call.hang_up()
        call.wait_take()
        events = listener.drain(0.5)
    finally:
        listener.close()
    assert {"CHANNEL_CREATE", "CHANNEL_EXECUTE", "CHANNEL_HANGUP_COMPLETE", "API"} <= {
        event["Event-Name"] for event in events
    }
    assert key not in dump
    assert not [event for event in events if key in str(event)]
    assert key not in log(daemon)
    paths_with_key = {path for path in everything(daemon.folder) if key.encode() in path.read_bytes()}
    assert paths_with_key == {daemon.spool / FILE}


def everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
