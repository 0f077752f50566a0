"""Transfers as phones do them, on a real switch: with a hold first (re-INVITE), of outbound calls, and to
external parties.

One take each, silent while nobody speaks with the external party."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoded_take import Encoded
from recorder.audio.encoding import WAV, encode
from recorder.audio.timeline import SURE_MS
from recorder.clock import utc_now
from recorder.seal.arrivals import colleagues
from recorder.seal.manifest import decrypt_parties
from recorder.seal.sealing import seal
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.internal_phones import (
    CALLER,
    LINE,
    MUSIC,
    OUTSIDE,
    SECOND,
    SLOW,
    TONES,
    Talk,
    assert_notified_once,
    assert_one_recording,
    bridge_markers,
    configuration,
    consult,
    tones_in,
    write_tones,
)
from tests.freeswitch.outbound_call import call_out
from tests.freeswitch.switches import RATE, CallUnderTest, Rig, level, read_wav
from tests.scenarios.files import Sounds
from tests.unit.seal.recording import make_keys

OWN = f"{LINE[:-2]}31"
"""The line of who calls out."""
ABROAD = "3247888000"
"""How the numbers begin that are called outside."""

META = (
    f"1 b o transfer::{SLOW} XML public",
    f"4 b s att_xfer::sofia/accord/{SECOND}@$${{accord_route}}",
)
"""What a colleague's ``*1`` and ``*4`` do, as FreeSWITCH's own example has it: the callee's keys only."""


def with_music(conf: Path) -> None:
    """Configure music on hold for both directions, and let an attended transfer find its call."""
    for context in ("public", "outbound"):
        route = conf / "dialplan" / context / "90_route.xml"
        text = route.read_text()
        bridge = '<action application="bridge"'
        assert text.count(bridge) == 1
        music = f'<action application="export" data="hold_music=tone_stream://%(30000,0,{MUSIC})"/>\n'
        features = "".join(
            f'<action application="bind_meta_app" data="{each}"/>\n' for each in META if context == "public"
        )
        text = text.replace(bridge, music + features + bridge).replace(
            "after_bridge=true", "after_bridge=false"
        )
        if "park" not in text:
            text = text.replace("    </condition>", '<action application="park"/>\n    </condition>')
        route.write_text(text)


@dataclass
class TransferSystem:
    """The phone system and its sounds."""

    rig: Rig
    sounds: Sounds
    call_count: int = 0

    def comes_in(self) -> Talk:
        """An external party calls and speaks with the first internal phone."""
        return self.speak(self.rig.call(LINE))

    def goes_out(self) -> Talk:
        """The internal party has called an external number."""
        self.call_count += 1
        return self.speak(call_out(self.rig, f"{ABROAD}{self.call_count:02}01", line=OWN))

    def speak(self, call: CallUnderTest) -> Talk:
        talk = Talk(self.rig, call)
        talk.until_marked("bridged")
        time.sleep(1)
        return talk

    def analyse(self, take: layout.Take) -> tuple[Encoded, np.ndarray]:
        """Return the encoded take and its kept audio."""
        take = replace(take, start=replace(take.start, formats=("wav",)))
        return encode(take, self.sounds.paths["announcement"]), read_wav(take.folder / WAV)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferSystem]:
    folder = tmp_path_factory.mktemp("transfers")
    conf = configuration(folder)
    with_music(conf)
    rig = Rig(folder / "rig", conf, {"ACCORD_PAUSE_CODE": "#6", "ACCORD_RESUME_CODE": "#7"})
    write_tones(rig)
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line("out_joining", number) for number in (LINE, OWN)]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield TransferSystem(rig, sounds)
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def no_calls_left(system: TransferSystem) -> Iterator[None]:
    yield
    system.rig.hang_up_all()


def heard_again(system: TransferSystem, take: layout.Take, gaps: list[str], outside: int, who: int) -> None:
    """Check that both channels are silent from the hold until the next party speaks."""
    encoded_take, sound = system.analyse(take)
    idle = [gap for gap in encoded_take.gaps
            if gap.reason in ("hold", "waiting") and gap.end_ms - gap.start_ms > SURE_MS]  # fmt: skip
    assert [gap.reason for gap in idle] == gaps, (idle, encoded_take.markers)
    assert {gap.channel for gap in idle} == {"both"}
    assert all(one.end_ms == other.start_ms for one, other in pairwise(idle)), (idle, encoded_take.markers)
    begin, end = idle[0].start_ms, idle[-1].end_ms
    assert end - begin > 1000, "the test held for longer"
    rate = RATE // 1000
    assert not sound[begin * rate : end * rate].any()
    arrival = [marker.offset_ms for marker in encoded_take.markers if marker.kind == "bridged"][1]
    assert abs(arrival - end) < 500, (idle, encoded_take.markers)
    # The joiner is told alone at first: the right channel is silent then.
    notice_ends = [gap.end_ms for gap in encoded_take.gaps if gap.reason == "participant_notice"]
    left, right = sound[(arrival + 300) * rate :, 0], sound[(max(notice_ends) + 300) * rate :, 1]
    assert len(right) > RATE // 2
    assert (level(left, outside) > 0.2)[:-3].mean() > 0.8, "the external party is not heard again"
    assert (level(right, who) > 0.2)[:-3].mean() > 0.8, "who came is not heard"


def sealed_colleagues(encoded: Encoded, folder: Path) -> list[tuple[str, int]]:
    """Who took part as a page has it, from the sealed recording alone: the last two digits and the second."""
    keys, tenant = make_keys(folder), encoded.take.start.tenant
    assert tenant is not None
    tenant_key = keys.keyring.new_tenant_key(tenant)
    sealed = seal(encoded, keys.keyring, tenant_key, keys.signer, utc_now())
    parties = decrypt_parties(sealed.manifest, keys.keyring.open_data_key(tenant_key, sealed.key))
    found = colleagues(sealed.manifest, parties)
    return [(each.party.value[-2:], each.marker.offset_ms // 1000) for each in found]


@pytest.mark.parametrize("outbound", [False, True], ids=["in", "out"])
def test_hold_then_refer(system: TransferSystem, outbound: bool, tmp_path: Path) -> None:
    talk = system.goes_out() if outbound else system.comes_in()
    phone = talk.call.id if outbound else talk.phone()
    talk.hold(phone)
    time.sleep(1.5)
    talk.refer(phone, SLOW)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.end()
    first, left = ("caller", "01") if outbound else ("01", "caller")
    assert_one_recording(take, first, "93", left=left)
    assert_notified_once(talk, take, SLOW)
    number = OWN if outbound else LINE
    assert bridge_markers(take) == [f"+{number[-2:]}", f"-{number[-2:]}", "+93", "-93"]
    heard_again(system, take, ["hold", "waiting"], TONES[LINE] if outbound else CALLER, TONES[SLOW])
    (first_at, second_at) = (marker.at for marker in take.markers if marker.kind == "bridged")
    who = sealed_colleagues(system.analyse(take)[0], tmp_path / "keys")
    assert [each for each, _ in who] == [number[-2:], "93"]
    delay = (second_at - first_at).total_seconds()
    assert abs(who[1][1] - who[0][1] - delay) < 2


@pytest.mark.parametrize("outbound", [False, True], ids=["in", "out"])
def test_hold_then_refer_with_replaces(system: TransferSystem, outbound: bool) -> None:
    """While the two internal parties speak, the external party is on hold; then the second one joins at
    once."""
    talk = system.goes_out() if outbound else system.comes_in()
    phone = talk.call.id if outbound else talk.phone()
    talk.hold(phone)
    own = talk.place_call(LINE, SECOND)
    time.sleep(2)
    talk.refer(phone, SECOND, own)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.end()
    first, left = ("caller", "01") if outbound else ("01", "caller")
    assert_one_recording(take, first, "91", left=left)
    assert_notified_once(talk, take)
    heard_again(system, take, ["hold"], TONES[LINE] if outbound else CALLER, TONES[SECOND])


@pytest.mark.parametrize("outbound", [False, True], ids=["in", "out"])
def test_transfer_by_the_switch(system: TransferSystem, outbound: bool) -> None:
    """att_xfer: the consulted phone is no callee of the line, although an outbound call reaches it."""
    talk = system.goes_out() if outbound else system.comes_in()
    phone = talk.call.id if outbound else talk.phone()
    consult(talk)
    talk.phones(f"uuid_kill {phone}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.end()
    first, left = ("caller", "01") if outbound else ("01", "caller")
    assert_one_recording(take, first, "91", left=left)
    assert_notified_once(talk, take)
    assert bridge_markers(take)[:3] == ["+31", "-31", "+91"] if outbound else ["+01", "-01", "+91"]
    heard_again(system, take, ["hold"], TONES[LINE] if outbound else CALLER, TONES[SECOND])


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "unrecorded"])
def test_attended_transfer_to_an_external_party(system: TransferSystem, recorded: bool) -> None:
    """REFER with Replaces: both takes end there, and the call continues."""
    talk = system.comes_in()
    phone = talk.phone()
    talk.hold(phone)
    system.call_count += 1
    line = LINE if recorded else f"{LINE[:-2]}71"
    other = call_out(system.rig, f"{ABROAD}{system.call_count:02}01", line=line)
    other.wait_bridged()
    if recorded:
        Talk(system.rig, other).until_marked("bridged")
    time.sleep(1)
    talk.refer(phone, other.number, other.id)
    talk.until_marked("transferred_externally")
    calls = [talk.call, other] if recorded else [talk.call]
    for call in calls:
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("recorded", None)
        assert take.first("transferred_externally") is not None
        encoded_take, sound = system.analyse(take)
        assert (level(sound[:, 1], TONES[LINE] if call is talk.call else CALLER) > 0.2).any()
        bridge_ms = [marker.offset_ms for marker in encoded_take.markers if marker.kind == "bridged"][-1]
        assert not sound[bridge_ms * RATE // 1000 :].any(), "what these two say to each other"
    assert talk.call.alive()
    assert system.rig.recorded_now() == set()


def test_transfer_to_an_external_party_by_the_switch(system: TransferSystem) -> None:
    talk = system.comes_in()
    phone = talk.phone()
    consult(talk, f"[accord_external=true]sofia/accord/{OUTSIDE}@{talk.route}")
    talk.phones(f"uuid_kill {phone}")
    talk.until_marked("transferred_externally")
    take = talk.call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert [one[0] for one in tones_in(take) if one[0]] == ["01"], "who is outside is in it"
    assert talk.call.alive()
    assert system.rig.recorded_now() == set()


def test_bind_meta_app_keys(system: TransferSystem) -> None:
    """bind_meta_app consumes every * of the internal party: Accord's codes must begin with #, and a code that
    begins with * has no effect."""
    talk = system.comes_in()
    phone = talk.phone()
    talk.phones(f"uuid_send_dtmf {phone} #6")
    talk.until_marked("paused")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {phone} #7")
    talk.until_marked("resumed")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {phone} *8")
    time.sleep(2)
    talk.phones(f"uuid_send_dtmf {phone} *1")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert bridge_markers(take) == ["+01", "-01", "+93", "-93"]
    assert not [marker for marker in take.markers if marker.kind == "moment_marked"], "the docs may say more"
