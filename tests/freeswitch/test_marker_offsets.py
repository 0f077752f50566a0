"""The offsets of prompts and answers in a take of a real switch, compared with their true positions."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import soundfile

from recorder.audio.encoding import encode
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.switches import RATE, CallUnderTest, Rig, level, read_wav, until
from tests.freeswitch.test_keep_question import internal_leg_of, markers
from tests.scenarios.files import LOWS, chirp

CALLS = 8
PROMPT_MS, ANSWER_MS = 20, 200
WINDOW = RATE // 50
PRESSED = 10
"""Windows of silence at least: a phone here presses a key for 250 ms (2000 samples), in which it sends events
instead of sound.  The switch tells of the key at its end (RFC 4733)."""


def test_prompts_and_answers_are_located(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "keep")
    other = daemon.phones_folder / "other.wav"
    soundfile.write(other, 0.3 * np.sin(2 * np.pi * 600 * np.arange(RATE * 30) / RATE), RATE)
    calls = [daemon.call() for _ in range(CALLS)]
    for call in calls:
        until(f"{call.caller} speaks", lambda call=call: markers(call, "bridged"), 60)
    for call in calls:
        time.sleep(0.07)  # not all at one place of the audio
        daemon.phones.esl.api(f"uuid_send_dtmf {internal_leg_of(daemon, call)} *5")
    for call in calls:
        until(f"{call.caller} heard the question", lambda call=call: markers(call, "keep_question_heard"), 30)
        daemon.phones.esl.api(f"uuid_displace {call.id} start {other}")
        call.key("1")
    for call in calls:
        until(
            f"{call.caller} heard what came of it",
            lambda call=call: markers(call, "keep_answer_confirmed"),
            30,
        )
        call.hang_up()
    for call in calls:
        look(call, sounds.paths["announcement"].parent)


def look(call: CallUnderTest, prompts: Path) -> None:
    take = call.wait_take()
    samples = read_wav(take.audio)
    assert take.start.announcement is not None
    found = encode(take, prompts / f"{take.start.announcement.sha256}.wav")
    assert found.announced is not None
    places = {"announcement": found.announced.offset_ms}
    places |= {
        "keep_question" if one.which == "question" else "keep_yes": one.offset_ms for one in found.prompts
    }
    assert set(places) == {"announcement", "keep_question", "keep_yes"}
    for name, place in places.items():
        true = truth(samples[:, 1], name)
        assert abs(place - true) <= PROMPT_MS, (name, place, true)
    answered = next(marker.offset_ms for marker in found.markers if marker.kind == "keep_question_answered")
    pressed = end_of_key(samples[:, 0])
    assert abs(answered - pressed) <= ANSWER_MS, (answered, pressed)


def end_of_key(samples: np.ndarray) -> int:
    """Return the ms at which the sound resumes after the silence of a key."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    silent = np.sqrt((windows**2).mean(1)) < 0.02
    changed = level(samples, 600, WINDOW)[: len(silent)] > 0.15
    at = next(i for i in np.flatnonzero(changed) if i >= PRESSED and silent[i - PRESSED : i].all())
    return int(at) * 1000 * WINDOW // RATE


def truth(samples: np.ndarray, name: str) -> float:
    sound = chirp(low=LOWS[name])
    size = len(samples) + len(sound)
    alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(sound, size)), size)[: len(samples)]
    return int(alike.argmax()) * 1000 / RATE
