"""Transfers as telephones do them, on a real switch: with the other one put on hold first (re-INVITE), of
calls that a colleague made, and to somebody outside.  One take each, silent while nobody spoke with the
outside party, and heard again from when somebody did."""

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
from recorder.clock import to_iso, utc_now
from recorder.domain.line_policy import to_json
from recorder.spool import layout
from tests.freeswitch.colleagues import (
    CALLER,
    LINE,
    MUSIC,
    OUTSIDE,
    SECOND,
    SLOW,
    TONES,
    Talk,
    configuration,
    consult,
    heard,
    there,
    told_once,
    tones,
    whole,
)
from tests.freeswitch.outward import call_out
from tests.freeswitch.switches import RATE, CallUnderTest, Rig, level, read_wav
from tests.scenarios.files import Sounds

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
    """Both ways through the switch have music on hold, and an attended transfer finds its call again."""
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
class House:
    """The telephone system, and its sounds."""

    rig: Rig
    sounds: Sounds
    called: int = 0

    def comes_in(self) -> Talk:
        """Somebody outside and the first colleague speak."""
        return self.speak(self.rig.call(LINE))

    def goes_out(self) -> Talk:
        """The colleague has called somebody outside."""
        self.called += 1
        return self.speak(call_out(self.rig, f"{ABROAD}{self.called:02}01", line=OWN))

    def speak(self, call: CallUnderTest) -> Talk:
        talk = Talk(self.rig, call)
        talk.until_marked("bridged")
        time.sleep(1)
        return talk

    def kept(self, take: layout.Take) -> tuple[Encoded, np.ndarray]:
        """What is kept of a take."""
        take = replace(take, start=replace(take.start, formats=("wav",)))
        return encode(take, self.sounds.paths["told"]), read_wav(take.folder / WAV)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("transfers")
    conf = configuration(folder)
    with_music(conf)
    rig = Rig(folder / "rig", conf, {"ACCORD_PAUSE_CODE": "#6", "ACCORD_RESUME_CODE": "#7"})
    tones(rig)
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line("out_joining", number) for number in (LINE, OWN)]
    (rig.snapshot / "snapshot.json").write_bytes(to_json(to_iso(utc_now()), lines, []))
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield House(rig, sounds)
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def nobody_is_left(house: House) -> Iterator[None]:
    yield
    house.rig.hang_up_all()


def heard_again(house: House, take: layout.Take, gaps: list[str], outside: int, who: int) -> None:
    """Both channels are silent from the hold on, and heard from when the next one speaks."""
    made, sound = house.kept(take)
    idle = [gap for gap in made.gaps
            if gap.reason in ("hold", "waiting") and gap.end_ms - gap.start_ms > SURE_MS]  # fmt: skip
    assert [gap.reason for gap in idle] == gaps, (idle, made.markers)
    assert {gap.channel for gap in idle} == {"both"}
    assert all(one.end_ms == other.start_ms for one, other in pairwise(idle)), (idle, made.markers)
    begin, end = idle[0].start_ms, idle[-1].end_ms
    assert end - begin > 1000, "the test held for longer"
    rate = RATE // 1000
    assert not sound[begin * rate : end * rate].any()
    came = [mark.offset_ms for mark in made.markers if mark.kind == "bridged"][1]
    assert abs(came - end) < 500, (idle, made.markers)
    # The joiner is told alone at first: the right channel is silent then.
    told = [gap.end_ms for gap in made.gaps if gap.reason == "transfer_notice"]
    left, right = sound[(came + 300) * rate :, 0], sound[(max(told) + 300) * rate :, 1]
    assert len(right) > RATE // 2
    assert (level(left, outside) > 0.2)[:-3].mean() > 0.8, "the outside party is not heard again"
    assert (level(right, who) > 0.2)[:-3].mean() > 0.8, "who came is not heard"


@pytest.mark.parametrize("outward", [False, True], ids=["in", "out"])
def test_held_and_referred(house: House, outward: bool) -> None:
    talk = house.goes_out() if outward else house.comes_in()
    phone = talk.call.id if outward else talk.phone()
    talk.holds(phone)
    time.sleep(1.5)
    talk.refers(phone, SLOW)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.ends()
    first, left = ("caller", "01") if outward else ("01", "caller")
    whole(take, first, "93", left=left)
    told_once(talk, take, SLOW)
    number = OWN if outward else LINE
    assert there(take) == [f"+{number[-2:]}", f"-{number[-2:]}", "+93", "-93"]
    heard_again(house, take, ["hold", "waiting"], TONES[LINE] if outward else CALLER, TONES[SLOW])


@pytest.mark.parametrize("outward", [False, True], ids=["in", "out"])
def test_held_and_replaced(house: House, outward: bool) -> None:
    """While the two colleagues speak, the outside party is on hold; then the second is there at once."""
    talk = house.goes_out() if outward else house.comes_in()
    phone = talk.call.id if outward else talk.phone()
    talk.holds(phone)
    own = talk.rings_up(LINE, SECOND)
    time.sleep(2)
    talk.refers(phone, SECOND, own)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.ends()
    first, left = ("caller", "01") if outward else ("01", "caller")
    whole(take, first, "91", left=left)
    told_once(talk, take)
    heard_again(house, take, ["hold"], TONES[LINE] if outward else CALLER, TONES[SECOND])


@pytest.mark.parametrize("outward", [False, True], ids=["in", "out"])
def test_transferred_by_the_switch(house: House, outward: bool) -> None:
    """att_xfer: whoever is asked is no callee of the line's, though an outbound call asks them."""
    talk = house.goes_out() if outward else house.comes_in()
    phone = talk.call.id if outward else talk.phone()
    consult(talk)
    talk.phones(f"uuid_kill {phone}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1.5)
    take = talk.ends()
    first, left = ("caller", "01") if outward else ("01", "caller")
    whole(take, first, "91", left=left)
    told_once(talk, take)
    assert there(take)[:3] == ["+31", "-31", "+91"] if outward else ["+01", "-01", "+91"]
    heard_again(house, take, ["hold"], TONES[LINE] if outward else CALLER, TONES[SECOND])


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "unrecorded"])
def test_to_somebody_outside_whom_the_colleague_has_called(house: House, recorded: bool) -> None:
    """REFER with Replaces: neither knows of the other, so both takes end there; the call goes on."""
    talk = house.comes_in()
    phone = talk.phone()
    talk.holds(phone)
    house.called += 1
    line = LINE if recorded else f"{LINE[:-2]}71"
    other = call_out(house.rig, f"{ABROAD}{house.called:02}01", line=line)
    other.wait_bridged()
    if recorded:
        Talk(house.rig, other).until_marked("bridged")
    time.sleep(1)
    talk.refers(phone, other.number, other.id)
    talk.until_marked("transferred_outside")
    calls = [talk.call, other] if recorded else [talk.call]
    for call in calls:
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("recorded", None)
        assert take.first("transferred_outside") is not None
        made, sound = house.kept(take)
        assert (level(sound[:, 1], TONES[LINE] if call is talk.call else CALLER) > 0.2).any()
        met = [mark.offset_ms for mark in made.markers if mark.kind == "bridged"][-1]
        assert not sound[met * RATE // 1000 :].any(), "what these two say to each other"
    assert talk.call.alive()
    assert house.rig.recorded_now() == set()


def test_to_somebody_outside_by_the_switch(house: House) -> None:
    talk = house.comes_in()
    phone = talk.phone()
    consult(talk, f"[accord_outside=true]sofia/accord/{OUTSIDE}@{talk.route}")
    talk.phones(f"uuid_kill {phone}")
    talk.until_marked("transferred_outside")
    take = talk.call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert [one[0] for one in heard(take) if one[0]] == ["01"], "who is outside is in it"
    assert talk.call.alive()
    assert house.rig.recorded_now() == set()


def test_the_telephone_systems_own_keys(house: House) -> None:
    """What it has bound itself (bind_meta_app) takes every * of a colleague's: beside it Accord's codes begin
    with #, and both work; one that begins with * does nothing."""
    talk = house.comes_in()
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
    take = talk.ends()
    assert there(take) == ["+01", "-01", "+93", "-93"]
    assert not [mark for mark in take.marks if mark.kind == "moment_marked"], "the docs may say more"
