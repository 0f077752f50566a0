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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio.encoded_take import Gap
from recorder.audio.encoding import WAV
from tests.freeswitch.switches import CONF, NUMBER, PAUSE_SECONDS, RATE, read_wav, until
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
    asked: float
    begun: float = 0.0
    end_asked: float = 0.0
    ended: float = 0.0


@dataclass
class Held:
    """A call in which the caller is held, parked and paused."""

    place: PhoneRig
    pair: Pair
    music: Path
    colleague: Leg
    leg: str = ""
    parks: int = 0
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def now(self) -> float:
        return time.monotonic() - self.place.exchange.studio.began

    @property
    def dialogue(self) -> Dialogue:
        return self.place.end_of(self.colleague)

    def during(self, action: str, seconds: float) -> None:
        """Do it for so many seconds."""
        stretch = Stretch(action, self.now)
        begin, end = getattr(self, f"_{action}")()
        begin()
        stretch.begun = self.now
        time.sleep(seconds)
        stretch.end_asked = self.now
        end()
        stretch.ended = self.now
        self.stretches.append(stretch)

    def _hold_speaking(self):  # type: ignore[no-untyped-def]
        dialogue = self.pair.dialogue
        return lambda: dialogue.invite((PCMU,), "sendonly"), lambda: dialogue.invite((PCMU,))

    def _hold_silent(self):  # type: ignore[no-untyped-def]
        return self.pair.dialogue.hold, self.pair.dialogue.unhold

    def _colleague_holds(self):  # type: ignore[no-untyped-def]
        dialogue = self.dialogue
        return lambda: dialogue.invite((PCMU,), "sendonly"), lambda: dialogue.invite((PCMU,))

    def _park(self):  # type: ignore[no-untyped-def]
        switch, before = self.place.rig.switch.esl, self.colleague
        self.parks += 1
        number = PICKED_UP + self.parks % 20
        self.colleague = Leg(PCMU, before.voice)
        self.place.answers(number, self.colleague)

        def begin() -> None:
            answer = switch.api(
                f"uuid_transfer {self.leg} 'set:valet_hold_music={self.music},valet_park:lot {number}' inline"
            )
            assert answer.startswith("+OK"), answer

        def end() -> None:
            answer = switch.api(f"uuid_transfer {self.leg} {NUMBER}{number} XML public")
            assert answer.startswith("+OK"), answer
            until("it is picked up", lambda: self.colleague.packet_count, 10, 0.002)

        return begin, end

    def _pause(self):  # type: ignore[no-untyped-def]
        def dial(code: str, mark: str) -> None:
            before = self._count(mark)
            self.colleague.dial(code)
            until(f"it is {mark}", lambda: self._count(mark) > before, 10, 0.005)

        return lambda: dial("*6", "paused"), lambda: dial("*7", "resumed")

    def _count(self, kind: str) -> int:
        events = next(iter(self.place.rig.spool.glob("*/events.jsonl")))
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
        call = Held(place, pair, sound, pair.inside, place.leg_of(pair))
        actions = [*ACTIONS, *chance.choices(ACTIONS, k=count - len(ACTIONS))]
        chance.shuffle(actions)
        for action in actions:
            most = PAUSE_SECONDS / 2 if action == "pause" else 2.5
            call.during(action, chance.uniform(0.5, most))
            time.sleep(chance.uniform(0.8, 1.5))
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


def check(call: Held) -> None:
    recording = call.pair.listen()
    encoded = recording.encoded
    print(recording, encoded.gaps, call.stretches, sep="\n")
    assert not [gap for gap in encoded.gaps if gap.reason in ("write_error", "repair")]
    kept = read_wav(recording.take.folder / WAV)
    found = alignment.places(kept[:, 0], call.pair.outside.voice)
    # Where a moment of the phones' clock is in the recording, by what was said before the first action.
    early = [one for one in found if one.at < encoded.announced.end_ms / 1000 + 1.5]
    zero = float(np.median([near(one.speech_time - one.at) for one in early]))
    assert len(early) > 3
    zero += PERIOD * round((call.stretches[0].asked - early[-1].at - 1 - zero) / PERIOD)

    gaps = merged([gap for gap in encoded.gaps if gap.reason in ("hold", "waiting", "paused")])
    assert len(gaps) == len(call.stretches), (len(gaps), len(call.stretches))
    for (start, end), stretch in zip(gaps, call.stretches, strict=True):
        first, last = start + zero, end + zero
        what = f"{stretch}: {first:.3f} to {last:.3f}"
        assert not np.any(kept[round(start * RATE) : round(end * RATE)]), what
        if stretch.action == "pause":  # the keys take their time
            assert stretch.asked <= first <= stretch.begun + UNKNOWN_S, what
            assert stretch.end_asked <= last <= stretch.ended + UNKNOWN_S, what
        else:
            assert stretch.asked - WITHIN_S - TICK_S <= first <= stretch.asked + TICK_S, what
            assert stretch.ended - UNKNOWN_S <= last <= stretch.ended + WITHIN_S + TICK_S, what
        for at in (start - 0.12, end + 0.1):  # the conversation is heard on either side
            piece = kept[round(at * RATE) : round((at + 0.1) * RATE), 0]
            assert np.sqrt(np.mean(piece**2)) > 0.03, (what, at)
    # Nothing is at another place than where it was said, so no word of a hold is anywhere else.
    for one in found:
        off = near(one.speech_time - one.at - zero)
        assert abs(off) <= 0.08, (one, off)
    assert abs(encoded.drift_ms) <= 300, encoded.drift_ms


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
