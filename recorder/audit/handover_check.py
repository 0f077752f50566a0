"""Verifies an offboarding archive against seals and log, with the root's public key and the extracted folder
alone.

Its audio is decrypted, so it is compared with ``plain_sha256``. Manifests and amendments are signed, and the
leaves must match the signed checkpoint. Obtain the root's key another way: the copy in the folder proves
nothing. The parties in ``about.json`` and in the tables cannot be verified: they were sealed encrypted, and
the archive does not have that key.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import merkle
from recorder.audit.findings import AuditFinding
from recorder.auditlog.append import commitment, leaf_text
from recorder.auditlog.inclusion_proof import verify_checkpoint
from recorder.errors import AccordError, AuditLogError, SealError
from recorder.seal import canonical_json
from recorder.seal.amendment import number_in
from recorder.seal.amendment_chain import Chain, amendments_in, read_chain
from recorder.seal.document_source import Files
from recorder.seal.manifest import Manifest
from recorder.seal.revocation import find_revoked_documents
from recorder.seal.sealing import NAME, open_manifest
from recorder.seal.signing import Endorsement

PEAKS: Final = "peaks"
CHECKPOINT, ENDORSEMENT, ROOT = "log/checkpoint.note", "log/checkpoint.endorsement.json", "log/root.pub"
CHUNK_BYTES: Final = 1024 * 1024

_LEAVES: Final = re.compile(r"log/leaves-[0-9]{10}\.jsonl")
_KNOWN: Final = re.compile(
    r"README\.txt|log/(?:checkpoint\.note|checkpoint\.endorsement\.json|root\.pub|leaves-[0-9]{10}\.jsonl)"
    r"|tables/(?:(?:recordings|not-recorded)-[0-9]{5}|contacts|keeping|numbers|requests)\.csv"
    r"|announcements/(?:announcements\.json|[0-9a-f]{64}\.wav)|recordings/[0-9a-z-]+/[^/]+"
)


def find_handover_folder(folder: Path) -> Path | None:
    """The archive's top folder: the given one, or ``accord`` in it; ``None`` if it is not an archive."""
    for each in (folder, folder / "accord"):
        if (each / "log").is_dir() and (each / "tables").is_dir():
            return each
    return None


@dataclass(slots=True)
class HandoverCheck:
    """One archive. After :meth:`read`: the number of checked ``recordings``; ``blanks``, the ids of those
    that are zeros (erased during the download, or found broken); the number of ``leaves``, and of ``signed``
    ones, which the checkpoint covers."""

    folder: Path
    root: Ed25519PublicKey
    now: datetime
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    recordings: int = 0
    blanks: list[str] = field(default_factory=list)
    leaves: int = 0
    signed: int = 0
    _texts: list[str] = field(default_factory=list)
    _tenant: str | None = None

    def read(self) -> Iterator[AuditFinding]:
        """Check everything, reading each byte once. Raises ``OSError``."""
        names = sorted(
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()
        )
        for name in names:
            if _KNOWN.fullmatch(name) is None:
                yield AuditFinding("object.unknown", name, "no file of an archive has this name")
        yield from self._log([name for name in names if _LEAVES.fullmatch(name)])
        listed = dict(self._listed(names))
        there = sorted({name.split("/")[1] for name in names if name.startswith("recordings/")})
        for recording in there:
            yield from self._recording(recording)
            if recording not in listed and recording not in self.blanks:
                yield AuditFinding("object.unknown", f"recordings/{recording}", "no table refers to it")
        for recording in sorted({*listed} - {*there}):
            if not listed[recording]:
                yield AuditFinding(
                    "object.missing", f"recordings/{recording}", "a table lists it as included"
                )
        yield from self._sounds(names)

    # --- the log

    def _log(self, names: list[str]) -> Iterator[AuditFinding]:
        tree = merkle.GrowingTree()
        head = None
        try:
            head = self._head()
        except (AccordError, OSError) as error:
            code, message = (
                (error.error_id, error.message)
                if isinstance(error, AccordError)
                else ("checkpoint.missing", str(error))
            )
            yield AuditFinding(code, CHECKPOINT, message)
        root = tree.root() if head is not None and head.size == 0 else b""
        for name in names:
            for line in (self.folder / name).read_text("utf-8").splitlines():
                yield from self._leaf(name, line, len(self._texts))
                tree.add(merkle.hash_leaf(self._texts[-1].encode()))
                if head is not None and tree.size == head.size:
                    root = tree.root()
        self.leaves = tree.size
        if head is None:
            return
        self.signed, self._tenant = head.size, head.tenant
        if head.size > tree.size:
            what = f"{head.size} leaves were signed, but there are {tree.size}"
            yield AuditFinding("log.behind", CHECKPOINT, what)
        elif root != head.root:
            yield AuditFinding("log.rewritten", CHECKPOINT, "the leaves differ from those that were signed")

    def _head(self) -> Any:
        document = canonical_json.load((self.folder / ENDORSEMENT).read_bytes().strip(), "endorsement")
        endorsement = Endorsement.read(document)
        head = verify_checkpoint((self.folder / CHECKPOINT).read_text("utf-8"), endorsement, self.root)
        since = self.revoked.get(head.key)
        if since is not None and head.at >= since:
            raise AuditLogError(
                "checkpoint.key_revoked",
                f"key {head.key} was revoked before this time",
                "treat it as unverified, and ask the provider for a newer checkpoint",
            )
        return head

    def _leaf(self, name: str, line: str, number: int) -> Iterator[AuditFinding]:
        text = ""
        try:
            entry = json.loads(line)
            text = str(entry["leaf"])
            if not _is_leaf(text, number):
                yield AuditFinding(
                    "leaf.changed", f"{name}: leaf {number}", "it does not have the form of a leaf"
                )
            elif not _commits(entry):
                what = "body and salt do not match the leaf's commitment"
                yield AuditFinding("body.changed", f"{name}: leaf {number}", what)
        except (ValueError, KeyError, TypeError):
            yield AuditFinding("leaf.changed", f"{name}: leaf {number}", "it is not a leaf")
        self._texts.append(text)

    # --- recordings

    def _recording(self, recording: str) -> Iterator[AuditFinding]:
        place = f"recordings/{recording}/"
        files = Files(self.folder / "recordings" / recording)
        names = list(files.list(""))
        if all(self._is_zeros(place + name) for name in names):
            self.blanks.append(recording)
            return
        self.recordings += 1
        try:
            content = (self.folder / place / NAME).read_bytes()
            manifest = open_manifest(content, self.root, self.now)
        except (SealError, OSError) as error:
            code = error.error_id if isinstance(error, SealError) else "manifest.missing"
            yield AuditFinding(code, place + NAME, str(error))
            return
        if manifest.recording != recording or self._tenant not in (None, manifest.tenant):
            what = f"it belongs to recording {manifest.recording} of {manifest.tenant}"
            yield AuditFinding("manifest.place", place + NAME, what)
        sha256 = hashlib.sha256(content).hexdigest()
        chain = read_chain(manifest, sha256, amendments_in(files, "", names), self.root, self.now)
        for problem in chain.problems:
            yield AuditFinding(problem.code, place + problem.name, problem.message)
        for name, what in find_revoked_documents(chain, self.revoked):
            yield AuditFinding("seal.key_revoked", place + name, what)
        yield from self._plain(place, manifest, names)
        if self.leaves:
            yield from self._logged(place, chain, sha256)

    def _plain(self, place: str, manifest: Manifest, names: list[str]) -> Iterator[AuditFinding]:
        sealed = {each.name: each for each in manifest.objects if each.name != PEAKS}
        for name, each in sealed.items():
            if name not in names:
                yield AuditFinding("object.missing", place + name, "it was sealed but is missing")
                continue
            path = self.folder / place / name
            if path.stat().st_size != each.plain_length:
                what = f"it has {path.stat().st_size} bytes; {each.plain_length} were sealed"
                yield AuditFinding("object.length", place + name, what)
            elif _sha256(path) != each.plain_sha256:
                yield AuditFinding("object.plain", place + name, "it differs from the sealed audio")
        for name in names:
            if name not in {*sealed, NAME, "about.json", "log.jsonl"} and not number_in(name):
                yield AuditFinding(
                    "object.unknown", place + name, "it is in the recording's folder but was not sealed"
                )

    def _logged(self, place: str, chain: Chain, sha256: str) -> Iterator[AuditFinding]:
        """Check the leaves about a recording, which must be among those of ``log/``."""
        name, stored, amended = f"{place}log.jsonl", False, set()
        try:
            lines = (self.folder / name).read_text("utf-8").splitlines()
        except (OSError, ValueError):
            lines = []
        known = set(self._texts)
        for line in lines:
            try:
                entry = json.loads(line)
                if entry["leaf"] not in known or not _commits(entry):
                    what = "body and salt do not match the commitment of a leaf in log/"
                    yield AuditFinding("body.changed", name, what)
                    continue
                body = json.loads(entry["body"] or "{}")
            except (ValueError, KeyError, TypeError):
                yield AuditFinding("leaf.changed", name, "it is not a leaf")
                continue
            stored |= body.get("manifest_sha256") == sha256
            amended |= {body["sha256"]} if "sha256" in body else set()
        if not stored:
            yield AuditFinding("row.unlogged", place + NAME, "no leaf records that it was stored")
        if missing := amended - {each.sha256 for each in chain.amendments}:
            what = f"the log records {len(missing)} amendments that are missing"
            yield AuditFinding("amendment.missing", place, what)

    # --- tables and announcements

    def _listed(self, names: list[str]) -> Iterator[tuple[str, str]]:
        """The recordings in the tables, each with the reason why it was left out (empty: it is included)."""
        for name in names:
            if name.startswith("tables/recordings-"):
                text = (self.folder / name).read_text("utf-8")
                for row in csv.DictReader(io.StringIO(text)):
                    if identity := (row.get("recording") or "").strip():
                        yield identity, (row.get("omitted") or "").strip()

    def _sounds(self, names: list[str]) -> Iterator[AuditFinding]:
        for name in names:
            path = self.folder / name
            if name.endswith(".wav") and name.startswith("announcements/") and _sha256(path) != path.stem:
                yield AuditFinding("object.plain", name, "it does not match the hash in its name")

    def _is_zeros(self, name: str) -> bool:
        with open(self.folder / name, "rb") as file:
            while piece := file.read(CHUNK_BYTES):
                if piece.strip(b"\0"):
                    return False
        return True


def _is_leaf(text: str, number: int) -> bool:
    entry = json.loads(text)
    return entry["number"] == number and text == leaf_text(
        entry["tenant"], number, entry["kind"], entry["at"], entry["commitment"]
    )


def _commits(entry: Mapping[str, Any]) -> bool:
    if entry["body"] is None and entry["salt"] is None:
        return True
    key = canonical_json.read_bytes(entry["salt"], 32, "leaf.salt")
    return bool(json.loads(entry["leaf"])["commitment"] == commitment(key, entry["body"].encode()))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
