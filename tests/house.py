"""A small installation for tests that need one to look at: real catalogue, keys, store and gate, with
customers, people, and calls that went through the real stages from spool to bucket."""

from __future__ import annotations

import hashlib
import io
import tomllib
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from argon2 import PasswordHasher

from demo.practice.party import SPEECH
from recorder.catalogue import database, queries, schema
from recorder.catalogue.records import AnnouncementRow, LineRow, UserRow
from recorder.clock import Uptime
from recorder.domain.line_policy import Announcement, Keep
from recorder.domain.line_policy import PromptSound as Words
from recorder.domain.parties import Party
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants, users
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import hold_review, retention_limits
from recorder.lifecycle.amendment_service import Changes
from recorder.pipeline import stages
from recorder.processes.gate import PanelGate
from recorder.prompts.sound_sources import SOUNDS
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.keyring import Keyring, load_kek
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart, Mark
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from tests.announced import announcement_in
from web.account import passwords

RATE = 8000
PASSWORD = "two voices, one agreement"
CALLER = Party("e164", "+32470123456")
LEAD_MS = 200
"""How long the switch records before the announcement begins."""


@cache
def _hashed() -> str:
    return passwords.hash_password(PASSWORD)


def hash_with(hasher: PasswordHasher) -> PasswordHasher:
    """From here on, passwords are hashed so.  Returns what hashed them before, to be put back; what
    was made with that is forgotten, for other tests of this process may have come first."""
    before, passwords._hasher = passwords._hasher, hasher
    passwords._nobody.cache_clear()
    _hashed.cache_clear()
    return before


@dataclass
class Customer:
    """A tenant with a line, and the people who work there."""

    id: str
    line: LineRow
    announcement: AnnouncementRow
    people: dict[str, UserRow] = field(default_factory=dict)


class House:
    """One installation in a folder.  ``now`` may be a clock that tests move."""

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime],
        entropy: Entropy,
        store: Store | None = None,
        url: str = "",
    ) -> None:
        """Makes what is not there yet; without ``store``, objects are files in the folder, and without
        ``url`` the catalogue is."""
        self.folder, self.now, self.entropy = folder, now, entropy
        url = url or f"sqlite:///{folder / 'catalogue.db'}"
        schema.migrate(url)
        self.database = database.open_catalogue(url)
        keys = folder / "keys"
        if not keys.exists():
            signing.init(keys, now() - timedelta(days=60), entropy)  # calls of last month are sealed too
        self.keyring = Keyring(load_kek(keys / signing.KEK))
        self.root = signing.load_public(keys / signing.ROOT_PUBLIC)
        self.store = store or DirectoryStore(folder / "store", entropy)
        signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
        self.means = Services(
            self.store,
            self.keyring,
            signer,
            self.root,
            folder / "spool",
            folder / "snapshot",
            now=now,
            entropy=entropy,
            uptime=lambda: since_boot(now()),
        )
        self.gate = PanelGate(self.store, self.keyring, self.root, now=now, entropy=entropy)
        panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
        self.changes = Changes(self.store, self.root, panel, now, entropy)

    def customer(
        self,
        name: str,
        number: str,
        *,
        label: str = "",
        language: str = "fr",
        purposes: Sequence[str] = ("agreement",),
        time_zone: str = "Europe/Brussels",
    ) -> Customer:
        """A customer whose line announces in a language that it is recorded."""
        identity = str(uuid7(self.now(), self.entropy))
        said = {"now": self.now(), "entropy": self.entropy}
        tenants.create_tenant(
            identity,
            name=name,
            wrapped_key=self.keyring.new_tenant_key(identity, self.entropy).to_bytes().decode(),
            language=language,
            time_zone=time_zone,
            **said,
        )
        told = announcement_in(language)
        announcement = announcements.create_announcement(
            identity,
            name="default",
            language=language,
            text=told.text,
            purposes=list(purposes),
            keep_days=30,
            wav=told.path.read_bytes(),
            **said,
        )
        line = lines.create_line(
            identity,
            number=number,
            announcement=announcement.id,
            label=label,
            formats=("opus", "wav"),
            **said,
        )
        return Customer(identity, line, announcement)

    def person(
        self, customer: Customer, login: str, name: str, role: str = "customer", language: str = "fr"
    ) -> UserRow:
        """Somebody who logs in with :data:`PASSWORD`."""
        user = users.create_user(
            customer.id,
            login=login,
            name=name,
            role=role,
            language=language,
            password_hash=_hashed(),
            now=self.now(),
            entropy=self.entropy,
            signer=self.means.signer,
        )
        customer.people[login] = user
        return user

    def call(
        self,
        customer: Customer,
        *,
        outside: Party = CALLER,
        times: int = 1,
        announced: bool = True,
        at: datetime | None = None,
        mode: str = "notice",
        direction: str = "inbound",
        asked: Sequence[dict[str, str]] = (),
        dialled: Sequence[tuple[int, str, dict[str, str]]] = (),
    ) -> str:
        """A recorded call with ``times`` conversations in it, from spool to bucket; its id.  In it it is
        ``asked`` whether it may be kept, each time with that answer (the data of a
        ``keep_answered``, ``voice_…`` from the question's end on);
        ``dialled`` is what came of a colleague's codes: when (ms), which mark, and its data."""
        folder, end = self.finished(
            customer,
            outside=outside,
            times=times,
            announced=announced,
            at=at,
            mode=mode,
            direction=direction,
            asked=asked,
            dialled=dialled,
        )
        self.work(folder, end)
        assert queries.recording(customer.id, folder.name) is not None
        return folder.name

    def work(self, folder: Path, end: datetime) -> None:
        """Every stage of a call that ended then, soon after."""
        then = end + timedelta(milliseconds=900)
        means = replace(self.means, uptime=lambda: since_boot(then))
        while stages.step(folder, then, means):
            pass

    def finished(
        self,
        customer: Customer,
        *,
        outside: Party = CALLER,
        times: int = 1,
        announced: bool = True,
        at: datetime | None = None,
        mode: str = "notice",
        direction: str = "inbound",
        asked: Sequence[dict[str, str]] = (),
        dialled: Sequence[tuple[int, str, dict[str, str]]] = (),
    ) -> tuple[Path, datetime]:
        """A finished call in the spool: its folder, and when it ended."""
        language = customer.announcement.language
        sound = conversation(language, times, announced)
        began = at or self.now()
        keep = self.keep(language) if asked else None
        question = Words(*_words(language, ("may-we-record",))) if mode == "opt-in" else None
        said = {"mode": mode, "keep": keep, "question": question, "direction": direction}
        _, folder = self._arrive(customer, outside, began, **said)
        if mode != "notice":
            yes = {"answer": "yes", "key": "1"} if mode == "opt-in" else {"answer": "none"}
            answered_at = began + timedelta(seconds=6)
            layout.append_mark(folder, Mark(answered_at, "answered", {"question": "recording", **yes}))
        for answer in asked:
            sound, marks = _asked(language, sound, answer)
            for ms, kind, data in marks:
                layout.append_mark(folder, Mark(began + timedelta(milliseconds=ms), kind, data))
        for ms, kind, data in dialled:
            layout.append_mark(folder, Mark(began + timedelta(milliseconds=ms), kind, data))
        (folder / layout.AUDIO).write_bytes(sound)
        end_of_announcement, lasts = told_ms(language), length_ms(sound)
        for ms, kind in (
            (0, "recording_started"),
            (LEAD_MS, "announcement_started"),
            (end_of_announcement, "announcement_finished"),
            (end_of_announcement + 1500, "bridged"),
            (lasts, "hangup"),
            (lasts, "recording_stopped"),
        ):
            layout.append_mark(folder, Mark(began + timedelta(milliseconds=ms), kind, {}))
        end = began + timedelta(milliseconds=lasts)
        self._end(folder, "recorded", None, end)
        return folder, end

    def not_recorded(
        self,
        customer: Customer,
        reason: str,
        *,
        outside: Party = CALLER,
        at: datetime | None = None,
        direction: str = "inbound",
    ) -> str:
        """A call of which there is no recording."""
        began = at or self.now()
        recording, folder = self._arrive(customer, outside, began, direction=direction)
        self._end(folder, "not_recorded", reason, began + timedelta(seconds=8))
        stages.step(folder, self.now(), self.means)
        return recording

    def stored(self, recording: str, name: str) -> Path:
        """An object's file in the bucket, to be changed by a test."""
        return next((self.folder / "store").glob(f"*/*/*/*/{recording}/{name}"))

    def limit(
        self,
        tenant: str,
        keep_days: int | None,
        *,
        purpose: str | None = None,
        line: str | None = None,
        **more: Any,
    ) -> None:
        """Set a retention limit, as the operator does (``None``: as announced again)."""
        at = more.pop("now", None) or self.now()
        changes = Changes(self.store, self.root, self.means.signer, lambda: at, self.entropy)
        wish = retention_limits.Wish(purpose, line, keep_days, **more)
        retention_limits.set_limit(changes, tenant, wish, By("operator"))

    def confirm_holds(self) -> bool:
        """After a rebuild: the holds are complete."""
        return hold_review.confirm_holds(self.means.signer, Trust(self.root), self.now(), self.entropy)

    def close(self) -> None:
        self.database.close()

    def keep(self, language: str) -> Keep:
        """What is said about keeping a recording for a year; its sounds lie in the node's folder."""
        prompts_ = self.folder / "snapshot" / "prompts"
        prompts_.mkdir(parents=True, exist_ok=True)
        said = {}
        for name, clips in SAYINGS.items():
            said[name] = Words(*_words(language, clips))
            (prompts_ / f"{said[name].sha256}.wav").write_bytes(_wav(_clips(language, clips)))
        return Keep("agreement", 365, **said)

    def _arrive(self, customer: Customer, outside: Party, at: datetime, **more: Any) -> tuple[str, Path]:
        recording = str(uuid7(at, self.entropy))
        told, line = customer.announcement, customer.line
        start = CallStart(
            recording=recording,
            tenant=customer.id,
            line=line.id,
            number=line.number,
            node="node1",
            channel=str(uuid7(at, self.entropy)),
            outside=outside,
            started_at=at,
            formats=line.formats,
            announcement=Announcement(
                told.id,
                told.version,
                told.language,
                told.text,
                told.purposes,
                told.keep_days,
                told.sound,
                told.duration_ms,
            ),
            uptime=since_boot(at),
            **{"direction": "inbound", **more},
        )
        return recording, layout.open_take(self.folder / "spool", start)

    def _end(self, folder: Path, outcome: str, reason: str | None, at: datetime) -> None:
        layout.close_take(folder, CallEnd(outcome, reason, at, Party("extension", "1001")))


def since_boot(at: datetime) -> Uptime:
    """The clock that nobody sets, of a machine whose other clock was always right."""
    return Uptime("this start", at.timestamp())


def told_ms(language: str) -> int:
    """When the announcement of a :func:`conversation` ends."""
    return LEAD_MS + len(_read(announcement_in(language).path)) * 1000 // RATE


def length_ms(sound: bytes) -> int:
    """How long a WAV as the switch writes it is."""
    return (len(sound) - 44) // 4 * 1000 // RATE


@cache
def conversation(language: str, times: int, announced: bool) -> bytes:
    """A WAV as the switch writes it: left what the caller says (a hum before they have been told), right
    what they hear (the announcement, then the colleague)."""
    announcement = _read(announcement_in(language).path)
    if not announced:
        announcement = np.zeros_like(announcement)
    caller = np.tile(_read(SPEECH / language / "caller.wav"), times)
    callee = np.tile(_read(SPEECH / language / "callee.wav"), times)
    lead, ring = np.zeros(LEAD_MS * RATE // 1000, np.int16), np.zeros(RATE * 3 // 2, np.int16)
    before = len(lead) + len(announcement) + len(ring)
    hum = (3000 * np.sin(np.arange(before) * 2 * np.pi * 440 / RATE)).astype(np.int16)
    left = np.concatenate([hum, caller])
    right = np.concatenate([lead, announcement, ring, callee])
    return _wav(np.stack([left, right], axis=1))


SAYINGS = {
    "question": ("may-we-keep", "yes-or-no"),
    "cue": ("ask-now",),
    "yes": ("agreed", "kept-1-year"),
    "no": ("declined", "as-announced"),
    "none": ("no-answer", "as-announced"),
}
"""What is said about keeping, put together from the shipped sentences."""


def _asked(
    language: str, sound: bytes, answer: dict[str, str]
) -> tuple[bytes, list[tuple[int, str, dict[str, str]]]]:
    """A call that goes on with the question, four seconds, what came of it, and a conversation."""
    said = [_clips(language, SAYINGS[name]) for name in ("question", answer["answer"])]
    talk = {who: _read(SPEECH / language / f"{who}.wav") for who in ("caller", "callee")}
    pause = np.zeros(RATE * 4, np.int16)
    begun = length_ms(sound)
    right = np.concatenate([said[0], pause, said[1], talk["callee"]])
    left = np.concatenate([np.zeros(len(right) - len(talk["callee"]), np.int16), talk["caller"]])
    length = min(len(left), len(right))
    more = np.stack([left[:length], right[:length]], axis=1)
    heard = begun + len(said[0]) * 1000 // RATE
    answer = {
        name: str(heard + int(value)) if name.startswith("voice_") else value
        for name, value in answer.items()
    }
    marks = [
        (begun, "keep_asked", {"how": "question"}),
        (heard, "keep_question_heard", {}),
        (heard + 3500, "keep_answered", answer),
        (heard + 4000 + len(said[1]) * 1000 // RATE, "keep_told", {}),
    ]
    return _wav(np.concatenate([np.frombuffer(sound[44:], "<i2").reshape(-1, 2), more])), marks


def _clips(language: str, names: Sequence[str]) -> np.ndarray:
    read = [soundfile.read(SOUNDS / language / f"{name}.flac", dtype="int16") for name in names]
    return np.concatenate([samples[:: rate // RATE] for samples, rate in read])


def _words(language: str, names: Sequence[str]) -> tuple[str, str, int]:
    """What is said, and its sound's SHA-256 and milliseconds."""
    clips = tomllib.loads((SOUNDS / "clips.toml").read_text("utf-8"))[language]
    sound = _clips(language, names)
    sha256 = hashlib.sha256(_wav(sound)).hexdigest()
    return " ".join(clips[name]["text"] for name in names), sha256, len(sound) * 1000 // RATE


def _wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(samples.ndim)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def _read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
