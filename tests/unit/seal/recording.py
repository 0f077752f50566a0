"""A recording made for these tests: real keys, real files, sealed by the real code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audio.encoded_take import Encoded, EncodedSound, Gap, LocatedAnnouncement, Prompt
from recorder.audio.keep_answers import questions
from recorder.clock import Uptime
from recorder.domain.line_policy import Announcement, Keep
from recorder.domain.markers import LocatedMarker, Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence as Words
from recorder.seal import signed_document, signing
from recorder.seal.keyring import Keyring, WrappedKey, load_kek, tenant_key_path
from recorder.seal.manifest import Manifest, to_body
from recorder.seal.sealing import SealedTake, seal
from recorder.spool.layout import CallEnd, CallStart, Take
from recorder.store.contract import Conflict, NotFound

from .reference import plain

START = datetime(2026, 11, 25, 9, 30, 0, 123000, tzinfo=UTC)
NOW = START + timedelta(minutes=5)
UPTIME = Uptime("this start", 1300.0)
"""At ``NOW``: the call began five minutes before."""
TENANT = "0198c0de-0000-7000-8000-00000000000a"
RECORDING = "0198c0de-0000-7000-8000-000000000001"

ANNOUNCEMENT = Announcement(
    id="0198c0de-0000-7000-8000-0000000000aa",
    version=3,
    language="fr",
    text="Cet appel est enregistré afin que ce qui a été convenu reste clair ; gardé 30 jours.",
    purposes=("agreement", "quality"),
    keep_days=30,
    sha256=hashlib.sha256(b"sound").hexdigest(),
    duration_ms=6200,
)


@dataclass
class Keys:
    """What ``accord key init`` made, loaded."""

    folder: Path
    root: Ed25519PrivateKey
    signer: signing.Signer
    keyring: Keyring
    tenant_key: WrappedKey


def make_keys(folder: Path) -> Keys:
    signing.init(folder, START - timedelta(days=1))
    keyring = Keyring(load_kek(folder / signing.KEK))
    return Keys(
        folder,
        signing.load_private(folder / signing.ROOT_KEY),
        signing.load_signer(folder / signing.SIGNING_KEY, folder / signing.ENDORSEMENT),
        keyring,
        keyring.new_tenant_key(TENANT),
    )


def make_encoded(folder: Path, **changed: Any) -> Encoded:
    folder.mkdir(parents=True, exist_ok=True)
    sounds = []
    for name, media_type, length in (
        ("peaks", "application/octet-stream", 3000),
        ("audio.opus", "audio/ogg", 300_000),
        ("audio.wav", "audio/wav", 0),
    ):
        content = plain(length)
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        sounds.append(EncodedSound(name, folder / name, media_type, sha256, length))
    start = CallStart(
        recording=RECORDING,
        tenant=TENANT,
        line="0198c0de-0000-7000-8000-0000000000bb",
        number="+3225550100",
        direction="inbound",
        node="node-1",
        channel="5c6e9f3a-0000-4000-8000-000000000001",
        external_party=Party("e164", "+32470123456"),
        started_at=START,
        formats=("opus", "wav"),
        announcement=ANNOUNCEMENT,
        uptime=Uptime("this start", 1000.0),
    )
    markers = (
        Marker(START + timedelta(seconds=6.5), "announcement_finished"),
        Marker(START + timedelta(seconds=9), "bridged", {"party": "extension", "value": "1001"}),
        Marker(START + timedelta(seconds=70), "hangup", {"cause": "NORMAL_CLEARING"}),
    )
    end = CallEnd("recorded", None, START + timedelta(seconds=70), Party("extension", "1001"))
    values: dict[str, Any] = {
        "take": Take(folder, start, markers, end),
        "duration_ms": 69_900,
        "sample_rate": 8000,
        "announced": LocatedAnnouncement(offset_ms=210, end_ms=6410, score=0.987654321),
        "gaps": (Gap(0, 9000, "left", "before_announcement_end"), Gap(20_000, 25_000, "both", "hold")),
        "markers": (
            LocatedMarker(markers[1].at, "bridged", {"party": "extension", "value": "1001"}, 9000),
            LocatedMarker(markers[2].at, "hangup", {"cause": "NORMAL_CLEARING"}, 69_900),
        ),
        "drift_ms": -100,
        "sounds": tuple(sounds),
    }
    return Encoded(**(values | changed))


def words(text: str) -> Words:
    """A sentence; its sound is not there."""
    return Words(text, hashlib.sha256(text.encode()).hexdigest(), 3000)


KEEP = Keep(
    purpose="training",
    keep_days=365,
    question=words("May we keep this recording?"),
    cue=words("Please ask now."),
    yes=words("It is kept."),
    no=words("It is not kept."),
    none=words("Nobody answered."),
)

QUESTION_END = ("keep_question_heard", {})
YES = ("keep_question_answered", {"answer": "yes", "by": "external", "how": "key"})
NO = ("keep_question_answered", {"answer": "no", "by": "internal", "how": "aloud"})
NONE = ("keep_question_answered", {"answer": "none"})
CONFIRMATION = ("keep_answer_confirmed", {"answer": "yes"})
VOICE = {"voice_from_ms": "21000", "voice_to_ms": "69000"}
"""Where they were heard: of it counts what follows the question."""
ALOUD = ("keep_question_answered", {"answer": "yes", "by": "internal", "how": "aloud", **VOICE})


def without_voice(marker: tuple[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
    return marker[0], {name: value for name, value in marker[1].items() if name not in VOICE}


def question(how: str = "question") -> tuple[str, dict[str, str]]:
    return "keep_question_asked", {"how": how}


def make_with_question(
    folder: Path,
    *markers: tuple[str, dict[str, str]],
    found: bool = True,
    keep: Keep | None = KEEP,
    **more: Any,
) -> Encoded:
    """A recording in which it was asked whether to keep it: ``markers`` two seconds apart from second 20 on;
    what was played is ``found`` where each sound ended.  ``more`` is the call's start's, or ``announced``."""
    announced = {"announced": more.pop("announced")} if "announced" in more else {}
    encoded = make_encoded(folder, **announced)
    own_markers = tuple(
        Marker(START + timedelta(seconds=20 + 2 * n), kind, data) for n, (kind, data) in enumerate(markers)
    )
    placed = tuple(
        LocatedMarker(marker.at, marker.kind, marker.data, 20_000 + 2000 * n)
        for n, marker in enumerate(own_markers)
    )
    prompts = []
    for number, one in enumerate(questions(placed)):
        for which, end in (("question", one.sound_end), (one.answer or "", one.confirmed)):
            if found and end is not None:
                prompts.append(Prompt(number, which, end.at, end.offset_ms - 1500, end.offset_ms, 0.98))
    start = replace(encoded.take.start, keep=keep, **more)
    take = replace(
        encoded.take,
        start=start,
        markers=(*encoded.take.markers[:-1], *own_markers, encoded.take.markers[-1]),
    )
    return replace(
        encoded, take=take, markers=(encoded.markers[0], *placed, encoded.markers[-1]), prompts=tuple(prompts)
    )


def sign(manifest: Manifest, signer: signing.Signer) -> bytes:
    """What whoever has a key can sign, unchecked."""
    return signed_document.write(to_body(manifest), signer)


def seal_with_question(keys: Keys, encoded: Encoded) -> SealedTake:
    return seal(encoded, keys.keyring, keys.tenant_key, keys.signer, NOW, uptime=UPTIME)


@dataclass
class Bucket:
    """A bucket as a dictionary, to be changed at will; the reading half of a store."""

    objects: dict[str, bytes]

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        return self._get(key)[start:end]

    def size(self, key: str) -> int:
        return len(self._get(key))

    def list(self, prefix: str) -> Any:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def _get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFound("store.not_found", f"there is no {key}", "try again")
        return self.objects[key]


class Store(Bucket):
    """A bucket that documents can be put to, each once."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.hashes: dict[str, str] = {}

    def put(self, key: str, path: Path, sha256: str) -> None:
        if key in self.objects:
            raise Conflict("store.conflict", f"there is another {key}", "try again")
        self.objects[key], self.hashes[key] = path.read_bytes(), sha256
        assert hashlib.sha256(self.objects[key]).hexdigest() == sha256


def make_bucket(sealed: SealedTake, tenant_key: WrappedKey) -> Bucket:
    objects = {upload.key: upload.path.read_bytes() for upload in sealed.uploads}
    return Bucket(objects | {tenant_key_path(TENANT): tenant_key.to_bytes()})


def make_sealed(folder: Path, keys: Keys, **changed: Any) -> SealedTake:
    return seal(
        make_encoded(folder, **changed), keys.keyring, keys.tenant_key, keys.signer, NOW, uptime=UPTIME
    )
