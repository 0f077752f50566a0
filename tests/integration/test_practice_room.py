"""A room by telephone on the practice switch: the conference follows the room, its keys change it, and nobody
hears a second that was not granted."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.sound import Samples
from demo.practice.switch import CONF, PracticeSwitch
from recorder.features.disputes.service import Disputes
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.identity import users
from recorder.seal.dispute_kinds import UNSETTLED, OutcomeConfirmed
from tests.telephone_room import GUEST, NEUTRAL, PART, PASSAGE, STRANGER, TelephoneRoom, place_of

FRAME = 160

FITS = 0.6
"""How well a piece of what is heard must fit: on a busy machine the practice switch leaves frames out."""


class Ear:
    """What a call's party hears, from now on."""

    def __init__(self, call: PracticeCall) -> None:
        self.call = call
        self.frames: list[Samples] = []
        call.media.ear = self.frames.append

    def wait_frames(self, count: int) -> np.ndarray:
        """So many frames from now on."""
        start = len(self.frames)
        wait(lambda: len(self.frames) >= start + count)
        return np.concatenate(self.frames[start : start + count])

    @property
    def is_silent(self) -> bool:
        return not any(frame.any() for frame in self.frames)


class Site(TelephoneRoom):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "house")
        conf = folder / "conf"
        shutil.copytree(CONF, conf)
        self.write_extensions(conf)
        self.switch = PracticeSwitch(password="x" * 12, daemon="127.0.0.1:1", environment={}, conf=conf)
        self.switch.start()
        self.connect(self.switch.event_port, "x" * 12)

    def call(self, number: str) -> Ear:
        return Ear(self.switch.call(number, PracticeParty(number="+32470000001")))

    @property
    def conference(self):
        return self.switch.conferences.get(f"accord-room-{self.id}")

    def has_sound(self, members: int) -> bool:
        found = self.conference
        return (
            found is not None
            and len(found.members) == members
            and bool(found._sounds)
            and not any(each.is_deaf for each in found.members.values())
        )

    def close(self) -> None:
        super().close()
        self.switch.stop()


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def row(site: Site):
    return site.rooms.find(site.tenant, site.id, site.recording)


def test_callers_hear_what_the_room_plays_and_where_it_is(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    assert not list(site.folder.iterdir()), "the switch has opened it"
    assert jan.is_silent
    sound = site.sound()
    site.command("play", position_ms=1000)
    wait(lambda: not jan.is_silent)
    for position in (12_000, 5000):
        site.command("seek", position_ms=position)
        at = row(site).at_ms
        wait(lambda at=at: site.rooms.now_ms() > at + 200)
        piece, begin = jan.wait_frames(50), site.rooms.now_ms()
        place, score = place_of(piece, sound)
        assert score > FITS
        # The piece began a second before it had been heard.
        assert place == pytest.approx(row(site).position_at(begin - 1000, site.duration_ms), abs=150)
    site.command("pause")
    wait(lambda: site.conference._sounds[0].paused)
    assert not jan.wait_frames(20)[5 * FRAME :].any()
    site.command("play", position_ms=12_000)
    wait(lambda: jan.frames[-1].any())
    place, score = place_of(jan.wait_frames(50), sound)
    assert score > FITS
    assert 12_000 <= place < 12_500


def test_keys_change_the_room_by_its_rules(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    (member,) = [each for each in site.rooms.members(site.tenant, site.id) if each.by_telephone]
    jan.call.press("5")
    wait(lambda: row(site).playing)
    assert row(site).leader == member.user
    jan.call.press("3")
    wait(lambda: row(site).position_ms > 9000)
    jan.call.press("1")
    wait(lambda: row(site).position_ms < 5000)
    site.rooms.note_presence(site.tenant, site.id, "claire", ready=True)
    site.command("lead")
    seq = row(site).seq
    jan.call.press("3")  # somebody else leads
    jan.call.press("2")  # a pause is never refused
    wait(lambda: not row(site).playing)
    assert row(site).seq == seq + 1
    jan.call.press("9")
    wait(lambda: row(site).leader == member.user)
    site.command("lead")
    jan.call.press("8")
    disputes = Disputes(site.house.changes)
    wait(lambda: len(disputes.find(site.tenant, site.id).passages) == 3)
    assert disputes.find(site.tenant, site.id).passages[-1].text == "Marked on the telephone"


def test_caller_hears_the_keys_again_and_nobody_else_does(site: Site) -> None:
    jan, nora = site.call(GUEST), site.call(NEUTRAL)
    wait(lambda: site.has_sound(2))
    jan.call.press("0")
    wait(lambda: not jan.is_silent)
    wait(lambda: not jan.wait_frames(5).any())
    assert nora.is_silent


def test_caller_hears_why_a_key_was_refused(site: Site) -> None:
    site.write_sentence("led")
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.rooms.note_presence(site.tenant, site.id, "claire", ready=True)
    site.command("lead")
    assert jan.is_silent
    jan.call.press("3")
    wait(lambda: not jan.is_silent)


def test_callers_hear_who_comes(site: Site) -> None:
    site.write_sentence("joined-helper")
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    nora = site.call(NEUTRAL)
    wait(lambda: not jan.is_silent)
    assert nora.is_silent


def test_outcome_is_read_out_and_confirmed_with_a_key(site: Site) -> None:
    site.write_sentence("confirm")
    site.speak()
    jan, nora = site.call(GUEST), site.call(NEUTRAL)
    wait(lambda: site.has_sound(2))
    sha256 = site.write_outcome()
    announcer = site.worker._conferences[site.id]._announcer
    numbers = {each.call: str(number) for number, each in site.conference.members.items()}
    wait(lambda: announcer.find_question(numbers[jan.call]) == sha256, 60)
    assert not jan.is_silent
    assert nora.is_silent, "who was not in the call has nothing to confirm"
    assert site.confirmation() is None
    nora.call.press("1")
    jan.call.press("1")
    wait(lambda: site.confirmation() is not None)
    assert site.confirmation() == OutcomeConfirmed(sha256, "telephone", site.sessions[GUEST])
    assert Disputes(site.house.changes).find(site.tenant, site.id).outcome.agreed_at is not None
    assert not list(site.folder.iterdir())


def test_room_is_at_normal_speed_while_somebody_listens_by_telephone(site: Site) -> None:
    site.command("rate", rate=125)
    site.call(GUEST)
    wait(lambda: site.has_sound(1))
    assert row(site).rate == 100


def test_stranger_hears_nothing_and_is_hung_up_on(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.command("play")
    wait(lambda: not jan.is_silent)
    stranger = site.call(STRANGER)
    assert stranger.call.wait("ended", 20)
    assert stranger.is_silent
    assert jan.wait_frames(50).any()


def test_who_comes_later_has_the_sound_written_anew(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.command("play", position_ms=2000)
    wait(lambda: not jan.is_silent)
    nora = site.call(NEUTRAL)
    wait(lambda: site.has_sound(2))
    wait(lambda: not nora.is_silent)
    wait(lambda: jan.frames[-1].any() and nora.frames[-1].any())
    assert not list(site.folder.iterdir())


def test_everybody_hears_what_each_may_hear_and_more_once_one_has_left(site: Site) -> None:
    jan = site.call(GUEST)
    ann = site.call(PART)
    wait(lambda: site.has_sound(2))
    site.command("play", position_ms=PASSAGE[0] - 2000)
    wait(lambda: row(site).position_at(site.rooms.now_ms(), site.duration_ms) > PASSAGE[0] - 300)
    assert jan.is_silent
    assert ann.is_silent
    wait(lambda: jan.frames[-1].any() and ann.frames[-1].any())
    wait(lambda: row(site).position_at(site.rooms.now_ms(), site.duration_ms) > PASSAGE[1] + 300)
    assert not ann.wait_frames(20).any()
    ann.call.hang_up()
    site.command("seek", position_ms=1000)
    wait(lambda: jan.frames[-1].any())


def test_everybody_falls_silent_once_the_dispute_is_closed(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.command("play")
    wait(lambda: not jan.is_silent)
    handler = users.user(site.tenant, site.dispute.opened_by.id or "")
    assert handler is not None
    Disputes(site.house.changes).close(handler, site.id, UNSETTLED)
    assert jan.call.wait("ended", 20)
    assert site.conference is None


def test_next_worker_empties_the_folder_and_begins_with_no_sound(site: Site) -> None:
    jan = site.call(GUEST)
    wait(lambda: site.has_sound(1))
    site.command("play")
    wait(lambda: not jan.is_silent)
    assert site.worker is not None
    site.worker.stop()  # as if it had died: the switch plays on
    left = site.folder / "left.wav"
    left.write_bytes(b"a sound")
    first = site.conference._sounds[0]
    site.start_worker()
    wait(lambda: not left.exists())
    wait(lambda: site.conference._sounds and site.conference._sounds[0] is not first)
    wait(lambda: not list(site.folder.iterdir()))


def test_sound_for_somebody_who_has_left_meanwhile_is_removed(site: Site) -> None:
    begin, go = threading.Event(), threading.Event()

    class SlowFolder(SoundFolder):
        def write(self, pieces: Iterator[bytes]) -> Path:
            begin.set()
            assert go.wait(20)
            return super().write(pieces)

        def empty(self) -> None:
            """Not this time."""

    assert site.worker is not None
    site.worker.folder = SlowFolder(site.folder)
    jan = site.call(GUEST)
    wait(begin.is_set)
    jan.call.hang_up()
    wait(lambda: not site.worker._conferences)
    go.set()
    site.worker.writers.shutdown(wait=True)
    assert not list(site.folder.iterdir())


def test_switch_ends_a_sound_that_no_worker_attends_to(site: Site) -> None:
    site.call(GUEST)
    wait(lambda: site.has_sound(1))
    assert site.worker is not None
    site.worker.stop()
    group = f"accord-room-{site.id}"
    assert [each for each, _greenlet in site.switch._scheduled.values()] == [group]
    wait(lambda: not site.conference._sounds, 40)
