"""What is at the far end on a real switch: another line of it, which announces too, or a machine that talks
while the announcement plays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio.encoding import encode
from recorder.clock import utc_now
from recorder.domain.line_policy import (
    AT_PICKUP,
    BEFORE_CONNECTED,
    BEFORE_RINGING,
    ONCE_CONNECTED,
    LinePolicy,
)
from recorder.spool import layout
from recorder.spool.snapshot import INDEX, write_snapshot
from tests.freeswitch.lines import configuration, extension
from tests.freeswitch.outbound_call import LINE, call_out
from tests.freeswitch.sound import heard_among
from tests.freeswitch.switches import NUMBER, RATE, Rig, chirp, read_wav, until
from tests.scenarios.files import LOWS, SAYS_YES, Sounds
from tests.scenarios.files import chirp as tuned_chirp

OWN = f"{NUMBER}05"
"""A number that the switch's outbound route leads back to itself."""

FIRST, SECOND = "announcement_nl", "announcement"
"""The sounds of the line that is called, and of the line that calls."""

LONG = chirp(4.0)
"""An announcement that is long enough to be searched for another prompt."""


@pytest.fixture(scope="module")
def own_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("far_end")
    target = f"sofia/accord/{OWN}@$${{accord_sip_ip}}:$${{accord_sip_port}}"
    route = extension("own", OWN, "set:hangup_after_bridge=true", f"bridge:{target}")
    conf = configuration(folder, {"outbound/85_own.xml": route})
    with Rig(folder / "rig", conf).run() as rig:
        yield rig


@pytest.fixture
def own(own_rig: Rig) -> Iterator[Rig]:
    yield own_rig
    own_rig.hang_up_all()
    shutil.rmtree(own_rig.spool / "ended", ignore_errors=True)


def set_lines(rig: Rig, timing: str, outbound: str, mode: str = "out") -> Sounds:
    sounds = Sounds(rig.snapshot / "prompts")
    caller_line: LinePolicy = replace(sounds.line(mode, LINE), outbound=outbound)  # type: ignore[arg-type]
    callee_line = LinePolicy("t2", "called", OWN, "notice", timing, ("opus",), sounds.announcement(FIRST))
    read = count_reads(rig)
    write_snapshot(rig.snapshot, [caller_line, callee_line], [], utc_now())
    until("the snapshot is read", lambda: count_reads(rig) > read)
    return sounds


def count_reads(rig: Rig) -> int:
    return (rig.folder / "daemon.log").read_bytes().count(b"snapshot.read")


def takes(rig: Rig, before: set[Path]) -> dict[str, layout.Take]:
    """Return the two takes of a call that has ended, by the number of their line."""

    def ended() -> list[Path]:
        folders = [path.parent for path in rig.spool.glob(f"*/{layout.END}") if path.parent not in before]
        return folders if len(folders) == 2 else []

    folders = until("both takes are closed", ended, 20)
    assert isinstance(folders, list)
    return {take.start.number: take for take in map(layout.read_take, folders)}


def closed(rig: Rig) -> set[Path]:
    return {path.parent for path in rig.spool.glob(f"*/{layout.END}")}


def place_of(samples: np.ndarray, sound: np.ndarray) -> int | None:
    """Return the sample at which a sound is heard, by its correlation."""
    size = len(samples) + len(sound)
    alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(sound, size)), size)[: len(samples)]
    best = int(np.argmax(alike))
    return best if alike[best] > 0.7 * float(sound @ sound) else None


def kinds(rig: Rig, number: str, before: set[Path]) -> list[str]:
    for path in rig.spool.glob(f"*/{layout.CALL}"):
        if path.parent not in before and layout.read_start(path.parent).number == number:
            return [marker.kind for marker in layout.read_markers(path.parent)]
    return []


@pytest.mark.parametrize("timing", [BEFORE_RINGING, AT_PICKUP])
@pytest.mark.parametrize("outbound", [BEFORE_CONNECTED, ONCE_CONNECTED])
def test_each_of_two_lines_announces_in_turn(own: Rig, timing: str, outbound: str) -> None:
    sounds = set_lines(own, timing, outbound)
    before = closed(own)
    call = call_out(own, OWN)
    until("the second line has announced", lambda: "announcement_finished" in kinds(own, LINE, before), 25)
    until("the first one has, too", lambda: "announcement_finished" in kinds(own, OWN, before), 1)
    until("their parties talk", lambda: call.heard_by_callee.exists(), 5)
    call.hang_up()
    ended = takes(own, before)
    first, second = (tuned_chirp(low=LOWS[name]) for name in (FIRST, SECOND))
    caller = read_wav(call.heard_by_caller)[:, 0]
    places = [place_of(caller, sound) for sound in (first, second)]
    assert None not in places, "the caller has not heard both announcements"
    assert places[0] + len(first) <= places[1], "they were played over one another"  # type: ignore[operator]
    assert heard_among(read_wav(call.heard_by_callee)[:, 0], second), "the called party was not told"
    for number, other, name in ((OWN, second, FIRST), (LINE, first, SECOND)):
        take = ended[number]
        assert (take.end.outcome, take.end.reason) == ("recorded", None), [m.kind for m in take.markers]
        announced = encode(take, sounds.paths[name]).announced
        assert announced is not None
        start, stop = (ms * RATE // 1000 for ms in (announced.offset_ms, announced.end_ms))
        left = read_wav(take.audio)[start:stop, 0]
        assert place_of(np.pad(left, (len(other), len(other))), other) is None, f"{number} was talked over"


def test_calling_line_that_must_ask_gives_way(own: Rig) -> None:
    """Nobody could be asked once the two are connected: the calling line is not recorded, and says why."""
    set_lines(own, BEFORE_RINGING, BEFORE_CONNECTED, "out_opt_in")
    before = closed(own)
    call = call_out(own, OWN)
    until("the called line has announced", lambda: "bridged" in kinds(own, OWN, before), 25)
    until("the called party answers", lambda: call.heard_by_callee.exists(), 5)
    call.hang_up()
    ended = takes(own, before)
    assert (ended[OWN].end.outcome, ended[LINE].end.reason) == ("recorded", "announcement_failed")
    assert place_of(read_wav(call.heard_by_caller)[:, 0], tuned_chirp(low=LOWS[FIRST])) is not None


# --- a machine


def speech(seconds: float, quiet: float) -> np.ndarray:
    """A machine's greeting, and its silence after that."""
    clips = sorted((Path(__file__).parents[2] / "recorder/prompts/sounds/en").glob("*.flac"))
    parts = [soundfile.read(clip, dtype="float32")[0] for clip in clips[:12]]
    rate = soundfile.info(clips[0]).samplerate
    whole = np.concatenate(parts)[: int(seconds * rate)]
    narrow = np.interp(np.arange(int(len(whole) * RATE / rate)) * rate / RATE, np.arange(len(whole)), whole)
    return np.concatenate([narrow, np.zeros(int(quiet * RATE))])


def say(rig: Rig, sound: np.ndarray) -> None:
    """What calling phones say from now on, once they are answered."""
    soundfile.write(rig.phones_folder / "caller.wav", sound, RATE)


@pytest.fixture
def machine(own: Rig) -> Iterator[Rig]:
    read, index = count_reads(own), (own.snapshot / INDEX).read_bytes()
    own.write_snapshot(LONG)
    if (own.snapshot / INDEX).read_bytes() != index:
        until("the snapshot is read", lambda: count_reads(own) > read)
    yield own
    own.write_sounds()


def test_announcement_is_repeated_after_a_machine(machine: Rig) -> None:
    say(machine, speech(7.0, 20.0))
    call = machine.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    call.hang_up()
    take = call.wait_take()
    markers = [marker.kind for marker in take.markers]
    assert markers.count("announcement_started") == 2, markers
    assert [
        marker.data["reason"] for marker in take.markers if marker.kind == "announcement_interrupted"
    ] == ["talked_over"]
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    announced = encode(take, machine.snapshot / "prompts" / f"{take.start.announcement.sha256}.wav").announced  # type: ignore[union-attr]
    assert announced is not None
    assert announced.offset_ms > 7000, "the playing that nobody heard counts"
    left = read_wav(take.audio)[announced.offset_ms * RATE // 1000 : announced.end_ms * RATE // 1000, 0]
    assert np.abs(left).max() < 0.02, "the machine still talks"


def test_announcement_that_was_never_heard_in_the_clear_does_not_count(machine: Rig) -> None:
    say(machine, np.tile(speech(20.0, 0.0), 2))
    call = machine.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 40)
    call.hang_up()
    take = call.wait_take()
    markers = [marker.kind for marker in take.markers]
    assert markers.count("announcement_started") == 2, markers
    prompt = machine.snapshot / "prompts" / f"{take.start.announcement.sha256}.wav"  # type: ignore[union-attr]
    assert encode(take, prompt).announced is None


def test_person_who_says_hello_hears_it_once(machine: Rig) -> None:
    hello, rate = soundfile.read(SAYS_YES, dtype="float32")
    assert rate == RATE
    say(machine, np.concatenate([np.zeros(RATE // 2), hello, np.zeros(RATE), hello, np.zeros(20 * RATE)]))
    call = machine.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    call.hang_up()
    take = call.wait_take()
    assert [marker.kind for marker in take.markers].count("announcement_started") == 1
    prompt = machine.snapshot / "prompts" / f"{take.start.announcement.sha256}.wav"  # type: ignore[union-attr]
    assert encode(take, prompt).announced is not None
