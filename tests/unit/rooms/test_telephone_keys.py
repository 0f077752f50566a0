"""Keys of callers in a room: each in every state, by two at once, and what the caller is told; who comes and
goes; and the outcome that is read out and confirmed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.domain.telephone_room import RoomAnswer, RoomMember, RoomReport, RoomRequest
from recorder.errors import DisputeError
from recorder.features.rooms.announcer import ProposedOutcome, RoomPerson, TelephoneListener
from recorder.features.rooms.rules import Room, RoomCommand
from recorder.features.rooms.service import Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.rooms.telephone import LOOK, WATCH, RoomConference, TelephoneRooms
from recorder.playback.interface import Actor, Grant
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from tests.tone_speech import Tone

TENANT, ROOM, CALL = "tenant", "01930000-0000-7000-8000-0000000000d1", "call"
LENGTH = 60_000
NOW = datetime(2026, 12, 3, 9, tzinfo=UTC)
EVERY_KEY = "0123456789*#"
PROPOSAL = ProposedOutcome("a" * 64, "anew", "Delivery on Friday.", 365)


class BusyRooms(Rooms):
    """Rooms in which somebody else gives a command between a caller's look and their command."""

    between: RoomCommand | None = None

    def find(self, tenant: str, room: str, recording: str) -> Room:
        found = super().find(tenant, room, recording)
        if (command := BusyRooms.between) is not None:
            BusyRooms.between = None
            self.command(found, command, "claire", seq=found.seq, durations={CALL: LENGTH})
        return found


class Memory(SoundFolder):
    """Any folder."""

    def check(self) -> None:
        """This one will do."""


class Gate:
    """Lets everybody hear everything."""

    def grant(self, who: Actor, recording: str, purpose: str) -> Grant:
        until = NOW + timedelta(days=999)
        return Grant("grant", TENANT, who.user, who.session, recording, purpose, "0" * 64, until, 1)

    def close(self, *_: object) -> None: ...

    def heard_together(self, _: object) -> None: ...

    def open_together(self, _: object) -> Iterator[bytes]:
        return iter([bytes(320)])


class Callers:
    """Jan, and Nora, who are told apart by their session."""

    def __init__(self) -> None:
        self.proposal: ProposedOutcome | None = None
        self.marks = 0
        self.confirmed: list[tuple[str, str]] = []
        self.refusal: str = ""

    def find(self, _room: str, session: str) -> TelephoneListener:
        who = Actor(session, TENANT, "external_party", "en", session)
        guests = {"jan": RoomPerson("caller", "Jan Peeters"), "nora": RoomPerson("helper", "Nora Claes")}
        return TelephoneListener(who, {CALL: LENGTH}, "agreement", guests, self.proposal)

    def mark_passage(self, _who: object, _room: str, _call: str, begin_ms: int, end_ms: int) -> None:
        if begin_ms >= end_ms:
            raise DisputeError("dispute.passage", "not there", "elsewhere")
        self.marks += 1

    def confirm_outcome(self, caller: TelephoneListener, _room: str, sha256: str) -> bool:
        if self.refusal:
            raise DisputeError(self.refusal, "refused", "read it again")
        self.confirmed.append((caller.who.user, sha256))
        return True


class House:
    """A conference, what its members are told (the sentence's name, or ``composed``), and time."""

    def __init__(self, folder: Path, clock) -> None:
        self.clock, self.seconds = clock, 0.0
        self.rooms = BusyRooms(clock, lambda: None)
        self.callers, self.announcements = Callers(), list[tuple[str, str]]()
        self.sentences = folder / "sentences"
        self.sentences.mkdir()
        sounds = folder / "sounds"
        sounds.mkdir()
        self.duty = TelephoneRooms(
            "node", self.rooms, Gate(), self.callers, Memory(sounds), self.sentences, SHIPPED, self.send,
            clock, lambda: self.seconds,
        )  # fmt: skip
        self.conference = RoomConference(self.duty, ROOM)
        self.members = (RoomMember("1", "jan"),)
        self.is_deaf = False

    def speak(self) -> None:
        """Have a speech engine."""
        self.duty.sources = Sources(engines=(Tone(),))
        self.conference._announcer.sources = self.duty.sources

    def send(self, request: RoomRequest) -> RoomAnswer:
        for order in request.orders:
            if order.action == "tell" and self.is_deaf:
                return RoomAnswer(failed=(order,))
            if order.action == "hush":
                self.announcements.append((order.value, "hush"))
            if order.action == "tell":
                number, _, path = order.value.partition(" ")
                place = Path(path)
                if place.parent == self.sentences:
                    place.write_bytes(bytes(44 + 16_000))  # a second
                    self.announcements.append((number, place.stem.removesuffix("-en")))
                else:
                    assert place.exists()
                    self.announcements.append((number, "composed"))
        return RoomAnswer()

    def follow(self, *keys: tuple[str, str]) -> None:
        self.conference.follow(RoomReport(ROOM, self.members, keys))

    def wait_speech(self) -> None:
        """Wait until what is composed has been told."""
        while self.conference._announcer._queue:
            self.conference._announcer._queue[0].task.exception(timeout=20)
            self.follow()

    def press(self, key: str, number: str = "1") -> list[str]:
        """What they are told of a key."""
        self.announcements.clear()
        self.follow((number, key))
        others = ("composed", "hush")
        return [name for who, name in self.announcements if who == number and name not in others]

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.forward(seconds=seconds)

    @property
    def row(self) -> Room:
        return self.rooms.find(TENANT, ROOM, CALL)

    def command(self, action, who: str = "claire", **more) -> None:
        room = self.row
        command = RoomCommand(action, **more)
        self.rooms.command(room, command, who, seq=room.seq, durations={CALL: LENGTH})


@pytest.fixture
def house(tmp_path: Path, clock, catalogue) -> Iterator[House]:
    BusyRooms.between = None
    Tone.texts.clear()
    found = House(tmp_path, clock)
    found.rooms.note_presence(TENANT, ROOM, "claire", ready=True)
    found.follow()
    yield found
    found.duty.writers.shutdown()
    found.duty.speakers.shutdown()


LEADERS = ("", "jan", "claire")
STATES = ("beginning", "playing", "paused", "over")


def bring(house: House, leader: str, state: str) -> None:
    """Into a state."""
    if state == "beginning":
        house.command("seek", position_ms=0)
    else:
        position = {"playing": 20_000, "paused": 20_000, "over": LENGTH - 1000}[state]
        house.command("play", position_ms=position)
        house.pass_time(2)
        if state == "paused":
            house.command("pause")
    if leader == "jan":
        house.command("lead", "jan")
    elif not leader:
        house.rooms.note_departure(TENANT, ROOM, "claire")
    house.announcements.clear()


@pytest.mark.parametrize(
    ("key", "leader", "state"),
    list(itertools.product(EVERY_KEY, LEADERS, STATES)),
)
def test_every_key_does_what_it_says_or_says_why_not(house: House, key: str, leader: str, state: str) -> None:
    bring(house, leader, state)
    before = house.row
    sentences = house.press(key)
    after = house.row
    is_led = leader == "claire"
    if key == "2":
        assert sentences == []
        assert not after.playing, "a pause is never refused"
        assert after.seq == before.seq + 1
    elif key in "13" or (key == "5" and state != "playing"):
        assert sentences == (["led"] if is_led else [])
        assert (after.seq > before.seq) is not is_led
        if not is_led and key == "5":
            assert after.playing
    elif key == "5":
        assert (sentences, after) == ([], before), "it plays"
    elif key == "9":
        assert sentences == ["leading"]
        assert after.leader == "jan"
    elif key == "8":
        assert sentences == (["unmarked"] if state == "beginning" else ["marked"])
        assert house.callers.marks == (state != "beginning")
    elif key == "0":
        assert sentences == ["keys"]
        house.wait_speech()
        assert house.announcements[-1] == ("1", "composed"), "who is there"
    else:
        assert sentences == ["other-key"]
        assert after == before


@pytest.mark.parametrize("other", ["play", "pause", "seek", "lead"])
@pytest.mark.parametrize("key", "12359")
def test_of_two_at_once_one_is_told_to_press_again_and_no_pause_is_lost(
    house: House, key: str, other: str
) -> None:
    bring(house, "", "playing" if key != "5" else "paused")
    BusyRooms.between = RoomCommand(other, position_ms=7000 if other == "seek" else None)  # type: ignore[arg-type]
    sentences = house.press(key)
    assert BusyRooms.between is None
    assert sentences == ([] if key == "2" else ["overtaken"])
    if key == "2":
        assert not house.row.playing


@pytest.mark.parametrize("key", EVERY_KEY)
def test_two_callers_press_the_same_key_at_once(house: House, key: str) -> None:
    house.members = (RoomMember("1", "jan"), RoomMember("2", "nora"))
    house.follow()
    bring(house, "", "playing")
    house.follow(("1", key), ("2", key))
    news = ("joined-helper", "left")
    sentences = {
        number: [name for name in names_told(house, number) if name not in news] for number in ("1", "2")
    }
    if key in "13":
        assert sentences == {"1": [], "2": ["led"]}, "whoever is first leads where nobody did"
    elif key == "2":
        assert sentences == {"1": [], "2": []}
        assert not house.row.playing
    else:
        assert sentences["1"] == sentences["2"]
    if key == "9":
        assert house.row.leader == "nora"


def names_told(house: House, number: str = "1") -> list[str]:
    return [name for who, name in house.announcements if who == number]


def test_a_key_ends_what_is_told_of_another_one(house: House) -> None:
    house.follow(("1", "0"), ("1", "4"))
    house.wait_speech()
    assert names_told(house) == ["keys", "hush", "other-key"], "and who is there is told no more"
    house.seconds += 60
    house.follow(("1", "4"))
    assert names_told(house)[3:] == ["other-key"], "nothing was being told"


def test_no_key_ends_the_news_or_the_outcome(house: House) -> None:
    house.members = (RoomMember("1", "jan"), RoomMember("2", "nora"))
    look(house)
    house.follow(("1", "4"))
    assert names_told(house) == ["joined-helper", "other-key"]
    house.speak()
    house.seconds += 60
    propose(house)
    house.follow(("1", "4"))
    assert names_told(house) == ["composed", "confirm", "other-key"]


def look(house: House) -> None:
    house.pass_time(LOOK)
    house.follow()


def test_callers_hear_who_comes_and_goes_but_not_of_themselves(house: House) -> None:
    house.announcements.clear()
    house.members = (RoomMember("1", "jan"), RoomMember("2", "nora"))
    house.follow()
    look(house)
    assert house.announcements == [("1", "joined-helper")]
    house.rooms.note_presence(TENANT, ROOM, "paul", ready=True)
    look(house)
    assert house.announcements[1:] == [("1", "joined-company"), ("2", "joined-company")]
    house.members = (RoomMember("1", "jan"),)
    house.follow()
    look(house)
    assert house.announcements[3:] == [], "they may come back"
    look(house)
    assert house.announcements[3:] == [("1", "left")]


def test_page_that_is_loaded_again_is_no_news(house: House) -> None:
    house.announcements.clear()
    house.rooms.note_departure(TENANT, ROOM, "claire")
    look(house)
    house.rooms.note_presence(TENANT, ROOM, "claire", ready=False)
    look(house)
    look(house)
    assert house.announcements == []


def test_names_are_spoken_where_an_engine_is_there_and_a_statement_has_them(house: House) -> None:
    house.speak()
    house.announcements.clear()
    house.rooms.note_presence(TENANT, ROOM, "nora", ready=True)
    look(house)
    house.wait_speech()
    house.rooms.note_presence(TENANT, ROOM, "paul", ready=True)
    look(house)
    assert house.announcements == [("1", "composed"), ("1", "joined-company")]
    assert Tone.texts == ["Nora Claes is listening now."]
    assert not list(house.duty.folder.path.iterdir())


def propose(house: House, proposal: ProposedOutcome | None = PROPOSAL) -> None:
    house.callers.proposal = proposal
    house.announcements.clear()
    house.seconds += WATCH
    house.follow()
    house.wait_speech()


def test_outcome_is_read_out_while_the_room_is_paused_and_confirmed_with_1(house: House) -> None:
    house.speak()
    house.command("lead", "jan")
    house.command("play", "jan", position_ms=20_000)
    propose(house)
    assert not house.row.playing
    assert names_told(house) == ["composed", "confirm"]
    assert Tone.texts == ["Delivery on Friday."]
    begin = house.row.position_ms
    assert house.press("1") == [], "it is being read: 1 goes back"
    assert house.row.position_ms < begin
    house.seconds += 60
    assert house.press("1") == ["agreed"]
    assert house.callers.confirmed == [("jan", PROPOSAL.sha256)]
    assert house.press("1") == [], "and means again what it did"
    assert len(house.callers.confirmed) == 1
    look(house)
    assert "composed" not in names_told(house), "it is asked once"


def test_not_now_confirms_nothing_and_pauses_as_ever(house: House) -> None:
    house.speak()
    house.command("lead", "jan")
    propose(house)
    house.seconds += 60
    house.command("play", "jan")
    assert house.press("2") == ["not-now"]
    assert not house.row.playing
    assert house.press("1") == []
    assert house.callers.confirmed == []


@pytest.mark.parametrize("key", "0359*")
def test_other_keys_mean_what_they_did_while_the_outcome_waits(house: House, key: str) -> None:
    house.speak()
    propose(house)
    house.seconds += 60
    house.press(key)
    assert house.press("1") == ["agreed"]


def test_without_an_engine_the_caller_hears_where_the_text_is_and_is_asked_nothing(house: House) -> None:
    propose(house)
    assert names_told(house) == ["text-on-page"]
    house.seconds += 60
    house.press("1")
    assert house.callers.confirmed == [], "nobody confirms by telephone what was not read out"


def test_outcome_that_the_switch_did_not_play_is_not_asked_for(house: House) -> None:
    house.speak()
    house.is_deaf = True
    propose(house)
    house.is_deaf = False
    house.seconds += 60
    house.press("1")
    assert house.callers.confirmed == []


def test_text_that_changes_meanwhile_is_read_again_and_the_old_one_not_confirmed(house: House) -> None:
    house.speak()
    propose(house)
    house.seconds += 60
    propose(house, replace(PROPOSAL, sha256="b" * 64))
    assert names_told(house) == ["text-changed", "composed", "confirm"]
    house.seconds += 60
    house.callers.refusal = "dispute.text_changed"
    assert house.press("1") == ["text-changed"]
    assert house.callers.confirmed == []


def test_refused_confirmation_is_told(house: House) -> None:
    house.speak()
    propose(house)
    house.seconds += 60
    house.callers.refusal = "dispute.outcome_final"
    assert house.press("1") == ["unconfirmed"]


def test_outcome_that_was_confirmed_on_the_page_is_asked_for_no_more(house: House) -> None:
    house.speak()
    propose(house)
    house.seconds += 60
    propose(house, None)
    house.press("1")
    assert house.callers.confirmed == []


def test_callers_are_told_where_the_sound_cannot_be_written(house: House, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise OSError("no room")

    monkeypatch.setattr(Memory, "write", fail)
    house.conference._write_task = None
    house.conference._sound = None
    for _ in range(3):
        house.pass_time(6)
        house.follow()
        if house.conference._write_task is not None:
            house.conference._write_task.exception(timeout=20)
        house.duty.recover()
    assert names_told(house).count("unheard") == 1
    assert house.duty.faults.lasts("room.sound_missing"), "it is no news each time"
    house.conference.close()
    assert not house.duty.faults.lasts("room.sound_missing")
