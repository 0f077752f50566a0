"""Codes and a question in a practice call: what reaches the phones and the take."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest

from demo.practice.digits import WAITS
from demo.practice.pace import Pace
from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.sound import FRAME
from demo.practice.switch import CONF, PracticeSwitch
from recorder.errors import SwitchError
from tests.expected_errors import expect_error
from tests.scenarios.files import RATE
from tests.scenarios.mechanics import write_configuration, write_tone
from tests.waiting import until

SPEED = 4.0


class Rig:
    """A switch without a daemon whose calls have the code ``*5``; one call, connected and recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        conf = write_configuration(folder, CONF)
        self.switch = PracticeSwitch(
            password="x", daemon="127.0.0.1:1", environment={}, conf=conf, pace=Pace(SPEED)
        )
        self.switch.start()
        self.question = write_tone(folder / "question.wav", 1000, 4.0)
        party = PracticeParty(
            speaks=write_tone(folder / "outside.wav", 440, 60.0), rings=0.1,
            answers_with=write_tone(folder / "inside.wav", 2000, 60.0),
        )  # fmt: skip
        self.call: PracticeCall = self.switch.call("+3225550101", party)
        assert self.call.wait("bridged", 20)
        self.tape = folder / "audio.wav"
        self.switch.api(f"uuid_record {self.call.leg.uuid} start {self.tape} 0 {{RECORD_STEREO=true}}")

    def ask(self, what: str = "") -> str:
        return self.switch.api(
            f"uuid_broadcast {self.call.leg.uuid} {what or self.playback_of(self.question)} both"
        )

    @staticmethod
    def playback_of(path: Path) -> str:
        return f"'playback::{path}'"

    def wait_for_question(self) -> None:
        """Wait until the question plays to both."""
        assert self.ask() == "+OK Message sent\n"
        media = self.call.media
        until("it is played to both", lambda: media.prompt is not None and media.prompt_inside is not None)

    def silent(self) -> bool:
        return self.call.media.prompt is None and self.call.media.prompt_inside is None

    def recorded(self, seconds: float) -> None:
        """Let that much more of the call be recorded."""
        tape = self.call.media.tapes[str(self.tape)]
        end = tape.frames + seconds * RATE / FRAME
        until(f"{seconds} s more", lambda: tape.frames >= end)

    def pause(self, seconds: float) -> None:
        gevent.sleep(seconds / SPEED)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    practice_rig = Rig(tmp_path)
    yield practice_rig
    practice_rig.switch.stop()


def stretches(sound: np.ndarray, pitch: float) -> np.ndarray:
    """The tenths of a second in which a frequency is heard."""
    count = len(sound) // 800
    frames = sound[: count * 800].reshape(count, 800) / 32768
    wave_ = np.exp(-2j * np.pi * pitch * np.arange(800) / RATE)
    return np.abs(frames @ wave_) / 400 > 0.1


def test_question_is_alone_in_the_right_channel_and_the_left_continues(rig: Rig) -> None:
    rig.recorded(1.0)
    rig.wait_for_question()
    until("its end", rig.silent)
    rig.recorded(1.0)
    rig.call.hang_up()
    assert rig.call.wait("ended", 20)
    with wave.open(str(rig.tape)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    external, question, inside = (
        stretches(sound[:, channel], pitch) for channel, pitch in ((0, 440), (1, 1000), (1, 2000))
    )
    assert external.mean() > 0.95
    assert 39 <= question.sum() <= 41
    first, last = np.flatnonzero(question)[[0, -1]]
    assert not inside[first + 1 : last].any()
    assert inside[:first].sum() >= 5
    assert inside[last + 2 :].sum() >= 5


def test_a_code_reaches_no_phone_and_every_other_digit_does(rig: Rig) -> None:
    digits = rig.call.digits
    rig.call.callee_presses("1*5*1")
    until("the code", lambda: rig.call.b and rig.call.b.variables.get("last_matching_digits") == "*5")
    assert digits.heard_external == "1*1"
    rig.call.press("*5")
    assert digits.heard_internal == "*5"


def test_digit_of_a_possible_code_waits_for_the_next(rig: Rig) -> None:
    start = rig.switch.pace.seconds()
    rig.call.callee_presses("*")
    assert rig.call.digits.heard_external == ""
    until("it goes on", lambda: rig.call.digits.heard_external == "*")
    assert rig.switch.pace.seconds() - start >= WAITS
    rig.call.callee_presses("5")
    assert rig.call.digits.heard_external == "*5"


def test_keys_in_a_question_go_nowhere(rig: Rig) -> None:
    rig.wait_for_question()
    rig.call.press("1")
    rig.call.callee_presses("2")
    assert not rig.silent()
    rig.call.callee_presses("*5")  # by the star, which ends it for them, as without terminators of its own
    until("its end", rig.silent)
    rig.pause(2.0)
    assert rig.call.digits.heard_internal == ""
    assert "*" not in rig.call.digits.heard_external


def test_remaining_party_hears_the_whole_question(rig: Rig) -> None:
    rig.wait_for_question()
    player = rig.call.media.prompt
    rig.call.callee_hangs_up()
    assert rig.call.b is not None
    assert rig.call.b.cause == "NORMAL_CLEARING"
    assert rig.call.wait("ended", 20)
    assert player is not None
    assert player.at_end


def test_path_with_a_space_is_played_only_if_quoted(rig: Rig) -> None:
    spaced = write_tone(rig.folder / "a question.wav", 1000, 0.5)
    assert rig.ask(f"playback::{spaced}") == "+OK Message sent\n"
    rig.pause(1.0)
    assert str(spaced) not in rig.call.played
    rig.ask(rig.playback_of(spaced))
    until("it was played", lambda: str(spaced) in rig.call.played)


def test_question_to_an_unknown_call_is_refused(rig: Rig) -> None:
    assert (
        rig.switch.api(f"uuid_broadcast none {rig.playback_of(rig.question)} both") == "-ERR invalid uuid\n"
    )
    assert rig.switch.api("uuid_broadcast") == "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"


@pytest.mark.parametrize(
    "binding",
    ["accord,*5,exec:event,Event-Name=CUSTOM\\,Event-Subclass=accord::keep,peer,peer",
     "accord,*5,exec[H]:event,Event-Name=CUSTOM\\,Event-Subclass=accord::keep,self,self",
     "accord,*5,api:hupall"],
)  # fmt: skip
def test_unknown_binding_is_refused(rig: Rig, binding: str) -> None:
    with expect_error(SwitchError, "practice.digits"):
        rig.call.digits.bind(binding)


def test_switch_killed_in_a_question_sends_no_more(rig: Rig) -> None:
    rig.wait_for_question()
    b = rig.call.b
    rig.switch.die()
    rig.pause(3.0)
    assert b is not None
    assert b.cause is None
    assert "playback_ms" not in b.variables


def test_party_who_still_hears_the_question_is_not_recorded(rig: Rig) -> None:
    """The external party's key has ended it for them only."""
    rig.wait_for_question()
    media = rig.call.media
    assert media.prompt_inside is not None
    first = media.tapes[str(rig.tape)].frames
    end = first + (4 * RATE - media.prompt_inside.at) // FRAME
    rig.call.press("*")
    assert media.prompt is None
    until("its end for the called one", rig.silent)
    rig.recorded(1.0)
    rig.call.hang_up()
    assert rig.call.wait("ended", 20)
    with wave.open(str(rig.tape)) as file:
        right = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1]
    assert not right[first * FRAME : end * FRAME].any()
    assert right[(end + 2) * FRAME :].any()
