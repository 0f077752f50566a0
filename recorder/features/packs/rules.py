"""The files of a pack, without reading or writing any: names, lists, and the statement about them.

A pack is a bag (BagIt 1.0, RFC 8493) in a ZIP file; docs/reference/formats.md describes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import to_iso
from recorder.features.packs.log_extract import LogExtract
from recorder.playback.interface import RecordingRelease, ReleasedSound
from recorder.seal import canonical_json
from recorder.seal.pack_statement import WHOLE, PackFile, PackSound, PackStatement
from recorder.seal.signed_document import SOFTWARE
from recorder.seal.signing import Endorsement, public_pem

STATEMENT: Final = "data/statement.json"
REPORT: Final = "data/report.html"
README: Final = "README.txt"
PAYLOAD_LIST: Final = "manifest-sha256.txt"
TAG_LIST: Final = "tagmanifest-sha256.txt"
BAGIT: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

SOUND_FILES: Final[Mapping[str, str]] = {
    "audio.opus": "data/sound/call.opus",
    "audio.wav": "data/sound/call.wav",
}
"""The file of each sound."""

LONGEST_RECIPIENT: Final = 200
"""Characters of whom a pack is for."""


@dataclass(frozen=True, slots=True)
class RecordingPack:
    """A pack that is to be written: the recording as the gate released it, for whom (in the user's words)
    and in which language, its signed ``documents`` by name as they are in the bucket, and what the log says
    of it."""

    release: RecordingRelease
    recipient: str
    language: str
    documents: tuple[tuple[str, bytes], ...]
    log: LogExtract
    certificates: bytes

    @property
    def folder(self) -> str:
        """The top folder, which the ZIP file is named after, too: no number and no time."""
        return f"recording-{self.release.row.id}"

    @property
    def sounds(self) -> tuple[tuple[str, str], ...]:
        """The sounds with their files, in the order in which they are sent."""
        return tuple((name, SOUND_FILES[name]) for name in self.release.names)


def clean_recipient(text: str) -> str:
    """Whom a pack is for, in one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST_RECIPIENT]


def fixed_files(
    pack: RecordingPack, endorsements: Iterable[Endorsement], root: Ed25519PublicKey, openssl_lines: bytes
) -> dict[str, bytes]:
    """Every file but the sounds, what people read, the statement and the lists."""
    found = {
        "bagit.txt": BAGIT,
        "bag-info.txt": bag_info(pack.release.row.id, pack.release.at),
        "data/check-with-openssl.txt": openssl_lines,
        "data/keys/root.pem": public_pem(root),
        **dict(pack.documents),
        **dict(pack.log.files),
    }
    if pack.certificates and any(name.startswith("data/timestamps/") for name in found):
        found["data/timestamps/authority.pem"] = pack.certificates
    for each in endorsements:
        content = canonical_json.dump(each.document())
        found[f"data/keys/{each.key_id}-{hashlib.sha256(content).hexdigest()[:16]}.json"] = content
        found[f"data/keys/{each.key_id}.pem"] = public_pem(
            Ed25519PublicKey.from_public_bytes(each.public_key)
        )
    return found


def bag_info(recording: str, at: datetime) -> bytes:
    """The bag's own facts, for programs that keep bags."""
    lines = {
        "Bag-Software-Agent": SOFTWARE,
        "Bagging-Date": to_iso(at)[:10],
        "External-Identifier": recording,
    }
    return "".join(f"{name}: {text}\n" for name, text in lines.items()).encode()


def hash_list(sums: Mapping[str, tuple[str, int]], *, payload: bool) -> bytes:
    """One of the bag's two lists: of the files below ``data/``, or of the others."""
    names = sorted(name for name in sums if name.startswith("data/") == payload)
    return "".join(f"{sums[name][0]}  {name}\n" for name in names).encode()


def make_statement(
    pack: RecordingPack, sounds: Sequence[ReleasedSound], sums: Mapping[str, tuple[str, int]]
) -> PackStatement:
    """The statement about the files so far: their sound is what the gate has sent."""
    release, chain = pack.release, pack.release.chain
    for each in sounds:
        if sums[SOUND_FILES[each.name]] != (each.sha256, each.length):
            raise ValueError(f"{each.name} in the pack is not what the gate has sent")
    return PackStatement(
        tenant=chain.manifest.tenant,
        recording=chain.manifest.recording,
        manifest_sha256=release.row.manifest_sha256,
        amendments=tuple(each.sha256 for each in chain.amendments),
        part=WHOLE,
        sounds=tuple(PackSound(SOUND_FILES[each.name], each.object, each.as_sealed) for each in sounds),
        files=tuple(PackFile(name, *sums[name]) for name in sorted(sums)),
        external_party=release.parties.external_party,
        purpose=release.purpose,
        recipient=pack.recipient,
        language=pack.language,
        user=release.who.user,
        role=release.who.role,
        leaf=sounds[0].leaf,
        at=release.at,
    )
