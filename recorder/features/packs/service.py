"""Makes packs: reads the signed documents of a recording that the gate has released, and streams the ZIP
file.

The sound goes first, so that nothing is on disk, and the statement about it last: what was not sent whole
is never stated."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from recorder.errors import SealError
from recorder.features.packs import rules
from recorder.features.packs.log_extract import extract_log
from recorder.features.packs.rules import RecordingPack
from recorder.features.packs.zip_stream import ZipStream
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.interface import RecordingRelease, ReleasedSound
from recorder.seal import canonical_json, hints, pack_statement
from recorder.seal.amendment import MAX_BYTES as LARGEST_AMENDMENT
from recorder.seal.amendment import name as amendment_name
from recorder.seal.document_source import read_document
from recorder.seal.manifest import MAX_BYTES as LARGEST_MANIFEST
from recorder.seal.sealing import NAME
from recorder.seal.signing import DISCLOSURE, Endorsement

VERIFIER: Final = "verify_pack.py"

LARGE_BYTES: Final = 2**31 - 2**20
"""From this size on, an entry of a ZIP file has another form."""


def _read_resource(name: str) -> bytes:
    return files("recorder.features.packs").joinpath(name).read_bytes()


def read_verifier() -> bytes:
    """The program that checks packs, as it is published."""
    return _read_resource(VERIFIER)


@dataclass(frozen=True, slots=True)
class Packs:
    """Makes packs, with the panel's store and key. ``certificates`` are those of the timestamp authority
    (PEM), empty without one.

    Raises :class:`recorder.errors.SealError`, :class:`recorder.errors.AuditLogError` for what is not as it
    was signed, :class:`recorder.errors.StoreError`, :class:`recorder.errors.CatalogueError`."""

    changes: Changes
    certificates: bytes = b""

    def prepare(self, release: RecordingRelease, *, recipient: str, language: str) -> RecordingPack:
        """Collect a pack's documents; no sound is read yet. ``recipient`` is whom it is for, in the user's
        words."""
        self.changes.signer.check(DISCLOSURE, release.at)
        row, store = release.row, self.changes.store
        found = [(NAME, row.manifest_sha256, LARGEST_MANIFEST)]
        found += [
            (amendment_name(each.number), each.sha256, LARGEST_AMENDMENT) for each in release.chain.amendments
        ]
        documents = []
        for name, sha256, largest in found:
            content = read_document(store, row.prefix + name, largest)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise SealError("object.hash", f"{row.prefix}{name} is not what was verified", hints.OBJECT)
            documents.append((f"data/documents/{name}", content))
        log = extract_log(row.tenant, row.id, store, self.changes.root, self.certificates)
        return RecordingPack(
            release, rules.clean_recipient(recipient), language, tuple(documents), log, self.certificates
        )

    def stream(self, pack: RecordingPack, readme: str, report: str) -> Iterator[bytes]:
        """The ZIP file in pieces. When the first is there, the first block of the sound is verified and the
        leaf is in the log. Raises, besides the others, :class:`recorder.errors.AccessError`."""
        signer, bag = self.changes.signer, ZipStream(pack.folder, pack.release.at)
        sounds = yield from _stream_sounds(pack, bag)
        endorsements = [*_endorsements(pack), *pack.log.endorsements, signer.endorsement]
        lines = _read_resource("check-with-openssl.txt")
        content = rules.fixed_files(pack, endorsements, self.changes.root, lines)
        content |= {rules.README: readme.encode(), rules.REPORT: report.encode()}
        for name in sorted(content):
            yield bag.add(name, content[name])
        statement = rules.make_statement(pack, sounds, bag.sums)
        yield bag.add(rules.STATEMENT, pack_statement.KIND.write(statement, signer))
        yield bag.add(rules.PAYLOAD_LIST, rules.hash_list(bag.sums, payload=True))
        yield bag.add(rules.TAG_LIST, rules.hash_list(bag.sums, payload=False))
        yield bag.close()


def _stream_sounds(pack: RecordingPack, bag: ZipStream) -> Generator[bytes, None, list[ReleasedSound]]:
    manifest, sounds = pack.release.chain.manifest, []
    is_large = manifest.duration_ms * manifest.sample_rate * 4 // 1000 >= LARGE_BYTES
    for name, file in pack.sounds:
        sounds.append((yield from bag.add_pieces(file, pack.release.send(name), is_large=is_large)))
    return sounds


def _endorsements(pack: RecordingPack) -> Iterator[Endorsement]:
    """The endorsements of the keys that signed the recording's documents."""
    for name, content in pack.documents:
        yield Endorsement.read(canonical_json.load(content, name)["endorsement"])
