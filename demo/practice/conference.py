"""mod_conference, as far as rooms by telephone use it: legs that hear each other and one sound at a time.

What is odd here was observed on FreeSWITCH 1.11: ``pause_play`` toggles, ``play_status`` says ``0/0`` of a
WAV, a relative ``file_seek`` counts from what was read ahead, and once nothing plays neither has an answer.
"""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import gevent
import numpy as np

from demo.practice.core import LiveCall, SwitchCore
from demo.practice.sound import RATE, SILENCE, Player, Samples, load
from demo.practice.wire import Header
from recorder.errors import SwitchError

MAINTENANCE: Final = "conference::maintenance"

READ_AHEAD_MS: Final = 6500
"""How far ahead of what is heard the switch has read a file (observed: ``+10000`` moved 16.3 s)."""

NOTHING_PLAYS: Final = "-ERR no reply\n"

_LONGEST_QUEUE: Final = 5
"""Frames that wait for a leg whose clock runs behind."""


class ConferenceSound(Player):
    """A sound that plays in a conference, or waits for its turn. The file is open: it may be unlinked."""

    def __init__(self, path: Path) -> None:
        self._all = load(path)
        super().__init__(self._all)
        self.path = path
        self.paused = False

    def seek(self, milliseconds: int) -> int:
        """Go to an absolute position; returns it, in samples."""
        samples = milliseconds * RATE // 1000
        self.at = min(samples, len(self._all))
        return samples


class PracticeMember:
    """A leg in a conference, and the frames on their way to it."""

    def __init__(self, number: int, call: LiveCall) -> None:
        self.number = number
        self.call = call
        self.voice: Samples = SILENCE
        self.kicked = False
        self.is_deaf = False
        self.sentences: deque[Player] = deque()
        """What plays to them alone, one after the other."""
        self._frames: deque[Samples] = deque(maxlen=_LONGEST_QUEUE)

    def hear(self, frame: Samples) -> None:
        self._frames.append(frame)

    def exchange(self, voice: Samples) -> Samples:
        """20 ms: what the leg says, for what it hears."""
        self.voice = voice
        return self._frames.popleft() if self._frames else SILENCE


class PracticeConference:
    """A conference: exists from its first member to its last. ``reported_keys`` are those that its profile
    has the switch report (caller-controls with the action ``event``)."""

    def __init__(self, switch: SwitchCore[Any], name: str, profile: str) -> None:
        self._switch = switch
        self.name = name
        self.uuid = switch.new_uuid()
        self._profile = profile
        self.members: dict[int, PracticeMember] = {}
        root = _configuration(switch)
        self.reported_keys = _reported_keys(root, profile)
        self._are_deaf = _parameter(root, profile, "member-flags") == "deaf"
        self._sounds: list[ConferenceSound] = []
        self._numbers = 0
        self._greenlet = gevent.spawn(switch.run_frames, self._tick)
        self._emit("conference-create")

    # --- members

    def join(self, call: LiveCall) -> PracticeMember:
        """Somebody joins."""
        self._numbers += 1
        member = PracticeMember(self._numbers, call)
        member.is_deaf = self._are_deaf
        self.members[member.number] = member
        self._emit("add-member", member)
        return member

    def leave(self, member: PracticeMember) -> None:
        """Somebody has left; the last one ends the conference."""
        del self.members[member.number]
        self._emit("del-member", member)
        if not self.members:
            self.end()
            self._emit("conference-destroy")

    def end(self) -> None:
        """Nobody is left, or the switch was killed."""
        self._switch.conferences.pop(self.name, None)
        self._greenlet.kill(block=False)

    def press(self, member: PracticeMember, digit: str) -> None:
        """A member's key: reported, if the profile wants it."""
        if digit in self.reported_keys:
            self._emit("dtmf", member, ("DTMF-Key", digit), ("Data", digit))

    # --- api

    def command(self, words: list[str]) -> str:
        """The answer to ``conference <name> …``."""
        match words:
            case ["play", path]:
                return self._play(Path(path))
            case ["play", path, who, "nomux"]:
                return self._play_to(Path(path), who)
            case ["stop", "all" | "current" as which]:
                return self._stop(which)
            case ["stop", "all", who]:
                return self._stop_sentences(who)
            case ["play_status"]:
                if not self._sounds:
                    return "-ERR Nothing is playing\n"
                return f"+OK 0/0 {self._sounds[0].path}\n"
            case ["pause_play"]:
                return self._toggle_pause()
            case ["file_seek", where]:
                return self._seek(where)
            case ["kick", who]:
                return self._kick(who, "kick-member", "kicked")
            case ["hup", who]:
                return self._kick(who, "hup-member", "hup")
            case ["undeaf", who]:
                return self._undeaf(who)
            case ["list"]:
                return "".join(self._list_line(each) for each in reversed(self.members.values()))
        return f"-ERR Conference command '{' '.join(words)}' not found.\n"

    def _play(self, path: Path) -> str:
        self._emit("play-file", None, ("File", str(path)), ("Async", "false"))  # also of a missing one
        try:
            self._sounds.append(ConferenceSound(path))
        except SwitchError:
            return f"-ERR (play) File: {path} not found.\n"
        return f"+OK (play) Playing file {path}\n"

    def _play_to(self, path: Path, who: str) -> str:
        """To one member, instead of the conference."""
        if not who.isdecimal() or int(who) not in self.members:
            return f"-ERR Member: {who} not found.\n"
        member = self.members[int(who)]
        try:
            member.sentences.append(Player(load(path)))
        except SwitchError:
            return f"-ERR (play) File: {path} not found.\n"
        self._emit("play-file-member", member, ("File", str(path)))
        return f"+OK (play) Playing file {path} to member {who}\n"

    def _stop(self, which: str) -> str:
        count = len(self._sounds) if which == "all" else min(1, len(self._sounds))
        for _ in range(count):
            self._end_sound()
        return f"+OK Stopped {count} files.\n"

    def _stop_sentences(self, who: str) -> str:
        """What plays to one member."""
        if not who.isdecimal() or int(who) not in self.members:
            return f"-ERR Member: {who} not found.\n"
        member = self.members[int(who)]
        count = len(member.sentences)
        member.sentences.clear()
        for _ in range(count):
            self._emit("play-file-member-done", member)
        return f"+OK Stopped {count} files.\n"

    def _toggle_pause(self) -> str:
        if not self._sounds:
            return NOTHING_PLAYS
        sound = self._sounds[0]
        sound.paused = not sound.paused
        return "+OK Pause\n" if sound.paused else "+OK Resume\n"

    def _seek(self, where: str) -> str:
        if not self._sounds or not re.fullmatch(r"[+-]?\d{1,9}", where):
            return NOTHING_PLAYS
        sound = self._sounds[0]
        target = int(where)
        if where[0] in "+-":
            target += sound.at * 1000 // RATE + READ_AHEAD_MS
        return f"+OK seek to position {sound.seek(max(0, target))}\n"

    def _kick(self, who: str, action: str, word: str) -> str:
        if who != "all" and (not who.isdecimal() or int(who) not in self.members):
            return f"-ERR Non-Existant ID {who}\n"
        members = list(self.members.values()) if who == "all" else [self.members[int(who)]]
        for member in members:
            member.kicked = True
            self._emit(action, member)
            member.call.wake()
        return "".join(f"+OK {word} {member.number}\n" for member in members)

    def _undeaf(self, who: str) -> str:
        if not who.isdecimal() or int(who) not in self.members:
            return f"-ERR Non-Existant ID {who}\n"
        self.members[int(who)].is_deaf = False
        self._emit("undeaf-member", self.members[int(who)])
        return f"+OK undeaf {who}\n"

    def _list_line(self, member: PracticeMember) -> str:
        leg = member.call.leg
        names = f"{leg.channel_name};{leg.uuid};{leg.caller_name};{leg.caller_number}"
        return f"{member.number};{names};{'' if member.is_deaf else 'hear|'}speak;0;0;0\n"

    def listing(self) -> dict[str, object]:
        """Its part of ``conference json_list``."""
        members = [
            {"type": "caller", "id": each.number, "uuid": each.call.leg.uuid}
            for each in reversed(self.members.values())
        ]
        return {
            "conference_name": self.name, "member_count": len(members), "rate": RATE,
            "conference_uuid": self.uuid, "members": members,
        }  # fmt: skip

    # --- sound

    def _tick(self) -> None:
        played: Samples = SILENCE
        if self._sounds and not self._sounds[0].paused:
            if self._sounds[0].at_end:
                self._end_sound()
            else:
                played = self._sounds[0].frame()
        voices = {number: each.voice.astype(np.int32) for number, each in self.members.items()}
        total = played.astype(np.int32) + sum(voices.values())
        for number, member in self.members.items():
            if member.sentences:
                member.hear(member.sentences[0].frame())
                if member.sentences[0].at_end:
                    member.sentences.popleft()
                    self._emit("play-file-member-done", member)
                continue
            mixed = np.clip(total - voices[number], -32768, 32767)
            member.hear(SILENCE if member.is_deaf else np.array(mixed, dtype=np.int16))

    def _end_sound(self) -> None:
        sound = self._sounds.pop(0)
        self._emit("play-file-done", None, ("File", str(sound.path)))

    def _emit(self, action: str, member: PracticeMember | None = None, *more: Header) -> None:
        headers: list[Header] = [
            ("Conference-Name", self.name),
            ("Conference-Size", str(len(self.members))),
            ("Conference-Ghosts", "0"),
            ("Conference-Profile-Name", self._profile),
            ("Conference-Unique-ID", self.uuid),
        ]
        leg = None
        if member is not None:
            leg = member.call.leg
            headers += [*leg.headers(variables=True), ("Member-ID", str(member.number))]
        self._switch.emit_conference(MAINTENANCE, leg, [*headers, ("Action", action), *more])


def _configuration(switch: SwitchCore[Any]) -> ElementTree.Element:
    text = switch.dialplan.locate(["configuration", "configuration", "name", "conference.conf"])
    return ElementTree.fromstring(text or "<none/>")  # noqa: S314  # our own


def _parameter(root: ElementTree.Element, profile: str, name: str) -> str:
    found = root.find(f"profiles/profile[@name='{profile}']/param[@name='{name}']")
    return "" if found is None else found.get("value", "")


def _reported_keys(root: ElementTree.Element, profile: str) -> frozenset[str]:
    group = _parameter(root, profile, "caller-controls")
    controls = root.iterfind(f"caller-controls/group[@name='{group}']/control[@action='event']")
    return frozenset(control.get("digits", "") for control in controls)
