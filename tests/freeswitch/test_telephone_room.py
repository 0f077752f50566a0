"""A room by telephone on the real switch: where its callers are in the recording, by what they hear."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gevent
import numpy as np
import pytest
import soundfile

from recorder.domain.telephone_room import UNATTENDED_SECONDS
from recorder.seal.dispute_kinds import OutcomeConfirmed
from tests.conference_steps import actions_of
from tests.freeswitch.process import Switch, binary, event_time, free_ports, rtp_ports
from tests.freeswitch.switches import CONF, PASSWORD
from tests.telephone_room import GUEST, NEUTRAL, RATE, TelephoneRoom, place_of

pytestmark = pytest.mark.skipif(binary() is None, reason="needs FreeSWITCH")

FITS = 0.6
"""How well a piece must fit its place in the recording: on a busy machine a telephone misses frames."""

APART_MS = 60
"""How far callers may be apart."""

STEADY_MS = 40
"""How differently far from the room's position they may be after each jump and pause. How far that is by
itself cannot be told: a recording begins some time after its event."""

LATE_MS = 300
"""… but no further than that."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A caller's leg, and the file of what they hear."""

    uuid: str
    file: Path


class Site(TelephoneRoom):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "house")
        conf = folder / "conf"
        shutil.copytree(CONF, conf)
        self.write_extensions(conf)
        self.sip, esl, outbound = free_ports(3)
        first = rtp_ports()
        environment = {
            "ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(esl),
            "ACCORD_SIP_PORT": str(self.sip), "ACCORD_OUTBOUND_PORT": str(outbound),
            "ACCORD_RTP_START": str(first), "ACCORD_RTP_END": str(first + 400),
        }  # fmt: skip
        self.switch = Switch(folder / "switch", conf, environment, esl, PASSWORD)
        self.switch.start()
        self.files = folder
        self.esl = self.switch.esl
        assert self.esl.command("event plain RECORD_START CUSTOM conference::maintenance").startswith("+OK")
        self.connect(esl, PASSWORD)

    def call(self, number: str) -> Leg:
        file = self.files / f"{number}.wav"
        where = f"{{absolute_codec_string=PCMU}}sofia/accord/{number}@127.0.0.1:{self.sip}"
        return Leg(self.esl.api(f"originate {where} &record({file})").removeprefix("+OK ").strip(), file)

    def has_sound(self, members: int) -> bool:
        """Whether so many callers hear what is loaded."""
        conference = f"conference accord-room-{self.id}"
        is_loaded = self.esl.api(f"{conference} play_status").startswith("+OK")
        return is_loaded and self.esl.api(f"{conference} list").count("hear|") == members

    def count(self, action: str) -> int:
        return actions_of(self.esl.drain(0.01)).count(action)

    def piece_of(self, leg: Leg, begin_ms: int, length_ms: int) -> np.ndarray:
        """What a caller heard from a time on, by the switch's clock."""
        (start,) = (
            event_time(each)
            for each in self.esl.events
            if each["Event-Name"] == "RECORD_START" and each.get("Record-File-Path") == str(leg.file)
        )
        samples, rate = soundfile.read(leg.file, dtype="int16")
        assert rate == RATE
        first = (begin_ms - start // 1000) * RATE // 1000
        return np.asarray(samples[first : first + length_ms * RATE // 1000])

    def close(self) -> None:
        super().close()
        self.switch.stop()


def wait(condition: Callable[[], object], seconds: float = 15) -> None:
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.02)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def test_callers_are_where_the_room_is_and_close_to_each_other(site: Site) -> None:
    legs = [site.call(number) for number in (GUEST, NEUTRAL)]
    wait(lambda: site.has_sound(2))
    places = [("play", 1000), ("seek", 12_000), ("seek", 8000), ("pause", None), ("play", 15_000)]
    landings = []
    for action, position in places:
        site.command(action, **({} if position is None else {"position_ms": position}))
        room = site.rooms.find(site.tenant, site.id, site.recording)
        landings.append(room)
        wait(lambda room=room: site.rooms.now_ms() > room.at_ms + 2000)
    for leg in legs:
        site.esl.api(f"uuid_kill {leg.uuid}")
    wait(lambda: site.count("conference-destroy"))
    sound = site.sound()
    late = []
    for room in landings:
        pieces = [site.piece_of(leg, room.at_ms + 300, 1500) for leg in legs]
        if not room.playing:
            assert all(np.abs(piece).max() < 50 for piece in pieces), "paused"
            continue
        found = [place_of(piece, sound) for piece in pieces]
        assert all(score > FITS for _place, score in found)
        (first, _), (second, _) = found
        assert abs(first - second) <= APART_MS
        late.append(room.position_ms + 300 - first)
    assert max(late) - min(late) <= STEADY_MS
    assert all(abs(each) <= LATE_MS for each in late)


def test_switch_ends_the_sound_of_a_worker_that_has_died(site: Site) -> None:
    leg = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.command("play")
    assert site.worker is not None
    assert not list(site.folder.iterdir())
    site.worker.stop()
    site.esl.events.clear()
    wait(lambda: site.count("play-file-done"), UNATTENDED_SECONDS + 5)
    assert site.esl.api(f"uuid_exists {leg.uuid}") == "true"


PIECES = 6
"""Pieces of a sentence; half of them must be heard, in their order."""


def has_heard(leg: Leg, sentence: Path) -> bool:
    """Whether a caller has heard a sentence, of which a busy machine, and a leg that sends a key, miss
    frames."""
    if not leg.file.exists() or leg.file.stat().st_size < RATE:
        return False  # just made
    sound, words = (soundfile.read(each, dtype="int16")[0] for each in (leg.file, sentence))
    length = len(words) * 1000 / RATE / PIECES
    places = [place_of(piece, sound) for piece in np.array_split(words, PIECES)]
    begins = [place - length * number for number, (place, score) in enumerate(places) if score > FITS]
    return sum(abs(each - np.median(begins)) < APART_MS * 5 for each in begins) >= PIECES // 2


def test_callers_alone_hear_who_comes_and_what_becomes_of_their_keys(site: Site) -> None:
    site.write_sentences()
    site.rooms.note_presence(site.tenant, site.id, "claire", ready=True)
    site.command("lead")
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    nora = site.call(NEUTRAL)
    names = {"joined-helper": "", "led": "3", "leading": "9", "other-key": "4", "unmarked": "8", "keys": "0"}
    sentences = {name: site.sentences / f"{name}-en.wav" for name in names}
    for name, key in names.items():
        if key:
            site.esl.api(f"uuid_send_dtmf {jan.uuid} {key}")
        wait(lambda name=name: has_heard(jan, sentences[name]), 30)
    site.esl.api(f"uuid_kill {nora.uuid}")
    wait(lambda: has_heard(jan, site.sentences / "left-en.wav"), 30)
    assert [name for name, path in sentences.items() if has_heard(nora, path)] == []


def test_a_key_ends_what_a_caller_hears_of_another_one(site: Site) -> None:
    site.write_sentences()
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    for key in "00":
        site.esl.api(f"uuid_send_dtmf {jan.uuid} {key}")
    site.esl.events.clear()
    wait(lambda: site.count("play-file-member"))
    site.esl.api(f"uuid_send_dtmf {jan.uuid} 4")
    wait(lambda: has_heard(jan, site.sentences / "other-key-en.wav"))
    assert not has_heard(jan, site.sentences / "keys-en.wav")


def test_who_may_hear_nothing_yet_hears_what_they_are_told(site: Site) -> None:
    site.write_sentences()
    site.folder.chmod(0o2777)  # no sound is written into a folder that is open to everybody
    jan = site.call(GUEST)
    wait(lambda: has_heard(jan, site.sentences / "unheard-en.wav"), 30)
    assert not site.has_sound(1)


def test_outcome_that_is_read_out_is_confirmed_by_whom_it_asks(site: Site) -> None:
    site.write_sentences()
    site.speak()
    jan, nora = site.call(GUEST), site.call(NEUTRAL)
    wait(lambda: site.has_sound(2))
    site.command("play", position_ms=1000)
    sha256 = site.write_outcome()
    confirm, confirmed = (site.sentences / f"{name}-en.wav" for name in ("confirm", "confirmed"))
    wait(lambda: has_heard(jan, confirm), 60)
    assert not site.rooms.find(site.tenant, site.id, site.recording).playing
    for leg in (nora, jan):
        site.esl.api(f"uuid_send_dtmf {leg.uuid} 1")
    wait(lambda: has_heard(jan, confirmed), 30)
    assert site.confirmation() == OutcomeConfirmed(sha256, "telephone", site.sessions[GUEST])
    assert not any(has_heard(nora, each) for each in (confirm, confirmed))


SPOKEN_MS = 11_000
"""Before, there is the announcement, which is no secret."""

PIECE = 64
"""Samples that no other file has by chance."""


def test_no_byte_of_the_sound_is_on_a_disk(site: Site) -> None:
    """During a room and after it: spool, store, the switch's folders, and what it has open."""
    leg = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    begin = site.rooms.now_ms()
    sound = site.sound()
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 2000)
    loud = loud[loud > SPOKEN_MS * RATE // 1000]
    places = loud[:: max(1, len(loud) // 40)][:40]
    pieces = [sound[each : each + PIECE].astype("<i2").tobytes() for each in places]
    pieces = [each for each in pieces if len({*each}) > PIECE // 2]
    assert len(pieces) > 10

    def has_sound(path: Path) -> bool:
        data = path.read_bytes()
        return any(each in data for each in pieces)

    def found() -> list[Path]:
        return [each for each in site.files.rglob("*") if each.is_file() and has_sound(each)]

    sample = site.files / "sample"
    sample.write_bytes(sound.astype("<i2").tobytes())
    assert found() == [sample], "what is there is found"
    sample.unlink()
    site.command("play", position_ms=SPOKEN_MS)
    wait(lambda: site.rooms.now_ms() > begin + 4000)
    assert found() == []
    assert site.switch.process is not None
    fds = [each for each in Path(f"/proc/{site.switch.process.pid}/fd").iterdir() if each.is_file()]
    holders = [each.readlink() for each in fds if has_sound(each)]
    assert holders, "the switch plays it"
    assert all(each.is_relative_to(site.folder) for each in holders)
    site.esl.api(f"uuid_kill {leg.uuid}")
    wait(lambda: site.count("conference-destroy"))
    assert found() == []
