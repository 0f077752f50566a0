"""Outbound calls on a real switch: what both hear and when, and what is kept."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recorder.audio.encoding import WAV, encode
from recorder.spool import layout
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.outbound_call import LINE, call_out
from tests.freeswitch.switches import (
    CONF,
    RATE,
    CallUnderTest,
    Rig,
    heard_whole,
    level,
    onset_of,
    read_wav,
    until,
)
from tests.scenarios.files import LOWS, chirp

ANNOUNCEMENT = chirp(low=LOWS["announcement"])


def markers(call: CallUnderTest) -> list[str]:
    return call.markers_now()


def test_callee_hears_the_announcement_while_the_caller_hears_ringing(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "out")
    call = call_out(daemon, "3247888000101")
    until("the callee is told", lambda: "announcement_started" in markers(call), every=0.01)
    while "announcement_finished" not in markers(call):
        assert not call.heard_by_caller.exists(), "the caller hears something before the callee is told"
        time.sleep(0.02)
    until("they are connected", lambda: "bridged" in markers(call), every=0.01)
    time.sleep(1.5)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert (take.start.direction, take.start.number) == ("outbound", LINE)
    assert (take.start.external_party.value, take.end.internal_party.value) == (call.number, LINE)
    assert heard_whole(read_wav(call.heard_by_callee)[:, 0], ANNOUNCEMENT)
    caller = read_wav(call.heard_by_caller)[:, 0]
    assert onset_of(caller, ANNOUNCEMENT) is None, "the caller hears the announcement, too"
    assert np.median(level(caller[RATE // 2 :], 1000)) > 0.2, "the caller does not hear the callee"
    take = replace(take, start=replace(take.start, formats=("wav",)))
    found = encode(take, sounds.paths["announcement"])
    assert found.announced is not None
    end = found.announced.end_ms * RATE // 1000
    redacted = read_wav(take.folder / WAV)
    assert not redacted[:end, 0].any(), "what the callee said before they were told is kept"
    later = end + RATE // 2
    assert np.median(level(redacted[later:, 0], 1000)) > 0.2, "left is not the callee"
    assert np.median(level(redacted[later:, 1], 440)) > 0.2, "right is not the colleague"


def test_both_hear_the_announcement_once_connected(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "out_once")
    call = call_out(daemon, "3247888000201")
    until("both are told", lambda: "announcement_finished" in markers(call), 20)
    time.sleep(1.5)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert heard_whole(read_wav(call.heard_by_callee)[:, 0], ANNOUNCEMENT)
    assert heard_whole(read_wav(call.heard_by_caller)[:, 0], ANNOUNCEMENT)
    take = replace(take, start=replace(take.start, formats=("wav",)))
    found = encode(take, sounds.paths["announcement"])
    assert found.announced is not None
    end = found.announced.end_ms * RATE // 1000
    redacted = read_wav(take.folder / WAV)
    assert not redacted[:end, 0].any(), "what the callee said before they were told is kept"
    assert np.median(level(redacted[end + RATE // 2 :, 0], 1000)) > 0.2


def test_early_media_is_no_answer(daemon: Rig) -> None:
    set_every_line(daemon, "out")
    call = call_out(daemon, "3247888000379", "ignore_early_media=false")
    until("it rings", lambda: call.leg, every=0.05)
    time.sleep(1.0)
    assert call.take() is None, "announced before the callee has answered"
    assert not call.heard_by_caller.exists(), "the caller is connected to it"
    assert daemon.recorded_now() == set()
    until("they are connected", lambda: "bridged" in markers(call), 20)
    time.sleep(1.0)
    call.hang_up()
    assert (call.wait_take().end.outcome, call.wait_take().end.reason) == ("recorded", None)
    assert heard_whole(read_wav(call.heard_by_callee)[:, 0], ANNOUNCEMENT)


def test_hanging_daemon_is_killed_and_the_call_is_connected(rig: Rig) -> None:
    with rig.watched_daemon() as supervisor:
        rig.wait_watching()
        set_every_line(rig, "out")
        calls = []
        for number in range(8):
            calls.append(call_out(rig, f"32478880{number:02}0801"))
            time.sleep(0.2)
        pid = supervisor.pid("daemon")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        for call in calls:
            until(f"{call.number} is connected", lambda call=call: call.heard_by_caller.exists(), 20)
        until("the daemon was killed, which let them go", lambda: supervisor.pid("daemon") != pid, 2)
        until("nothing is recorded that was not announced", lambda: not unannounced(rig), 10)
    rig.hang_up_all()


def unannounced(rig: Rig) -> set[str]:
    """Return legs that are recorded and not in the announced state."""
    states = {leg: rig.switch.esl.api(f"uuid_getvar {leg} accord_state") for leg in rig.recorded_now()}
    return {leg for leg, state in states.items() if state != "announced"}


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A switch whose routes dial several numbers, with a short answer timeout."""
    conf = tmp_path_factory.mktemp("routes") / "conf"
    shutil.copytree(CONF, conf)
    path = conf / "dialplan/outbound/90_route.xml"
    before = path.read_text()
    bridge = "sofia/accord/$1@$${accord_trunk}"
    assert bridge in before
    there = "sofia/accord/{}@$${{accord_trunk}}"
    ways = {
        "^([0-9]+)61$": f"{there.format('${base}01')},{there.format('${base}78')}",
        "^([0-9]+)66$": f"{there.format('${base}01')},{there.format('${base}02')}",
        "^([0-9]+)67$": f"{there.format('${base}01')}:_:{there.format('${base}02')}",
        "^([0-9]+)62$": f"{there.format('${base}86')}|{there.format('${base}01')}",
        "^([0-9]+)63$": f"{there.format('${base}88')}",
        "^([0-9]+)64$": f"{there.format('${base}87')}",
        "^([0-9]+)65$": f"{{bridge_early_media=true,originate_timeout=3600}}{there.format('${base}79')}",
    }
    more = "".join(
        f'<extension name="several"><condition field="destination_number" expression="{expression}">\n'
        f'<action application="set" data="base=$1"/>\n'
        f'<action application="set" data="call_timeout=2"/>\n'
        f'<action application="bridge" data="{target}"/>\n</condition></extension>\n'
        for expression, target in ways.items()
    )
    path.write_text(before.replace('<extension name="route_out">', f'{more}<extension name="route_out">'))
    rig = Rig(tmp_path_factory.mktemp("several"), conf)
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        set_every_line(rig, "out")
        yield rig
    finally:
        rig.stop()


def test_only_the_connected_one_of_several_callees_is_kept(routes: Rig) -> None:
    call = call_out(routes, "3247888000461")
    until("they are connected", lambda: "bridged" in markers(call), 20)
    time.sleep(1.0)
    call.hang_up()
    assert call.wait_take().end.outcome == "recorded"
    routes.switch.wait_empty()
    assert len(takes(routes, call)) == 1, "who was called as well is listed"


def test_only_one_of_two_simultaneous_answers_is_kept(routes: Rig) -> None:
    """Both hear the announcement when the first has heard it; of the other only the listing remains."""
    call = call_out(routes, "3247888000966")
    until("they are connected", lambda: call.heard_by_caller.exists(), 20)
    time.sleep(1.0)
    call.hang_up()
    until("both are listed", lambda: len(takes(routes, call)) == 2, 20)
    winner, other = sorted(takes(routes, call), key=lambda take: take.end.reason or "")
    assert winner.end.reason is None
    # They may just have heard it whole, too.
    assert other.end.reason in ("hung_up_in_announcement", "never_connected")
    assert not [*other.folder.glob("*.wav")]
    assert other.first("announcement_started") is not None, "the test has nothing to find"
    assert {marker.kind: marker.data.get("cause") for marker in other.markers}["hangup"] == "LOSE_RACE"


def test_enterprise_originate_is_connected_unannounced(routes: Rig) -> None:
    """``:_:`` (enterprise originate): FreeSWITCH runs no confirmation on such legs, so the call continues
    unrecorded."""
    call = call_out(routes, "3247888001067")
    until("they are connected", lambda: call.heard_by_caller.exists(), 20)
    time.sleep(1.0)
    assert routes.recorded_now() == set()
    call.hang_up()
    until("it is listed", lambda: takes(routes, call), 20)
    assert [take.end.reason for take in takes(routes, call)] == ["dialplan_did_not_ask"]
    assert onset_of(read_wav(call.heard_by_caller)[:, 0], ANNOUNCEMENT) is None


def test_only_the_connected_one_of_sequential_callees_is_kept(routes: Rig) -> None:
    call = call_out(routes, "3247888000562")
    until("they are connected", lambda: call.heard_by_caller.exists(), 20)
    time.sleep(1.0)
    call.hang_up()
    until("both are listed", lambda: len(takes(routes, call)) == 2, 20)
    assert sorted(str(take.end.reason) for take in takes(routes, call)) == ["None", "never_connected"]


def test_call_timeout_does_not_end_the_announcement(routes: Rig) -> None:
    call = call_out(routes, "3247888000663")
    until("they are connected", lambda: call.heard_by_caller.exists(), 20)
    time.sleep(0.5)
    call.hang_up()
    assert call.wait_take().end.outcome == "recorded"


def test_call_timeout_ends_the_ringing(routes: Rig) -> None:
    start = datetime.now(UTC)
    call = call_out(routes, "3247888000764")
    until("it is listed", lambda: takes(routes, call), 15)
    (take,) = takes(routes, call)
    assert take.end.reason == "never_connected"
    # Two seconds are its limit; without one it would ring for a minute.
    assert 1.5 < (take.end.ended_at - start).total_seconds() < 20


def test_early_media_can_be_passed_on(routes: Rig) -> None:
    call = call_out(routes, "3247888000865", "ignore_early_media=false")
    until("they are connected", lambda: "bridged" in markers(call), 20)
    time.sleep(1.5)
    call.hang_up()
    assert call.wait_take().end.outcome == "recorded"
    caller = read_wav(call.heard_by_caller)[:, 0]
    assert (level(caller, 700) > 0.2).sum() > 10, "the caller does not hear the network"
    assert onset_of(caller, ANNOUNCEMENT) is None, "the caller hears the announcement, too"
    assert (level(caller, 1000) > 0.2).sum() > 5, "the caller does not hear the callee"
    (callee,) = routes.phones_folder.glob(f"callee-{call.number[:-2]}79-*.wav")
    assert heard_whole(read_wav(callee)[:, 0], ANNOUNCEMENT)


def takes(rig: Rig, call: CallUnderTest) -> list[layout.Take]:
    """Return every closed take."""
    closed = [layout.read_take(path.parent) for path in rig.spool.glob(f"*/{layout.END}")]
    return [take for take in closed if take.start.external_party.value == call.number]
