"""A switch that uses the SIP Call-ID as the channel's id, so that the caller chooses it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.spool import layout
from tests.freeswitch.switches import CONF, CallUnderTest, Rig, onset_of, read_wav, until

ODD = "a84b4c76e66710@pc33.atlanta.com"
"""As RFC 3261 shows a Call-ID."""

SKIPPED = b"switch.channel_skipped"


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """As all tests have them, with the profile's setting."""
    folder = tmp_path_factory.mktemp("ids")
    conf = Path(shutil.copytree(CONF, folder / "conf"))
    profile = conf / "sip_profiles/accord.xml"
    parameter = '<settings>\n<param name="inbound-use-callid-as-uuid" value="true"/>'
    profile.write_text(profile.read_text().replace("<settings>", parameter))
    rig = Rig(folder, conf)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def daemon_log(rig: Rig) -> bytes:
    return (rig.folder / "daemon.log").read_bytes()


def is_recorded(rig: Rig) -> None:
    """An ordinary call is, from its announcement to its end."""
    call = rig.call()
    call.wait_bridged()
    until("it is told", lambda: call.variable("accord_state") == "announced")
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert onset_of(read_wav(take.audio)[:, 1], rig.prompt) is not None
    rig.assert_only_announced_audio_is_kept()


def continues_unrecorded(call: CallUnderTest) -> None:
    call.wait_bridged(3)
    assert call.variable("accord_state") == "unrecorded"
    assert call.alive()


def test_unaddressable_call_continues_and_others_are_recorded(daemon: Rig) -> None:
    daemon.wait_watching()
    odd = daemon.call(more=f",sip_invite_call_id={ODD}")
    continues_unrecorded(odd)
    assert odd.leg == ODD
    is_recorded(daemon)
    odd.hang_up()
    assert odd.wait_take().end.reason == "announcement_failed"
    time.sleep(0.5)
    assert len(list(daemon.spool.glob(f"*/{layout.CALL}"))) == 2, "it is written down once"
    assert daemon_log(daemon).count(b"switch.down") == 0


def test_daemon_reconciles_during_unaddressable_calls(rig: Rig) -> None:
    """One came without a daemon, the other was made by an application of the switch's."""
    arrival = rig.call(more=f",sip_invite_call_id={ODD}")
    continues_unrecorded(arrival)
    phone = f"sofia/accord/{arrival.number}@{rig.environment['ACCORD_ROUTE']}"
    answer = rig.switch.esl.api(f"originate {{origination_uuid=made.{ODD}}}{phone} &park")
    assert answer == f"+OK made.{ODD}"
    until("both are listed", lambda: {ODD, f"made.{ODD}"} <= {row["uuid"] for row in rig.switch.channels()})
    rig.start_daemon()
    rig.wait_watching()
    is_recorded(rig)
    assert daemon_log(rig).count(SKIPPED) == 2
    assert daemon_log(rig).count(b"switch.down") == 0
    arrival.hang_up()
    assert arrival.wait_take().end.reason == "daemon_away"
