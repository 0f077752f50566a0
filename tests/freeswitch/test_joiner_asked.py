"""Who joins is asked, on a real switch, by telephones outside it: which keys count, what both hear, and what
of the joiner is in the recording, by its samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from recorder.take.encode import WAV, encode
from recorder.take.encoded import Encoded
from tests.freeswitch.colleagues import LINE, SECOND, THIRD, TONES, Talk, configuration, lines, tones
from tests.freeswitch.sound import heard_among
from tests.freeswitch.switches import RATE, Rig, heard_whole, level, read_wav, until
from tests.freeswitch.test_room import consult, in_room, meets
from tests.scenarios.definitions import Line
from tests.scenarios.files import LOWS, Sounds, chirp

QUESTION, REFUSED = (chirp(low=LOWS[name]) for name in ("joining", "declined"))
OPT_IN: Line = "joining_opt_in"
OPT_OUT: Line = "joining_opt_out"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("house")
    rig = Rig(folder / "rig", configuration(folder))
    tones(rig)
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def nobody_is_left(house: Rig) -> Iterator[None]:
    yield
    house.hang_up_all()


def speaks(house: Rig, name: Line) -> tuple[Talk, Sounds]:
    """A caller has agreed, or not refused, and speaks with the first colleague."""
    sounds = lines(house, name)
    talk = Talk(house, house.call(LINE))
    if name == OPT_IN:
        talk.until_marked("asked")
        time.sleep(0.3)
        talk.call.key("1")
    talk.until_marked("bridged")
    time.sleep(1)
    return talk, sounds


def is_kept(talk: Talk, sounds: Sounds) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """The take, its sound as the switch left it, and as it is kept."""
    take = talk.call.wait_take()
    take = replace(take, start=replace(take.start, formats=("wav",)))
    made = encode(take, sounds.paths["told"])
    return made, read_wav(take.audio), read_wav(take.folder / WAV)


def place(made: Encoded, kind: str, number: int = -1) -> int:
    """Where a mark is, in samples."""
    return [mark.offset_ms for mark in made.markers if mark.kind == kind][number] * RATE // 1000


def says(samples: np.ndarray, number: str) -> float:
    """How loud somebody's tone is, at the loudest."""
    return float(level(samples, TONES[number]).max(initial=0))


def nothing_of_the_joiner(made: Encoded, raw: np.ndarray, kept: np.ndarray, start: int, end: int) -> None:
    """Right is silent from ``start`` to ``end``, where the switch had recorded them; left is as it was."""
    assert says(raw[start:end, 1], SECOND) > 0.2, "they did say something"
    assert not kept[start:end, 1].any()
    assert np.array_equal(kept[start:end, 0], raw[start:end, 0])
    gaps = [gap for gap in made.gaps if gap.reason == "joiner_not_agreed"]
    assert {gap.channel for gap in gaps} == {"right"}
    assert any(gap.start_ms <= start * 1000 // RATE and gap.end_ms * RATE // 1000 >= end for gap in gaps)


def test_a_yes_is_kept_from_then_on(house: Rig) -> None:
    talk, sounds = speaks(house, OPT_IN)
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("joined_asked")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 1")
    talk.until_marked("joined_answered")
    time.sleep(2)
    talk.call.hang_up()
    made, raw, kept = is_kept(talk, sounds)
    joined, yes = place(made, "bridged"), place(made, "joined_answered")
    nothing_of_the_joiner(made, raw, kept, joined, yes)
    assert says(kept[yes + RATE // 2 :, 1], SECOND) > 0.2
    assert says(kept[:joined, 1], LINE) > 0.2
    theirs = house.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    assert heard_whole(read_wav(theirs)[:, 0], QUESTION)
    later = read_wav(talk.call.heard_by_caller)[-8 * RATE :, 0]
    assert not heard_whole(later, QUESTION), "the caller does not hear it"


@pytest.mark.long
def test_a_no_ends_it_and_both_hear_so(house: Rig) -> None:
    talk, sounds = speaks(house, OPT_OUT)
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("joined_asked")
    talk.call.key("2")
    time.sleep(1)
    assert not talk.marks("joined_refused"), "the caller's key is none of theirs"
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} 2")
    talk.until_marked("joined_refused")
    made, raw, kept = is_kept(talk, sounds)
    time.sleep(2)
    assert talk.call.alive()
    assert house.recorded_now() == set()
    joined = place(made, "bridged")
    nothing_of_the_joiner(made, raw, kept, joined, len(kept))
    assert says(kept[:joined, 1], LINE) > 0.2
    theirs = read_wav(house.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav")[:, 0]
    both = read_wav(talk.call.heard_by_caller)[-12 * RATE :, 0]
    for heard in (theirs, both):
        assert heard_whole(heard, QUESTION)
        assert heard_whole(heard, REFUSED)


@pytest.mark.long
def test_in_a_conference(house: Rig) -> None:
    """One after the other; the switch tells of a member's keys, and a no of one ends it for all."""
    talk, sounds = speaks(house, OPT_IN)
    meets(talk, "meet-a")
    time.sleep(1)
    second = talk.rings_up(SECOND, "meet-a")
    talk.until_marked("joined_asked")
    time.sleep(0.5)
    talk.phones(f"uuid_send_dtmf {second} 1")
    talk.until_marked("joined_answered")
    time.sleep(1.5)
    third = talk.rings_up(THIRD, "meet-a")
    talk.until_marked("joined_asked", 2)
    time.sleep(0.5)
    talk.phones(f"uuid_send_dtmf {third} 2")
    talk.until_marked("joined_refused")
    assert talk.call.alive()
    made, raw, kept = is_kept(talk, sounds)
    nothing_of_the_joiner(made, raw, kept, place(made, "joined_room", 1), place(made, "joined_answered"))
    came = place(made, "joined_room", 2)
    assert says(kept[place(made, "joined_answered") + RATE // 2 : came - RATE // 2, 1], SECOND) > 0.2
    assert says(raw[came:, 1], THIRD) > 0.2
    assert not kept[came:, 1].any()
    for leg in (second, third):
        heard = read_wav(house.phones_folder / f"colleague-{leg}.wav")[:, 0]
        assert heard_among(heard, QUESTION)
    until("they hear that it is not", lambda: heard_among(
        read_wav(house.phones_folder / f"colleague-{third}.wav")[:, 0], REFUSED), 10)  # fmt: skip
    assert in_room(made.take)[:3] == ["+01", "+91", "+92"]


@pytest.mark.long
def test_a_third_one_is_told_that_it_is_not_recorded(house: Rig) -> None:
    """The switch does not tell of their keys, so nobody can ask them."""
    talk, sounds = speaks(house, OPT_OUT)
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} 0")
    talk.until_marked("joined_refused")
    made, raw, kept = is_kept(talk, sounds)
    assert talk.call.alive()
    came = place(made, "joined_room")
    assert not kept[came:, 1].any()
    assert np.array_equal(kept[came:, 0], raw[came:, 0])
    (refused,) = (mark for mark in made.markers if mark.kind == "joined_refused")
    assert refused.data["answer"] == "unasked"
    path = house.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    until("they hear that it is not", lambda: heard_among(read_wav(path)[:, 0], REFUSED), 10)
