"""Random holds, parks and pauses in one call, with and without music on hold: what is kept and what is not,
by samples.

The voices of both parties are on one clock and never repeat (``telephones/alignment.py``), so it is known for
each moment of the recording when it was said. A call that is parked without working music leaves nothing in
the file, nor does a phone on hold that sends nothing."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio.encoded_take import Gap
from recorder.audio.encoding import WAV
from tests.freeswitch.switches import CONF, NUMBER, RATE, read_wav, until
from tests.freeswitch.telephones import alignment
from tests.freeswitch.telephones.codecs import PCMU
from tests.freeswitch.telephones.endpoints import Dialogue, Leg
from tests.freeswitch.telephones.rig import PERIOD, Pair, PhoneRig, phone_rig

SEED = int(os.environ.get("TEST_HOLDS_SEED", "20261201"))
ACTIONS = ("hold_speaking", "hold_silent", "colleague_holds", "park", "pause")
WITHIN_S = 0.1
"""How much wider than the truth a gap may be, at either end."""

TICK_S = 0.02
"""By so much the switch's clock and its frames are coarse."""

UNKNOWN_S = 0.06
"""From a phone's request to its effect in the switch, and back."""

PICKED_UP = 70
"""The first of the numbers that pick up a parked call."""


@dataclass
class Stretch:
    """What was done, and by the phones' clock when it was asked for and done, at its start and its end."""

    action: str
    start_request: float
    start: float
    end_request: float
    end: float


@dataclass(eq=False)
class Phone(Leg):
    """A phone that notes when it hears the first packet."""

    first_heard: float = 0.0

    def listen(self) -> None:
        super().listen()
        if self.packet_count and not self.first_heard:
            self.first_heard = time.monotonic()


Step = Callable[[], float]
"""Does something, and returns when it was done, by the monotonic clock."""


@dataclass
class HeldCall:
    """A call in which the caller is held, parked and paused."""

    place: PhoneRig
    pair: Pair
    music: Path
    colleague: Leg
    leg: str = ""
    parks: int = 0
    stretches: list[Stretch] = field(default_factory=list)

    def perform(self, action: str, seconds: float) -> None:
        """Do it for so many seconds."""
        origin = self.place.exchange.studio.first_tick
        begin, end = self._steps(action)
        start_request = time.monotonic() - origin
        start = begin() - origin
        time.sleep(seconds)
        end_request = time.monotonic() - origin
        self.stretches.append(Stretch(action, start_request, start, end_request, end() - origin))

    def _steps(self, action: str) -> tuple[Step, Step]:
        match action:
            case "hold_speaking":
                return self._hold(self.pair.dialogue, speaks=True)
            case "hold_silent":
                return self._hold(self.pair.dialogue, speaks=False)
            case "colleague_holds":
                return self._hold(self.place.end_of(self.colleague), speaks=True)
            case "park":
                return self._park()
            case _:
                return self._dial("*6", "paused"), self._dial("*7", "resumed")

    @staticmethod
    def _hold(dialogue: Dialogue, speaks: bool) -> tuple[Step, Step]:
        def begin() -> float:
            dialogue.leg.speaks = speaks
            dialogue.invite((PCMU,), "sendonly")
            return dialogue.answered_at

        def end() -> float:
            dialogue.invite((PCMU,))
            dialogue.leg.speaks = True
            return dialogue.answered_at

        return begin, end

    def _park(self) -> tuple[Step, Step]:
        switch, before = self.place.rig.switch.esl, self.colleague
        self.parks += 1
        number = PICKED_UP + self.parks % 20
        self.colleague = phone = Phone(PCMU, before.voice)
        self.place.answers(number, phone)

        def begin() -> float:
            answer = switch.api(
                f"uuid_transfer {self.leg} 'set:valet_hold_music={self.music},valet_park:lot {number}' inline"
            )
            assert answer.startswith("+OK"), answer
            return time.monotonic()

        def end() -> float:
            answer = switch.api(f"uuid_transfer {self.leg} {NUMBER}{number} XML public")
            assert answer.startswith("+OK"), answer
            until("it is picked up", lambda: phone.first_heard, 10, 0.01)
            return phone.first_heard

        return begin, end

    def _dial(self, code: str, kind: str) -> Step:
        def dial() -> float:
            before = self._count(kind)
            self.colleague.dial(code)
            until(f"it is {kind}", lambda: self._count(kind) > before, 10, 0.005)
            return time.monotonic()

        return dial

    def _count(self, kind: str) -> int:
        (events,) = self.place.rig.spool.glob("*/events.jsonl")
        return events.read_text().count(f'"kind": "{kind}"')


def configuration(folder: Path, music: Path) -> Path:
    """Make the switch's configuration, with parking and this music on hold."""
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    modules = conf / "autoload_configs" / "modules.conf.xml"
    more = '  <load module="mod_valet_parking"/>\n  </modules>'
    modules.write_text(modules.read_text().replace("  </modules>", more))
    route = conf / "dialplan" / "public" / "90_route.xml"
    text = route.read_text().replace("hangup_after_bridge=true", "hangup_after_bridge=false")
    start = text.index("<action")
    hold = f'<action application="export" data="hold_music={music}"/>\n'
    route.write_text(text[:start] + hold + text[start:])
    return conf


def play(folder: Path, count: int, music: bool) -> None:
    """Play so many random actions in one call, and check its recording."""
    sound = folder / "music.wav"
    if music:
        at = np.arange(RATE * 60) / RATE
        soundfile.write(sound, 0.2 * np.sin(2 * np.pi * 620 * at), RATE, subtype="PCM_16")
    chance = random.Random(SEED + music)
    with phone_rig(folder / "rig", configuration(folder, sound)) as place:
        place.rig.wait_watching()
        pair = place.place("held", PCMU, PCMU)
        place.until_connected(pair)
        time.sleep(2)
        call = HeldCall(place, pair, sound, pair.inside, place.leg_of(pair))
        actions = [*ACTIONS, *chance.choices(ACTIONS, k=count - len(ACTIONS))]
        chance.shuffle(actions)
        for action in actions:
            call.perform(action, chance.uniform(0.4, 2.0))
            time.sleep(chance.uniform(0.8, 1.2))
        place.talk(0.5, pair)
        check(call)


def merged(gaps: list[Gap]) -> list[tuple[float, float]]:
    """Stretches of both channels without overlap, in seconds."""
    result: list[tuple[float, float]] = []
    for gap in sorted(gaps, key=lambda each: each.start_ms):
        assert gap.channel == "both", gap
        start, end = gap.start_ms / 1000, gap.end_ms / 1000
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def check(call: HeldCall) -> None:
    recording = call.pair.listen()
    encoded = recording.encoded
    print(recording, encoded.gaps, call.stretches, sep="\n")
    assert not [gap for gap in encoded.gaps if gap.reason in ("write_error", "repair")]
    sound = read_wav(recording.take.folder / WAV)
    found = alignment.places(sound[:, 0], call.pair.outside.voice)
    # Where a moment of the phones' clock is in the recording, by what was said before the first action.
    early = [one for one in found if one.at < encoded.announced.end_ms / 1000 + 1.5]
    zero = float(np.median([near(one.speech_time - one.at) for one in early]))
    assert len(early) > 3
    zero += PERIOD * round((call.stretches[0].start_request - early[-1].at - 1 - zero) / PERIOD)

    # Nothing is at another place than where it was said, but for what a loaded switch lost: so no word of a
    # hold is anywhere else.
    lost_s = abs(encoded.drift_ms) / 1000
    assert lost_s <= 0.3
    for one in found:
        off = near(one.speech_time - one.at - zero)
        assert abs(off) <= 0.08 + lost_s, (one, off)

    gaps = merged([gap for gap in encoded.gaps if gap.reason in ("hold", "waiting", "paused")])
    assert len(gaps) == len(call.stretches), (len(gaps), len(call.stretches))
    for (start, end), stretch in zip(gaps, call.stretches, strict=True):
        before = max((one for one in found if one.at + 0.3 <= start), key=lambda one: one.at)
        after = min((one for one in found if one.at >= end), key=lambda one: one.at)
        first = start + zero + near(before.speech_time - before.at - zero)
        last = end + zero + near(after.speech_time - after.at - zero)
        what = f"{stretch}: {first:.3f} to {last:.3f}"
        assert not np.any(sound[round(start * RATE) : round(end * RATE)]), what
        if stretch.action == "pause":  # the keys take their time
            assert stretch.start_request <= first <= stretch.start + UNKNOWN_S, what
            assert stretch.end_request <= last <= stretch.end + UNKNOWN_S, what
        else:
            assert stretch.start_request - WITHIN_S - TICK_S <= first <= stretch.start_request + TICK_S, what
            assert stretch.end - UNKNOWN_S <= last <= stretch.end + WITHIN_S + TICK_S, what
        for at in (start - 0.12, end + 0.1):  # the conversation is heard on either side
            piece = sound[round(at * RATE) : round((at + 0.1) * RATE), 0]
            assert np.sqrt(np.mean(piece**2)) > 0.03, (what, at)


def near(value: float) -> float:
    return (value + PERIOD / 2) % PERIOD - PERIOD / 2


@pytest.mark.parametrize("music", [True, False], ids=["music", "no_music"])
def test_eight_random_holds_parks_and_pauses(tmp_path: Path, music: bool) -> None:
    play(tmp_path, 8, music)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("music", [True, False], ids=["music", "no_music"])
def test_forty_random_holds_parks_and_pauses(tmp_path: Path, music: bool) -> None:
    play(tmp_path, 40, music)
