"""A small installation for tests: real catalogue, keys, store and gate, with customers, users, and calls that
went through the real stages from spool to bucket."""

from __future__ import annotations

import hashlib
import io
import tomllib
import wave
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask import Flask

from demo.practice.party import SPEECH
from recorder.catalogue import queries
from recorder.catalogue.records import AnnouncementRow, LineRow, UserRow
from recorder.domain.line_policy import Announcement, Keep
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence as Words
from recorder.features.disputes.admissions import DisputeAdmissions
from recorder.features.offboarding import service as departures
from recorder.features.own_call.admissions import OwnCallAdmissions
from recorder.features.own_call.rules import code_keys
from recorder.features.packs.service import Packs
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants, users
from recorder.identity.second_factors import SecondFactorService
from recorder.ids import Entropy, uuid7
from recorder.lifecycle import hold_review, retention_limits
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.erasure_order import ErasureOrder, erasure_order
from recorder.pipeline import stages
from recorder.processes.admissions import PanelAdmissions
from recorder.processes.gate import PanelGate
from recorder.prompts.sound_sources import SOUNDS
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.keyring import Keyring, load_kek
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from tests.announcements import announcement_in
from tests.catalogue_template import make_catalogue, open_catalogue
from tests.clock import Clock, since_boot
from tests.encoder_cache import encode_once
from tests.entropy import RepeatableEntropy
from web import WebConfig, create_app
from web.account import passwords
from web.login_refusals import LoginRefusals
from web.state import PanelState

RATE = 8000
PASSWORD = "two voices, one agreement"
CALLER = Party("e164", "+32470123456")
LEAD_MS = 200
"""How long the switch records before the announcement begins."""


@cache
def _hashed() -> str:
    return passwords.hash_password(PASSWORD)


def hash_with(hasher: PasswordHasher) -> PasswordHasher:
    """Hash passwords with another hasher from now on.  Returns the previous one, to be put back; cached
    hashes are dropped, because earlier tests of this process may have made them."""
    before, passwords._hasher = passwords._hasher, hasher
    passwords._dummy_hash.cache_clear()
    _hashed.cache_clear()
    return before


@dataclass
class Customer:
    """A tenant with a line and users."""

    id: str
    line: LineRow
    announcement: AnnouncementRow
    people: dict[str, UserRow] = field(default_factory=dict)


class House:
    """One installation in a folder: keys, bucket, catalogue, spool, gate.  Tests may move its ``clock``."""

    KEY_AGE = timedelta(days=60)
    """The age of the signing keys: calls of the last month can be sealed."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime],
        entropy: Entropy,
        store: Store | None = None,
        url: str = "",
    ) -> None:
        """Create what is missing.  By default, objects are files in the folder and the catalogue is a SQLite
        file there."""
        self.folder, self.clock, self.entropy = folder, clock, entropy
        self.catalogue_url = url or f"sqlite:///{folder / 'catalogue.db'}"
        self.open_catalogue()
        keys = folder / "keys"
        if not keys.exists():
            signing.init(keys, clock() - self.KEY_AGE, entropy)
        signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
        self.services = Services(
            store=store or DirectoryStore(self.bucket, entropy),
            keyring=Keyring(load_kek(keys / signing.KEK)),
            signer=signer,
            root=signing.load_public(keys / signing.ROOT_PUBLIC),
            spool=folder / "spool",
            snapshot=folder / "snapshot",
            now=clock,
            entropy=entropy,
            uptime=lambda: since_boot(clock()),
        )
        self.gate = PanelGate(
            self.store, self.keyring, self.root_public, now=clock, entropy=entropy,
            admissions=PanelAdmissions(DisputeAdmissions(self.trust), OwnCallAdmissions(self.trust, clock)),
        )  # fmt: skip
        panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
        self.changes = Changes(self.store, self.root_public, panel, clock, entropy)
        self.factors = SecondFactorService(
            self.store, self.keyring, self.trust, panel, now=clock, entropy=entropy
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The settings of commands on it, whose store is its folder."""
        return {
            "ACCORD_NODE_DATA": str(self.folder),
            "ACCORD_CATALOGUE_URL": self.catalogue_url,
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_STORE_PATH": str(self.bucket),
            **more,
        }

    def app(self, config: WebConfig, **more: Any) -> Flask:
        """The panel, with more of its services."""
        parts = {"now": self.clock, "entropy": self.entropy, "changes": self.changes, "factors": self.factors}
        parts["own_call_keys"] = code_keys(self.keyring)
        parts["packs"] = Packs(self.changes)
        refused = LoginRefusals(self.entropy)
        return create_app(PanelState(config, self.gate, refused=refused, **parts, **more))

    def open_catalogue(self) -> None:
        """Migrate the catalogue and open it in this process."""
        make_catalogue(self.catalogue_url)
        self.database = open_catalogue(self.catalogue_url)

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def keyring(self) -> Keyring:
        return self.services.keyring

    @property
    def root_public(self) -> Ed25519PublicKey:
        return self.services.root

    def replaced(self, **attributes: Any) -> Self:
        """A copy with other attributes."""
        other = copy(self)
        vars(other).update(attributes)
        return other

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    @property
    def trust(self) -> Trust:
        """Verifies signed statements."""
        return Trust(self.root_public)

    def objects(self) -> list[str]:
        """The keys of the bucket's objects."""
        return sorted(self.store.list(""))

    def office(self) -> Changes:
        """Writes the operator's statements about a customer's departure."""
        return Changes(self.store, self.root_public, self.services.signer, self.clock, self.entropy)

    def order_erasure(self, tenant: str) -> ErasureOrder:
        """Announce a customer's departure, and order the erasure of all of its data at once."""
        departures.announce(self.office(), tenant, self.clock() + timedelta(days=30))
        departures.order_erasure(self.office(), tenant, early="By letter")
        return erasure_order(tenant, self.services, self.clock())

    def customer(
        self,
        name: str,
        number: str,
        *,
        label: str = "",
        language: str = "fr",
        purposes: Sequence[str] = ("agreement",),
        time_zone: str = "Europe/Brussels",
        formats: Sequence[str] = ("opus", "wav"),
    ) -> Customer:
        """A customer with a line that announces in ``language``."""
        identity = str(uuid7(self.clock(), self.entropy))
        when = {"now": self.clock(), "entropy": self.entropy}
        tenants.create_tenant(
            identity,
            name=name,
            wrapped_key=self.keyring.new_tenant_key(identity, self.entropy).to_bytes().decode(),
            language=language,
            time_zone=time_zone,
            **when,
        )
        announcement_used = announcement_in(language)
        announcement = announcements.create_announcement(
            identity,
            name="default",
            language=language,
            text=announcement_used.text,
            purposes=list(purposes),
            keep_days=30,
            wav=announcement_used.path.read_bytes(),
            **when,
        )
        line = self.add_line(identity, number, announcement.id, label=label, formats=formats)
        return Customer(identity, line, announcement)

    def add_line(self, tenant: str, number: str, announcement: str, **more: Any) -> LineRow:
        """Another line of a customer."""
        when = {"now": self.clock(), "entropy": self.entropy}
        return lines.create_line(tenant, number=number, announcement=announcement, **when, **more)

    def user(
        self,
        tenant: str,
        login: str,
        role: str = "customer",
        *,
        name: str = "",
        language: str = "fr",
        **more: Any,
    ) -> UserRow:
        """A user, of whom nobody knows a password."""
        values: dict[str, Any] = {
            "password_hash": "$argon2id$",
            "now": self.clock(),
            "entropy": self.entropy,
            "signer": self.services.signer,
        }
        name = name or login.partition("@")[0].title()
        return users.create_user(
            tenant, login=login, name=name, role=role, language=language, **values | more
        )

    def person(
        self, customer: Customer, login: str, name: str, role: str = "customer", language: str = "fr"
    ) -> UserRow:
        """A user who logs in with :data:`PASSWORD`."""
        hashed = {"name": name, "language": language, "password_hash": _hashed()}
        customer.people[login] = self.user(customer.id, login, role, **hashed)
        return customer.people[login]

    def call(
        self,
        customer: Customer,
        *,
        external_party: Party = CALLER,
        times: int = 1,
        announced: bool = True,
        at: datetime | None = None,
        mode: str = "notice",
        direction: str = "inbound",
        questions: Sequence[dict[str, str]] = (),
        events: Sequence[tuple[int, str, dict[str, str]]] = (),
        caller_name: str = "",
    ) -> str:
        """Record a call of ``times`` conversations and take it from spool to bucket; returns its id.
        ``asked`` are the answers to keep questions (the data of ``keep_question_answered``, with ``voice_…``
        counted from the question's end); ``dialled`` are markers of a colleague's codes: milliseconds, kind,
        data."""
        folder, end = self.finished(
            customer,
            external_party=external_party,
            times=times,
            announced=announced,
            at=at,
            mode=mode,
            direction=direction,
            questions=questions,
            events=events,
            caller_name=caller_name,
        )
        self.work(folder, end)
        assert queries.recording(customer.id, folder.name) is not None
        return folder.name

    def work(self, folder: Path, ended: datetime | None = None) -> None:
        """Run every stage of a take, now or soon after it ``ended``."""
        at = self.clock() if ended is None else ended + timedelta(milliseconds=900)
        means = replace(self.services, uptime=lambda: since_boot(at))
        while stages.step(folder, at, means, encode_once):
            pass

    def finished(
        self,
        customer: Customer,
        *,
        external_party: Party = CALLER,
        times: int = 1,
        announced: bool = True,
        at: datetime | None = None,
        mode: str = "notice",
        direction: str = "inbound",
        questions: Sequence[dict[str, str]] = (),
        events: Sequence[tuple[int, str, dict[str, str]]] = (),
        caller_name: str = "",
    ) -> tuple[Path, datetime]:
        """A finished call in the spool: its folder, and when it ended.  See :meth:`call`."""
        language = customer.announcement.language
        sound = conversation(language, times, announced)
        start = at or self.clock()
        keep = self.keep(language) if questions else None
        question = Words(*_words(language, ("may-we-record",))) if mode == "opt-in" else None
        options = {"mode": mode, "keep": keep, "question": question, "direction": direction}
        options |= {"caller_name": caller_name}
        _, folder = self._arrive(customer, external_party, start, **options)
        if mode != "notice":
            yes = {"answer": "yes", "key": "1"} if mode == "opt-in" else {"answer": "none"}
            answered_at = start + timedelta(seconds=6)
            layout.append_marker(
                folder, Marker(answered_at, "question_answered", {"question": "recording", **yes})
            )
        for answer in questions:
            sound, markers = _with_question(language, sound, answer)
            for ms, kind, data in markers:
                layout.append_marker(folder, Marker(start + timedelta(milliseconds=ms), kind, data))
        for ms, kind, data in events:
            layout.append_marker(folder, Marker(start + timedelta(milliseconds=ms), kind, data))
        (folder / layout.AUDIO).write_bytes(sound)
        end_of_announcement, lasts = announcement_ms(language), length_ms(sound)
        for ms, kind in (
            (0, "recording_started"),
            (LEAD_MS, "announcement_started"),
            (end_of_announcement, "announcement_finished"),
            (end_of_announcement + 1500, "bridged"),
            (lasts, "hangup"),
            (lasts, "recording_stopped"),
        ):
            layout.append_marker(folder, Marker(start + timedelta(milliseconds=ms), kind))
        end = start + timedelta(milliseconds=lasts)
        self._end(folder, "recorded", None, end)
        return folder, end

    def not_recorded(
        self,
        customer: Customer,
        reason: str,
        *,
        external_party: Party = CALLER,
        at: datetime | None = None,
        direction: str = "inbound",
    ) -> str:
        """A call without a recording; its id."""
        start = at or self.clock()
        recording, folder = self._arrive(customer, external_party, start, direction=direction)
        self._end(folder, "not_recorded", reason, start + timedelta(seconds=8))
        stages.step(folder, self.clock(), self.services)
        return recording

    def stored(self, recording: str, name: str) -> Path:
        """The file of an object in the bucket, for a test to change."""
        return next(self.bucket.glob(f"*/*/*/*/{recording}/{name}"))

    def limit(
        self,
        tenant: str,
        keep_days: int | None,
        *,
        purpose: str | None = None,
        line: str | None = None,
        **more: Any,
    ) -> None:
        """Set a retention limit as the operator; ``None`` lifts it."""
        at = more.pop("now", None) or self.clock()
        changes = Changes(self.store, self.root_public, self.services.signer, lambda: at, self.entropy)
        wish = retention_limits.NewLimit(purpose, line, keep_days, **more)
        retention_limits.set_limit(changes, tenant, wish, By("operator"))

    def confirm_holds(self) -> bool:
        """Confirm after a rebuild that the legal holds are complete."""
        return hold_review.confirm_holds(self.services.signer, self.trust, self.clock(), self.entropy)

    def close(self) -> None:
        self.database.close()

    def keep(self, language: str) -> Keep:
        """The keep script for a year; its sounds are put into the node's folder."""
        prompts_ = self.folder / "snapshot" / "prompts"
        prompts_.mkdir(parents=True, exist_ok=True)
        sentences = {}
        for name, clips in SAYINGS.items():
            sentences[name] = Words(*_words(language, clips))
            (prompts_ / f"{sentences[name].sha256}.wav").write_bytes(wav_of(_clips(language, clips)))
        return Keep("agreement", 365, **sentences)

    def _arrive(
        self, customer: Customer, external_party: Party, at: datetime, **more: Any
    ) -> tuple[str, Path]:
        recording = str(uuid7(at, self.entropy))
        announcement, line = customer.announcement, customer.line
        start = CallStart(
            recording=recording,
            tenant=customer.id,
            line=line.id,
            number=line.number,
            node="node1",
            channel=str(uuid7(at, self.entropy)),
            external_party=external_party,
            started_at=at,
            formats=line.formats,
            announcement=_announced(announcement),
            uptime=since_boot(at),
            **{"direction": "inbound", **more},
        )
        return recording, layout.open_take(self.spool, start)

    def _end(self, folder: Path, outcome: str, reason: str | None, at: datetime) -> None:
        layout.close_take(folder, CallEnd(outcome, reason, at, Party("extension", "1001")))


class Bakery(House):
    """A house with one customer, whose line announces in French; its calls are tones."""

    KEY_AGE = timedelta(0)

    def __init__(self, folder: Path, clock: Clock, entropy: RepeatableEntropy, url: str) -> None:
        """On the catalogue at ``url``, which this process has open."""
        super().__init__(folder, clock, entropy, url=url)
        customer = self.customer("Boulangerie Martin", "+3225550100", formats=("opus",))
        self.tenant, self.line = customer.id, customer.line
        self.announcement = _announced(customer.announcement)
        self.spool.mkdir()

    def open_catalogue(self) -> None:
        """The caller has opened it."""

    def limit(self, keep_days: int | None, *, tenant: str | None = None, **more: Any) -> None:
        super().limit(tenant or self.tenant, keep_days, **more)

    def start(self, **changes) -> CallStart:
        """A call that arrives now."""
        values = {
            "recording": str(uuid7(self.clock(), self.entropy)),
            "tenant": self.tenant,
            "line": self.line.id,
            "number": self.line.number,
            "direction": "inbound",
            "node": "node1",
            "channel": "01f2b6c6-channel",
            "external_party": Party("e164", "+32470123456"),
            "started_at": self.clock(),
            "formats": ("opus", "wav"),
            "announcement": self.announcement,
        }
        values |= changes
        return CallStart(**({"uptime": since_boot(values["started_at"])} | values))

    def take(
        self,
        talk_ms: int = 3000,
        announced: bool = True,
        bridged: bool = True,
        question: str | None = None,
        **changes,
    ) -> Path:
        """A finished call in the spool: the announcement, then ``talk_ms`` of two tones.  ``question`` is the
        answer to a keep question that the colleague asked in their own words, for a year."""
        if question is not None:
            sentence = Words("Said.", "5a" * 32, 1000)
            changes = {"keep": Keep("agreement", 365, None, sentence, sentence, sentence, sentence)} | changes
        start = self.start(**changes)
        folder = layout.open_take(self.spool, start)
        prompt = self._prompt()
        at, announcement_length = start.started_at, timedelta(milliseconds=len(prompt) // 8)
        talk = np.arange(talk_ms * 8)
        right = np.concatenate([prompt if announced else prompt * 0, _tone(talk, 440)])
        left = np.concatenate([_tone(np.arange(len(prompt)), 1000), _tone(talk, 660)])
        (folder / layout.AUDIO).write_bytes(wav_of(np.stack([left, right], axis=1)))
        markers = [
            Marker(at, "recording_started"),
            Marker(at, "announcement_started"),
            Marker(at + announcement_length, "announcement_finished"),
        ]
        if bridged:
            markers.append(
                Marker(at + announcement_length, "bridged", {"party": "extension", "value": "1001"})
            )
        if question is not None:
            by = {} if question == "none" else {"by": "internal", "how": "own_words"}
            if question == "yes":
                voice_ms = announcement_length // timedelta(milliseconds=1) + 1200
                by |= {"voice_from_ms": str(voice_ms), "voice_to_ms": str(voice_ms + 500)}
            markers.append(
                Marker(
                    at + announcement_length + timedelta(seconds=1),
                    "keep_question_asked",
                    {"how": "own_words"},
                )
            )
            answer = {"answer": question, **by}
            markers.append(
                Marker(at + announcement_length + timedelta(seconds=2), "keep_question_answered", answer)
            )
        ended = at + announcement_length + timedelta(milliseconds=talk_ms)
        markers += [Marker(ended, "hangup", {"cause": "NORMAL_CLEARING"}), Marker(ended, "recording_stopped")]
        for marker in markers:
            layout.append_marker(folder, marker)
        internal_party = Party("extension", "1001") if bridged else None
        layout.close_take(folder, CallEnd("recorded", None, ended, internal_party))
        return folder

    def unrecorded(self, reason: str = "hung_up_in_announcement", **changes) -> Path:
        """A call without a recording, in the spool."""
        start = self.start(**changes)
        folder = layout.open_take(self.spool, start)
        layout.close_take(folder, CallEnd("not_recorded", reason, start.started_at, None))
        return folder

    def _prompt(self) -> np.ndarray:
        sound = announcement_in(self.announcement.language)
        assert sound.sha256 == self.announcement.sha256
        return _read(sound.path)


def _announced(row: AnnouncementRow) -> Announcement:
    """The announcement as a line's policy has it."""
    return Announcement(
        row.id, row.version, row.language, row.text, row.purposes, row.keep_days, row.sound, row.duration_ms
    )


def _tone(at: np.ndarray, hertz: float) -> np.ndarray:
    return (6000 * np.sin(2 * np.pi * hertz * at / RATE)).astype("<i2")


def announcement_ms(language: str) -> int:
    """Milliseconds until the announcement of a :func:`conversation` ends."""
    return LEAD_MS + len(_read(announcement_in(language).path)) * 1000 // RATE


def length_ms(sound: bytes) -> int:
    """The length in milliseconds of a WAV as the switch writes it."""
    return (len(sound) - 44) // 4 * 1000 // RATE


@cache
def conversation(language: str, times: int, announced: bool) -> bytes:
    """A WAV as the switch writes it: left the caller's voice (a hum until the announcement ends), right the
    announcement and then the colleague."""
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
    return wav_of(np.stack([left, right], axis=1))


SAYINGS = {
    "question": ("may-we-keep", "yes-or-no"),
    "cue": ("ask-now",),
    "yes": ("agreed", "kept-1-year"),
    "no": ("declined", "as-announced"),
    "none": ("no-answer", "as-announced"),
}
"""The prompts of a keep question, each composed of shipped sentences."""


def _with_question(
    language: str, sound: bytes, answer: dict[str, str]
) -> tuple[bytes, list[tuple[int, str, dict[str, str]]]]:
    """Append a keep question to a call: the question, four seconds, its result, and a conversation."""
    clips = [_clips(language, SAYINGS[name]) for name in ("question", answer["answer"])]
    talk = {who: _read(SPEECH / language / f"{who}.wav") for who in ("caller", "callee")}
    pause = np.zeros(RATE * 4, np.int16)
    question_ms = length_ms(sound)
    right = np.concatenate([clips[0], pause, clips[1], talk["callee"]])
    left = np.concatenate([np.zeros(len(right) - len(talk["callee"]), np.int16), talk["caller"]])
    length = min(len(left), len(right))
    more = np.stack([left[:length], right[:length]], axis=1)
    answer_ms = question_ms + len(clips[0]) * 1000 // RATE
    answer = {
        name: str(answer_ms + int(value)) if name.startswith("voice_") else value
        for name, value in answer.items()
    }
    markers = [
        (question_ms, "keep_question_asked", {"how": "question"}),
        (answer_ms, "keep_question_heard", {}),
        (answer_ms + 3500, "keep_question_answered", answer),
        (answer_ms + 4000 + len(clips[1]) * 1000 // RATE, "keep_answer_confirmed", {}),
    ]
    return wav_of(np.concatenate([np.frombuffer(sound[44:], "<i2").reshape(-1, 2), more])), markers


def _clips(language: str, names: Sequence[str]) -> np.ndarray:
    read = [soundfile.read(SOUNDS / language / f"{name}.flac", dtype="int16") for name in names]
    return np.concatenate([samples[:: rate // RATE] for samples, rate in read])


def _words(language: str, names: Sequence[str]) -> tuple[str, str, int]:
    """The text of a prompt, and its sound's SHA-256 and length in milliseconds."""
    clips = tomllib.loads((SOUNDS / "clips.toml").read_text("utf-8"))[language]
    sound = _clips(language, names)
    sha256 = hashlib.sha256(wav_of(sound)).hexdigest()
    return " ".join(clips[name]["text"] for name in names), sha256, len(sound) * 1000 // RATE


def wav_of(samples: np.ndarray) -> bytes:
    """A WAV of PCM 16 bit at 8 kHz: frames, or frames by channels."""
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
