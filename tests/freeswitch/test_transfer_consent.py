"""Consent of transfer targets on a real switch, by phones outside it: which keys count, what both hear, and
which of the target's audio is in the recording, by its samples."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recorder.audio.encoded_take import Encoded
from recorder.audio.encoding import WAV, encode
from tests.freeswitch.internal_phones import (
    LINE,
    SECOND,
    THIRD,
    TONES,
    Talk,
    set_line,
)
from tests.freeswitch.process import Esl
from tests.freeswitch.sound import heard_among
from tests.freeswitch.switches import RATE, Rig, heard_whole, level, read_wav, until
from tests.freeswitch.test_conferences import conference_markers, consult, move_to_conference
from tests.scenarios.definitions import Line
from tests.scenarios.files import LOWS, Sounds, chirp

QUESTION, REFUSED = (chirp(low=LOWS[name]) for name in ("transfer_notice", "declined"))
OPT_IN: Line = "joining_opt_in"
OPT_OUT: Line = "joining_opt_out"


FRAME = RATE // 50
"""20 ms in samples: whole periods of each tone."""
LAG = RATE // 10
"""How many samples before or after the switch's event a sound may begin, and may end, in the recording."""
LOST_FRAMES = 2
"""How many of a party's frames a busy machine may lose in a second, as a network does."""


@pytest.fixture(autouse=True)
def no_calls_left(system: Rig) -> Iterator[None]:
    yield
    system.hang_up_all()


def start_talk(system: Rig, name: Line) -> tuple[Talk, Sounds]:
    """A caller who has consented, or not refused, speaks with the first internal phone."""
    sounds = set_line(system, name)
    talk = Talk(system, system.call(LINE))
    if name == OPT_IN:
        talk.until_marked("question_finished")
        time.sleep(0.3)
        talk.call.key("1")
    talk.until_marked("bridged")
    time.sleep(1)
    return talk, sounds


def kept_audio(talk: Talk, sounds: Sounds) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """Return the take, its audio as the switch left it, and as it is kept."""
    take = talk.call.wait_take()
    take = replace(take, start=replace(take.start, formats=("wav",)))
    encoded_take = encode(take, sounds.paths["announcement"])
    return encoded_take, read_wav(take.audio), read_wav(take.folder / WAV)


def place(encoded_take: Encoded, kind: str, number: int = -1) -> int:
    """Return the position of a marker in samples."""
    return [marker.offset_ms for marker in encoded_take.markers if marker.kind == kind][number] * RATE // 1000


def tone_level(samples: np.ndarray, number: str) -> float:
    """Return the maximum level of a party's tone."""
    return float(level(samples, TONES[number]).max(initial=0))


def nothing_of_the_joiner(
    encoded_take: Encoded, raw: np.ndarray, redacted: np.ndarray, start: int, end: int
) -> None:
    """Check that the right channel is silent from ``start`` to ``end``, where the switch had recorded the
    target, and that the left one is unchanged."""
    assert tone_level(raw[start:end, 1], SECOND) > 0.2, "they did say something"
    assert not redacted[start:end, 1].any()
    assert np.array_equal(redacted[start:end, 0], raw[start:end, 0])
    gaps = [gap for gap in encoded_take.gaps if gap.reason == "no_participant_consent"]
    assert {gap.channel for gap in gaps} == {"right"}
    assert any(gap.start_ms <= start * 1000 // RATE and gap.end_ms * RATE // 1000 >= end for gap in gaps)


def test_yes_is_recorded_from_then_on(system: Rig) -> None:
    talk, sounds = start_talk(system, OPT_IN)
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_question_finished")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 1")
    talk.until_marked("transfer_question_answered")
    time.sleep(2)
    talk.call.hang_up()
    encoded_take, raw, redacted = kept_audio(talk, sounds)
    joined, yes = place(encoded_take, "bridged"), place(encoded_take, "transfer_question_answered")
    nothing_of_the_joiner(encoded_take, raw, redacted, joined, yes)
    assert tone_level(redacted[yes + RATE // 2 :, 1], SECOND) > 0.2
    assert tone_level(redacted[:joined, 1], LINE) > 0.2
    theirs = system.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    assert heard_whole(read_wav(theirs)[:, 0], QUESTION)
    later = read_wav(talk.call.heard_by_caller)[-8 * RATE :, 0]
    assert not heard_whole(later, QUESTION), "the caller does not hear it"


@pytest.mark.long
def test_no_ends_the_recording_and_both_hear_it(system: Rig) -> None:
    talk, sounds = start_talk(system, OPT_OUT)
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_question_finished")
    talk.call.key("2")
    time.sleep(1)
    assert not talk.markers("transfer_question_refused"), "the caller's key is none of theirs"
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 2")
    talk.until_marked("transfer_question_refused")
    encoded_take, raw, redacted = kept_audio(talk, sounds)
    time.sleep(2)
    assert talk.call.alive()
    assert system.recorded_now() == set()
    joined = place(encoded_take, "bridged")
    nothing_of_the_joiner(encoded_take, raw, redacted, joined, len(redacted))
    assert tone_level(redacted[:joined, 1], LINE) > 0.2
    theirs = read_wav(system.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav")[:, 0]
    both = read_wav(talk.call.heard_by_caller)[-12 * RATE :, 0]
    for side in (theirs, both):
        assert heard_whole(side, QUESTION)
        assert heard_whole(side, REFUSED)


@pytest.mark.long
def test_consent_in_a_conference(system: Rig) -> None:
    """Members are asked one after the other. The switch reports their keys, and one refusal ends the
    recording for all."""
    talk, sounds = start_talk(system, OPT_IN)
    move_to_conference(talk, "meet-a")
    time.sleep(1)
    second = talk.place_call(SECOND, "meet-a")
    talk.until_marked("transfer_question_finished")
    time.sleep(0.5)
    talk.phones(f"uuid_send_dtmf {second} 1")
    talk.until_marked("transfer_question_answered")
    time.sleep(1.5)
    third = talk.place_call(THIRD, "meet-a")
    talk.until_marked("transfer_question_finished", 2)
    time.sleep(0.5)
    talk.phones(f"uuid_send_dtmf {third} 2")
    talk.until_marked("transfer_question_refused")
    assert talk.call.alive()
    encoded_take, raw, redacted = kept_audio(talk, sounds)
    nothing_of_the_joiner(
        encoded_take,
        raw,
        redacted,
        place(encoded_take, "participant_joined", 1),
        place(encoded_take, "transfer_question_answered"),
    )
    arrival = place(encoded_take, "participant_joined", 2)
    assert (
        tone_level(
            redacted[place(encoded_take, "transfer_question_answered") + RATE // 2 : arrival - RATE // 2, 1],
            SECOND,
        )
        > 0.2
    )
    assert tone_level(raw[arrival:, 1], THIRD) > 0.2
    assert not redacted[arrival:, 1].any()
    for leg in (second, third):
        sound = read_wav(system.phones_folder / f"colleague-{leg}.wav")[:, 0]
        assert heard_among(sound, QUESTION)
    until("they hear that it is not", lambda: heard_among(
        read_wav(system.phones_folder / f"colleague-{third}.wav")[:, 0], REFUSED), 10)  # fmt: skip
    assert conference_markers(encoded_take.take)[:3] == ["+01", "+91", "+92"]


def add_third_party(talk: Talk) -> None:
    """Have the internal party add a third party."""
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} 0")


def recent_level(talk: Talk, number: str) -> float:
    """Return a party's level at the caller in the last half second."""
    return tone_level(read_wav(talk.call.heard_by_caller)[-RATE // 2 :, 0], number)


@contextmanager
def paused_daemon(system: Rig) -> Iterator[None]:
    """The daemon is stopped (SIGSTOP) in the block."""
    assert system.daemon is not None
    system.daemon.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        system.daemon.send_signal(signal.SIGCONT)


@contextmanager
def third_party_spans(system: Rig) -> Iterator[list[tuple[datetime, datetime]]]:
    """Collect from when to when each third party is in a conversation (``three_way``), by the switch's
    clock. The list is filled at the end of the block."""
    spans: list[tuple[datetime, datetime]] = []
    watch = Esl(system.switch.esl_port, system.switch.password)
    try:
        assert watch.command("event plain CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE").startswith("+OK")
        assert watch.command("filter Application three_way").startswith("+OK")
        yield spans
        starts: dict[str, datetime] = {}
        for event in watch.drain(0.2):
            at = datetime.fromtimestamp(int(event["Event-Date-Timestamp"]) / 1e6, UTC)
            if event["Event-Name"] == "CHANNEL_EXECUTE":
                starts[event["Unique-ID"]] = at
            else:
                spans.append((starts.pop(event["Unique-ID"]), at))
    finally:
        watch.close()


def assert_heard_until_aside(
    encoded_take: Encoded, samples: np.ndarray, since: datetime, till: datetime
) -> None:
    """Check that the external party ``heard`` the third one at full level for as long as the two were in a
    conversation, from ``since`` ``till``, and never after it."""
    joined = encoded_take.take.first("participant_joined")
    assert joined is not None
    start, end = (
        place(encoded_take, "participant_joined") + round((at - joined).total_seconds() * RATE)
        for at in (since, till)
    )
    frames = level(samples[start - LAG :], TONES[SECOND], FRAME)
    (loud,) = np.nonzero(frames > 0.2)
    assert end - start > RATE // 2, "too short a conversation to judge"
    assert len(loud), "not heard at all"
    lost_frames = np.count_nonzero(frames[loud[0] : loud[-1] + 1] <= 0.2)
    assert lost_frames <= LOST_FRAMES, "not at full level throughout"
    duration = (loud[-1] + 1 - loud[0]) * FRAME
    assert abs(duration - (end - start)) <= 2 * LAG, "not for as long as they were in the conversation"
    assert frames[(end - start + 2 * LAG) // FRAME :].max() < 0.05, "heard after they were taken aside"


def test_third_party_is_asked_aside_and_recorded_after_a_yes(system: Rig) -> None:
    talk, sounds = start_talk(system, OPT_IN)
    before = len(read_wav(talk.call.heard_by_caller))
    with third_party_spans(system) as spans:
        consult(talk)
        with paused_daemon(system):  # so that there is time to hear them before they are taken aside
            talk.phones(f"uuid_send_dtmf {talk.phone()} 0")
            until("they are in it", lambda: "three_way" in talk.switch("show channels as json"), 10)
            time.sleep(0.7)
        talk.until_marked("transfer_question_finished")
    time.sleep(1)
    assert recent_level(talk, SECOND) < 0.05, "they are out of it"
    assert recent_level(talk, LINE) > 0.2
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 7")  # asked once more
    talk.until_marked("transfer_question_finished", 2)
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 1")
    talk.until_marked("transfer_question_answered")
    until("they are in it again", lambda: recent_level(talk, SECOND) > 0.2, 5)
    time.sleep(2)
    talk.call.hang_up()
    encoded_take, raw, redacted = kept_audio(talk, sounds)
    arrival, yes = (
        place(encoded_take, "participant_joined"),
        place(encoded_take, "transfer_question_answered"),
    )
    (span,) = spans
    assert_heard_until_aside(encoded_take, raw[:yes, 1], *span)
    assert not redacted[arrival:yes, 1].any()
    # Until they arrive the caller is on hold, of which nothing is kept, and what the file lacks is filled.
    (hold,) = (gap for gap in encoded_take.gaps if gap.reason == "hold")
    attended = hold.end_ms * RATE // 1000
    assert abs(attended - arrival) <= 2 * LAG
    filled = len(redacted) - len(raw)
    assert np.array_equal(redacted[attended:yes, 0], raw[attended - filled : yes - filled, 0])
    assert tone_level(redacted[yes + RATE // 2 :, 1], SECOND) > 0.2
    assert tone_level(redacted[yes + RATE // 2 :, 1], LINE) > 0.2
    assert conference_markers(encoded_take.take) == ["+91"]
    theirs = system.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    assert heard_among(read_wav(theirs)[:, 0], QUESTION)
    assert not heard_among(read_wav(talk.call.heard_by_caller)[before:, 0], QUESTION)


@pytest.mark.long
def test_earlier_keys_of_a_third_party_are_no_answer(system: Rig) -> None:
    """The transfer and the dialplan (flush_dtmf) discard them."""
    talk, _sounds = start_talk(system, OPT_OUT)
    consult(talk)
    with paused_daemon(system):  # so that nobody asks them before they have pressed it
        talk.phones(f"uuid_send_dtmf {talk.phone()} 0")
        until("they are in it", lambda: "three_way" in talk.switch("show channels as json"), 10)
        talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 2")
        time.sleep(0.7)
    talk.until_marked("transfer_question_finished")
    talk.until_marked("transfer_question_answered")
    assert not talk.markers("transfer_question_refused")


@pytest.mark.long
def test_refusing_third_party_returns_to_an_unrecorded_call(system: Rig) -> None:
    talk, sounds = start_talk(system, OPT_OUT)
    add_third_party(talk)
    talk.until_marked("transfer_notice_started")
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 2")
    talk.until_marked("transfer_question_refused")
    encoded_take, raw, redacted = kept_audio(talk, sounds)
    arrival = place(encoded_take, "participant_joined")
    assert not redacted[arrival:, 1].any()
    # The hold before it ends where the parties are surely connected again, at most 50 ms after that event.
    connected = max(gap.end_ms for gap in encoded_take.gaps if gap.channel == "both") * RATE // 1000
    assert connected - place(encoded_take, "bridged", -1) <= RATE // 20
    # From the end on, since the switch may record less than that hold.
    rest = len(redacted) - connected
    assert np.array_equal(redacted[-rest:, 0], raw[-rest:, 0])
    (refused,) = (marker for marker in encoded_take.markers if marker.kind == "transfer_question_refused")
    assert (refused.data["answer"], refused.data["key"]) == ("no", "2")
    until("they are in it again", lambda: recent_level(talk, SECOND) > 0.2, 10)
    assert system.recorded_now() == set()
    for path in (system.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav", talk.call.heard_by_caller):
        until("said to both", lambda path=path: heard_among(read_wav(path)[-20 * RATE :, 0], REFUSED), 10)


@pytest.mark.long
def test_third_party_hangs_up_during_the_question(system: Rig) -> None:
    talk, sounds = start_talk(system, OPT_OUT)
    add_third_party(talk)
    talk.until_marked("transfer_notice_started")
    talk.phones(f"uuid_kill {talk.phone(SECOND)}")
    talk.until_marked("participant_left")
    time.sleep(3)  # what was said to both goes on for them
    talk.call.hang_up()
    encoded_take, _raw, redacted = kept_audio(talk, sounds)
    untold = [
        marker.data["reason"]
        for marker in encoded_take.markers
        if marker.kind == "transfer_notice_interrupted"
    ]
    assert untold[-1] == "left"
    arrival, left = place(encoded_take, "participant_joined"), place(encoded_take, "participant_left")
    assert not redacted[arrival:left, 1].any()
    assert tone_level(redacted[left + RATE // 4 :, 1], LINE) > 0.2, "the others go on"


@pytest.mark.long
@pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])
def test_third_party_returns_if_the_daemon_dies(system: Rig, mode: Line) -> None:
    talk, sounds = start_talk(system, mode)
    add_third_party(talk)
    talk.until_marked("transfer_question_finished")
    system.kill_daemon()
    try:
        until("they are in it again", lambda: recent_level(talk, SECOND) > 0.2, 15)
    finally:
        system.start_daemon()
        system.wait_watching()
    if mode == OPT_IN:
        talk.until_marked("transfer_question_refused")
    else:
        talk.until_marked("transfer_question_finished", 2)
        talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 2")
        talk.until_marked("transfer_question_refused")
    encoded_take, _raw, redacted = kept_audio(talk, sounds)
    assert not redacted[place(encoded_take, "participant_joined", 0) :, 1].any()
    assert talk.call.alive()


@pytest.mark.long
def test_internal_party_hangs_up_during_the_question(system: Rig) -> None:
    """As without a question: the third party stays as long as the internal party does."""
    talk, _sounds = start_talk(system, OPT_IN)
    add_third_party(talk)
    talk.until_marked("transfer_question_finished")
    third = talk.phone(SECOND)
    talk.phones(f"uuid_kill {talk.phone()}")
    talk.until_marked("transfer_question_refused")
    until("nobody is left alone", lambda: third not in talk.phones("show channels"), 20)
