"""Feature codes by each DTMF method: RFC 2833, SIP INFO, and tones in the audio. Their leakage to the
external party's phone is measured there, packet by packet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest

from recorder.audio import wav
from recorder.spool import layout
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.sound import level
from tests.freeswitch.switches import CONF, NUMBER, until
from tests.freeswitch.telephones.codecs import PCMU, Voice, pitches
from tests.freeswitch.telephones.endpoints import EVENT, KEYS, Dialogue, Leg
from tests.freeswitch.telephones.rig import PERIOD, Pair, PhoneRig
from tests.freeswitch.test_feature_codes import zeros

TONES = 70
"""The line whose telephones send tones, which its route listens for."""

ROUTE = f"""<include>
  <extension name="tones" continue="true">
    <condition field="destination_number" expression="^{NUMBER}{TONES}$">
      <action application="export" data="nolocal:execute_on_answer_codes=spandsp_start_dtmf"/>
    </condition>
  </extension>
  <extension name="picks_up">
    <condition field="destination_number" expression="^pick-(.+)$">
      <action application="answer"/>
      <action application="spandsp_start_dtmf"/>
      <action application="intercept" data="$1"/>
    </condition>
  </extension>
</include>
"""
OUT = """<include>
  <extension name="tones" continue="true">
    <condition field="destination_number" expression="^[0-9]+$">
      <action application="spandsp_start_dtmf"/>
    </condition>
  </extension>
</include>
"""
"""The values of docs/reference/calls.md."""

IN_THE_PAUSE, AFTER_IT = "3", "2"

AUDIBLE, UNHEARD = 0.1, 0.05
"""Of a tone of a code: a share of full scale.  The telephones' voices have 0.02 at any pitch."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRig]:
    folder = tmp_path_factory.mktemp("dialling")
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    (conf / "dialplan" / "public" / "85_tones.xml").write_text(ROUTE)
    (conf / "dialplan" / "outbound" / "85_tones.xml").write_text(OUT)
    it = PhoneRig(folder / "phone_rig", conf)
    try:
        it.rig.switch.start()
        it.rig.start_daemon()
        set_every_line(it.rig, "out")
        yield it
    finally:
        it.exchange.stop()
        it.rig.kill_daemon()
        it.rig.switch.stop()


def marked(pair: Pair, kind: str) -> bool:
    for path in pair.phone_rig.rig.spool.glob(f"*/{layout.CALL}"):
        if layout.read_start(path.parent).external_party.value.endswith(pair.caller):
            return kind in [marker.kind for marker in layout.read_markers(path.parent)]
    return False


def each(pairs: dict[Pair, Callable[[str], object]], digits: str, kind: str) -> None:
    """Have every internal phone dial, and wait for each call's marker."""
    for dial in pairs.values():
        dial(digits)
    for pair in pairs:
        until(f"{pair.name}: {kind}", lambda pair=pair: marked(pair, kind), 20)
    time.sleep(0.7)


def sings(pairs: Iterable[Pair], digit: str) -> None:
    """Have the external phones dial, as tones in the audio."""
    for pair in pairs:
        pair.outside.sings(digit)
    time.sleep(0.6)


def linear(ear: list[tuple[int, bytes]]) -> np.ndarray:
    """Return the audio that a phone received in PCMU (G.711), -1 to 1."""
    code = ~np.frombuffer(b"".join(body for payload, body in ear if payload == 0), np.uint8)
    size = ((((code & 0x0F).astype(int) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size) / 32768


def loudest(sound: np.ndarray, digits: str) -> float:
    """Return the maximum level of the quieter tone of a key, for the loudest key."""
    return max(
        float(np.minimum(*(level(sound, pitch) for pitch in pitches(digit))).max()) for digit in digits
    )


def events(ear: list[tuple[int, bytes]]) -> str:
    """Return the keys that a phone received as events."""
    return "".join(sorted({KEYS[body[0]] for payload, body in ear if payload == EVENT}))


def test_codes_by_each_dtmf_method_and_their_leakage(place: PhoneRig) -> None:
    ways = {name: place.place(name) for name in ("RFC 2833", "INFO")}
    ways["tones"] = place.place("tones", line=TONES)
    for pair in ways.values():
        pair.outside.ear = []
    place.until_connected(*ways.values())
    for pair in ways.values():
        until(f"{pair.name} is written down", lambda pair=pair: marked(pair, "bridged"), 20)
    time.sleep(1)
    colleagues: dict[str, Dialogue] = {}
    for name, pair in ways.items():
        colleagues[name] = place.end_of(pair.inside)
    dial: dict[Pair, Callable[[str], object]] = {
        ways["RFC 2833"]: ways["RFC 2833"].inside.dial,
        ways["INFO"]: colleagues["INFO"].info,
        ways["tones"]: ways["tones"].inside.sings,
    }
    each(dial, "*6", "paused")
    sings(ways.values(), IN_THE_PAUSE)  # a card's number, by a telephone that can only do it so
    each(dial, "*7", "resumed")
    sings(ways.values(), AFTER_IT)
    each(dial, "*8", "moment_marked")
    each(dial, "*5", "keep_question_heard")
    each(dial, "2", "keep_answer_confirmed")  # a no needs nobody's voice
    place.talk(0.5, *ways.values())
    for name, pair in ways.items():
        take = pair.take()
        kinds = [marker.kind for marker in take.markers]
        for kind in (
            "paused",
            "resumed",
            "moment_marked",
            "keep_question_asked",
            "keep_question_heard",
            "keep_question_answered",
        ):
            assert kinds.count(kind) == 1, (name, kind, kinds)
        (answered,) = (marker for marker in take.markers if marker.kind == "keep_question_answered")
        assert (answered.data["answer"], answered.data["by"]) == ("no", "internal"), name
        assert pair.outside.ear is not None
        samples = np.concatenate(list(wav.read_blocks(wav.inspect(take.audio), 1 << 20))) / 32768
        after = take_from(take)
        assert loudest(samples[after:, 0], AFTER_IT) > AUDIBLE, "what the external party dials is heard"
        for channel in (0, 1):
            assert loudest(samples[after:, channel], IN_THE_PAUSE) < UNHEARD, "but in a pause"
        audio, recorded_part = linear(pair.outside.ear), samples[after:, 1]
        print(
            name, events(pair.outside.ear), loudest(audio[after:], "*5678"), loudest(recorded_part, "*5678")
        )
        if name == "tones":
            assert loudest(audio[after:], "*5678") > AUDIBLE, "in-band: it cannot be hidden"
            assert loudest(recorded_part, "*5678") > AUDIBLE
        else:
            # 2 is no code: it goes to the other side as any key.
            assert events(pair.outside.ear) == "2", (name, events(pair.outside.ear))
            assert loudest(audio[after:], "*5678") < UNHEARD, name
            assert loudest(recorded_part, "*5678") < UNHEARD, name


def take_from(take: layout.Take) -> int:
    """Return the sample at which the parties begin to speak, after all prompts."""
    start, bridged = take.first("recording_started"), take.first("bridged")
    assert start is not None
    assert bridged is not None
    return int((bridged - start).total_seconds() * 8000)


def test_codes_of_an_outbound_caller_but_not_of_the_callee(place: PhoneRig) -> None:
    """As tones that the switch detects on the internal leg, and as events. A callee's keys have no effect, by
    either method."""
    tones, keys = place.place_out("out, tones"), place.place_out("out, RFC 2833")
    pairs = [tones, keys]
    place.until_connected(*pairs)
    for pair in pairs:
        until(f"{pair.name} is written down", lambda pair=pair: marked(pair, "bridged"), 20)
    time.sleep(1)
    for dial in (Leg.dial, Leg.sings):
        for pair in pairs:
            dial(pair.outside, "*6")
        time.sleep(1.5)
    for pair in pairs:
        assert not marked(pair, "paused")
    dial_own: dict[Pair, Callable[[str], object]] = {tones: tones.inside.sings, keys: keys.inside.dial}
    each(dial_own, "*6", "paused")
    time.sleep(1)
    each(dial_own, "*7", "resumed")
    time.sleep(1)
    for dial in (Leg.dial, Leg.sings):
        for pair in pairs:
            dial(pair.outside, "*6")
        time.sleep(1.5)
    each(dial_own, "*8", "moment_marked")
    place.talk(0.5, *pairs)
    for pair in pairs:
        take = pair.take()
        kinds = [marker.kind for marker in take.markers]
        assert [kinds.count(kind) for kind in ("paused", "resumed", "moment_marked")] == [1, 1, 1], (
            pair.name,
            kinds,
        )
        sound = np.concatenate(list(wav.read_blocks(wav.inspect(take.audio), 1 << 20)))[take_from(take) :]
        ((start, end),) = zeros(sound)
        paused, resumed = take.first("paused"), take.first("resumed")
        assert paused is not None
        assert resumed is not None
        assert abs((end - start) / 8000 - (resumed - paused).total_seconds()) < 0.3, pair.name


def test_codes_as_tones_after_a_pickup(place: PhoneRig) -> None:
    pair = place.place("picked up")
    place.until_connected(pair)
    until("it is written down", lambda: marked(pair, "bridged"), 20)
    second = Leg(PCMU, Voice(99, PERIOD))
    place.exchange.call(f"pick-{place.leg_of(pair)}", "200", second)
    until("it is picked up", lambda: second.to is not None, 10)
    time.sleep(2)
    each({pair: second.sings}, "*6", "paused")
    time.sleep(1)
    each({pair: second.sings}, "*7", "resumed")
    place.talk(1, pair)
    take = pair.take()
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("bridged") == 2
    sound = np.concatenate(list(wav.read_blocks(wav.inspect(take.audio), 1 << 20)))[take_from(take) :]
    assert len(zeros(sound)) == 1
