"""A phone system with internal phones that transfer, park, pick up and meet, on a real switch.

Each phone plays a tone of its own, so that a recording shows who was heard when."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from recorder.clock import utc_now
from recorder.domain.markers import Marker
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.switches import (
    CONF,
    NUMBER,
    RATE,
    CallUnderTest,
    Rig,
    heard_whole,
    level,
    read_wav,
    until,
)
from tests.scenarios.definitions import Line
from tests.scenarios.files import LOWS, Sounds, chirp

LINE = f"{NUMBER}01"
HOT = f"{NUMBER}88"
"""A number whose calls are brought into a conference at once."""
SECOND, THIRD, OUTSIDE = f"{NUMBER}91", f"{NUMBER}92", f"{NUMBER}98"
"""Numbers that no line has: two more colleagues, and somebody outside."""
SLOW = f"{NUMBER}93"
"""A colleague whose telephone rings for a while."""

TONES: Mapping[str, int] = {LINE: 1000, SECOND: 1500, THIRD: 700, OUTSIDE: 2000, SLOW: 1250}
CALLER = 440
MUSIC = 620
"""Hz of the music on hold."""

SENTENCE = chirp(low=LOWS["transfer_notice"])
ANNOUNCED_BY = 2 * RATE
"""By then the external party has heard the announcement, which resembles the sentence to these detectors."""

FEATURES = f"""<include>
  <extension name="hot_line"><condition field="destination_number" expression="^{HOT}$">
    <action application="answer"/><action application="conference" data="room-hot@accord"/>
  </condition></extension>
  <extension name="meet"><condition field="destination_number" expression="^meet(-[a-z]+)?$">
    <action application="conference" data="room$1@accord"/>
  </condition></extension>
  <extension name="pick_up"><condition field="destination_number" expression="^pick-(.+)$">
    <action application="answer"/><action application="intercept" data="$1"/>
  </condition></extension>
  <extension name="listen"><condition field="destination_number" expression="^listen-(.+)$">
    <action application="answer"/><action application="eavesdrop" data="$1"/>
  </condition></extension>
</include>
"""
"""Features of a phone system beside its routing; they know nothing of recording."""

PARK = '    <action application="park"/>\n    </condition>'
"""Follows the bridge. An attended transfer (att_xfer) whose internal party hangs up may take the caller's leg
out of the bridge before the switch bridges it again; a leg without further actions would be hung up."""

CONFERENCE = """<configuration name="conference.conf"><profiles><profile name="accord">
  <param name="rate" value="8000"/><param name="interval" value="20"/><param name="energy-level" value="0"/>
</profile></profiles></configuration>
"""


def configuration(folder: Path) -> Path:
    """Create the switch's configuration with these features."""
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    (conf / "dialplan" / "public" / "01_features.xml").write_text(FEATURES)
    (conf / "autoload_configs" / "conference.conf.xml").write_text(CONFERENCE)
    route = conf / "dialplan" / "public" / "90_route.xml"
    route.write_text(route.read_text().replace("hangup_after_bridge=true", "hangup_after_bridge=false")
                     .replace("  </condition>", PARK))  # fmt: skip
    return conf


def write_tones(rig: Rig) -> None:
    """Write the phones' voices, which the switch of the phones selects by the last two digits."""
    seconds = np.arange(RATE * 60) / RATE
    for number in TONES:
        sound = 0.3 * np.sin(2 * np.pi * TONES[number] * seconds)
        soundfile.write(rig.phones_folder / f"callee-{number[-2:]}.wav", sound, RATE)


def set_line(rig: Rig, name: Line, *more: str) -> Sounds:
    """Give the line (and ``more`` numbers) the settings of ``name``; no other number has a line."""
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(name, number) for number in (LINE, *more)]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    rig.wait_snapshot()
    return sounds


@dataclass
class Talk:
    """A call to the line that the first internal phone has answered, and what the phones do in it."""

    rig: Rig
    call: CallUnderTest

    def markers(self, kind: str = "") -> list[Marker]:
        """Return the markers so far, of one kind or all."""
        folder = self.call.take()
        found = [] if folder is None else layout.read_markers(folder)
        return [marker for marker in found if kind in ("", marker.kind)]

    def until_marked(self, kind: str, times: int = 1, seconds: float = 20) -> None:
        until(f"{kind} {times}", lambda: len(self.markers(kind)) >= times, seconds)

    def switch(self, command: str) -> str:
        return self.rig.switch.esl.api(command)

    @property
    def route(self) -> str:
        """The address that the switch routes calls to phones to."""
        return self.rig.environment["ACCORD_ROUTE"]

    @property
    def inside(self) -> str:
        """The switch's leg to the current internal party."""
        return self.call.variable("bridge_uuid")

    def phone(self, number: str = LINE) -> str:
        """Return the leg of a called phone, on the phones' switch."""

        def listed() -> str | None:
            rows = self.rig.phones.channels()
            return next(
                (row["uuid"] for row in rows if row["direction"] == "inbound" and row["dest"] == number), None
            )

        return str(until(f"the phone {number} is listed", listed, 5))

    def phones(self, command: str) -> str:
        return self.rig.phones.esl.api(command)

    def place_call(self, who: str, what: str) -> str:
        """Have an internal phone call ``what``; return its leg on the phones' switch."""
        ident = str(uuid.uuid4())
        answer = self.rig.phones.esl.command(
            f"bgapi originate {{origination_uuid={ident},origination_caller_id_number={who},"
            f"absolute_codec_string=PCMU,ignore_early_media=true}}"
            f"sofia/phones/{what}@127.0.0.1:{self.rig.sip_port} colleague-{who[-2:]} XML caller"
        )
        assert "ERR" not in answer, answer
        return ident

    def hold(self, phone: str) -> None:
        """Have an internal phone put the external party on hold (re-INVITE, sendonly)."""
        self.phones(f"uuid_hold {phone}")
        self.until_marked("internal_hold")

    def refer(self, phone: str, number: str, with_replaces: str = "") -> None:
        """Have a phone send REFER to a number or, with Replaces, to the peer of another of its calls."""
        target = f"sip:{number}@127.0.0.1:{self.rig.sip_port}"
        if with_replaces:
            names = ("sip_call_id", "sip_to_tag", "sip_from_tag")
            call_id, to, own = (self.phones(f"uuid_getvar {with_replaces} {name}") for name in names)
            target += f"?Replaces={quote(f'{call_id};to-tag={to};from-tag={own}', safe='')}"
        self.rig.phones.esl.command(f"bgapi uuid_deflect {phone} {target}")

    def end(self) -> layout.Take:
        """Have the external party hang up; return the only take."""
        self.call.outside_hangs_up()
        take = self.call.wait_take()
        folders = [
            path
            for path in self.rig.spool.glob(f"*/{layout.CALL}")
            if layout.read_start(path.parent).external_party.value.endswith(self.call.outside)
        ]
        assert len(folders) == 1, "more than one take"
        return take


def consult(talk: Talk, dial: str = "") -> None:
    """Have the internal party consult the second phone, or the one that ``dial`` calls, by the switch's
    att_xfer, while the external party waits."""
    dial = dial or f"sofia/accord/{SECOND}@{talk.route}"
    talk.switch(f"uuid_broadcast {talk.inside} att_xfer::{dial} aleg")
    talk.phone(dial.rpartition("/")[2].partition("@")[0])
    time.sleep(1.5)
    assert len(talk.markers("bridged")) == 1, "what they say to each other is none of the call's business"


def bridge_markers(take: layout.Take) -> list[str]:
    """Return who came (+) and left (-), by the last two digits."""
    return [
        ("+" if marker.kind == "bridged" else "-") + marker.data.get("value", "?")[-2:]
        for marker in take.markers
        if marker.kind in ("bridged", "unbridged")
    ]


def assert_one_recording(take: layout.Take, *voices: str, left: str = "caller") -> None:
    """Check that there is one recording of the whole call: as long as its markers say, with the external
    party up to its end and the other voices one after the other."""
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("recording_started") == kinds.count("recording_stopped") == 1
    start, at = take.first("recording_started"), take.first("recording_stopped")
    assert start is not None
    assert at is not None
    length = len(read_wav(Path(take.audio))) / RATE
    assert abs(length - (at - start).total_seconds()) < 1.0
    assert kinds.count("announcement_finished") == 1, "announced again"
    tones = tones_in(take, 0)
    assert tones[-1][0] == left
    assert length - tones[-1][2] < 0.5
    right = [one for one in tones_in(take) if one[0]]
    assert [name for name, _ in groupby(one[0] for one in right)] == list(voices), right
    assert length - right[-1][2] < 0.5, "it did not go on to the end"


def assert_notified_once(
    talk: Talk, take: layout.Take, number: str = SECOND, *, together: bool = False
) -> None:
    """Check that the transfer target heard the sentence once; the external party heard it only if it plays to
    both."""
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("transfer_notice_started") == kinds.count("transfer_notice_finished") == 1
    assert "transfer_notice_interrupted" not in kinds
    theirs = [*talk.rig.phones_folder.glob(f"callee-{number}-{talk.call.caller}.wav")]
    for path in theirs:
        assert heard_whole(read_wav(path)[:, 0], SENTENCE)
    later = read_wav(talk.call.heard_outside)[ANNOUNCED_BY:, 0]
    assert heard_whole(later, SENTENCE) == together


def conference_markers(take: layout.Take) -> list[str]:
    """Return who joined (+) and left (-) a conference, by the last two digits; ``!``: external, ``~``: seen
    later."""
    return [
        ("+" if marker.kind == "participant_joined" else "-") + marker.data.get("value", "?")[-2:]
        + ("!" if marker.data.get("who") == "external" else "") + ("~" if "seen" in marker.data else "")
        for marker in take.markers
        if marker.kind in ("participant_joined", "participant_left")
    ]  # fmt: skip


def tones_in(take: layout.Take, channel: int = 1) -> list[tuple[str, float, float]]:
    """Return the sequence of tones in a channel of the take, with start and end in seconds: the last two
    digits of the speaker, ``caller``, or an empty string for silence."""
    sound = read_wav(Path(take.audio))[:, channel]
    pitches = {number[-2:]: pitch for number, pitch in TONES.items()} | {"caller": CALLER}
    levels = {name: level(sound, pitch) for name, pitch in pitches.items()}
    found: list[tuple[str, float, float]] = []
    for frame in range(len(next(iter(levels.values())))):
        loud = [name for name in levels if levels[name][frame] > 0.1]
        name = "+".join(sorted(loud))
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], (frame + 1) / 10)
        else:
            found.append((name, frame / 10, (frame + 1) / 10))
    return [one for one in found if one[2] - one[1] >= 0.3]
