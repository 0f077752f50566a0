#!/usr/bin/env python3
"""Checks a pack: the ZIP file in which a recording is handed over, with what shows that it is as it was
sealed.

    python3 verify_pack.py --root root.pub pack.zip
    python3 verify_pack.py --root-id 0123456789abcdef0123456789abcdef pack.zip

This file needs Python 3.11 and the package ``cryptography``, nothing else, and asks no network. Take it,
and the root's public key or its fingerprint, from the provider's own address and never from a pack: whoever
makes a false pack can put both into it.

It names point by point what holds, what does not, and what nobody can know from the pack. It ends with 0 if
nothing is wrong, with 1 if something is, and with 2 if it could not begin.

``accord recording verify`` uses this same file. The format is in docs/reference/formats.md."""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import re
import struct
import sys
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

HOLDS: Final = "holds"
FAILS: Final = "fails"
UNKNOWN: Final = "unknown"

LARGEST_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a file that is read whole; sound is read in pieces."""

MOST_FILES: Final = 20_000
PIECE: Final = 1024 * 1024

STATEMENT: Final = "data/statement.json"
MANIFEST: Final = "data/documents/manifest.json"
PAYLOAD_LIST: Final = "manifest-sha256.txt"
TAG_LIST: Final = "tagmanifest-sha256.txt"
BAGIT: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"

_AMENDMENT: Final = re.compile(r"data/documents/amendment-([0-9]{4})\.json")
_LEAF: Final = re.compile(r"data/log/leaf-([0-9]{10})\.json")
_CHECKPOINT: Final = re.compile(r"data/log/checkpoint-([0-9]{10})\.note")
_CONSISTENCY: Final = re.compile(r"data/log/consistency-[0-9]{10}-[0-9]{10}\.json")
_TIMESTAMP: Final = re.compile(r"data/timestamps/checkpoint-([0-9]{10})\.tsr")
_ENDORSEMENT: Final = re.compile(r"data/keys/([0-9a-f]{32})-[0-9a-f]{16}\.json")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_ORIGIN: Final = re.compile(r"accord/([0-9a-f]{32})/([0-9a-z][0-9a-z-]{0,62})/([1-9][0-9]{0,8})")


class PackRefusal(Exception):
    """Something is not as it was signed: a stable ``code``, and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class PackFinding:
    """Something that does not hold: a stable ``code``, the file, and a message."""

    code: str
    where: str
    message: str


@dataclass
class CheckPoint:
    """One point: its ``name``, and in words what holds or cannot be known. It fails by its findings."""

    name: str
    text: str
    state: str = HOLDS
    findings: list[PackFinding] = field(default_factory=list)

    def fail(self, code: str, where: str, message: str) -> None:
        self.state = FAILS
        self.findings.append(PackFinding(code, where, message))


@dataclass
class SignedDocument:
    """A document whose signature was verified up to the root."""

    body: Mapping[str, Any]
    sha256: str


@dataclass
class Checkpoint:
    """A verified checkpoint of a log."""

    tenant: str
    epoch: int
    size: int
    root: bytes
    number: int
    at: str
    note: bytes


# --- bytes, JSON and signatures


def sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def key_id_of(public: Ed25519PublicKey) -> str:
    """The first 32 hex digits of SHA-256 over the key's 32 bytes."""
    return sha256_hex(public.public_bytes(Encoding.Raw, PublicFormat.Raw))[:32]


def read_base64url(text: object, length: int) -> bytes:
    """Bytes in base64url without padding. Raises :class:`PackRefusal`."""
    try:
        data = base64.b64decode(str(text) + "=" * (-len(str(text)) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length or base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise PackRefusal("seal.field", f"not {length} bytes in base64url")
    return data


def read_json(content: bytes) -> dict[str, Any]:
    """A JSON object in canonical form (RFC 8785). Raises :class:`PackRefusal`."""
    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_read_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PackRefusal("seal.not_json", f"it is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise PackRefusal("seal.not_json", "it is not a JSON object")
    try:
        same = write_json(found) == content
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise PackRefusal("seal.not_canonical", "it is not in canonical form (RFC 8785)")
    return found


def write_json(value: Any) -> bytes:
    """The canonical form (RFC 8785), of names in ASCII alone. Raises ``ValueError``."""
    return "".join(_write(value)).encode("utf-8")


def _write(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool | str):
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, int):
        if abs(value) >= 2**53:
            raise ValueError("a number that others may round")
        yield str(value)
    elif isinstance(value, float):
        yield _write_number(value)
    elif isinstance(value, list):
        yield "["
        for number, each in enumerate(value):
            yield "," if number else ""
            yield from _write(each)
        yield "]"
    else:
        yield "{"
        for number, name in enumerate(sorted(value)):
            if not name.isascii():
                raise ValueError("a name beyond ASCII")
            yield "," if number else ""
            yield json.dumps(name) + ":"
            yield from _write(value[name])
        yield "}"


def _write_number(value: float) -> str:
    """A number that is not whole, as ECMAScript writes it."""
    text = repr(value)
    if value.is_integer() or value != value:
        raise ValueError("a whole number is written without a point")
    digits, _, exponent = text.partition("e")
    if not exponent:
        return text
    power = int(exponent)
    if power < -6:
        return f"{digits}e{power}"
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PackRefusal("seal.duplicate_field", "it has a field twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_signed(public: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _fields(value: object, *names: str) -> list[Any]:
    """The values of an object that has exactly these fields. Raises :class:`PackRefusal`."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise PackRefusal("seal.field", f"it does not have exactly the fields {', '.join(names)}")
    return [value[name] for name in names]


def _time(value: object) -> str:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise PackRefusal("seal.field", "a time is not in UTC with milliseconds")
    return value


@dataclass
class RootTrust:
    """What is given from outside the pack: the root's public key, and the keys that it revoked (id and
    time)."""

    root: Ed25519PublicKey
    revoked: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return key_id_of(self.root)

    def read_endorsement(self, document: object, use: str, at: str) -> Ed25519PublicKey:
        """The key that the root endorsed for a use at a time. Raises :class:`PackRefusal`."""
        body, signature = _fields(document, "body", "signature")
        constants = {"type": "accord-endorsement", "version": 1, "algorithm": "Ed25519"}
        if not isinstance(body, dict) or any(body.get(name) != each for name, each in constants.items()):
            raise PackRefusal("seal.field", "it has no endorsement")
        if body.get("root_key_id") != self.id:
            raise PackRefusal(
                "seal.endorsement_root",
                f"its key is endorsed by root {body.get('root_key_id')}, not {self.id}",
            )
        if not _is_signed(self.root, read_base64url(signature, 64), write_json(body)):
            raise PackRefusal("seal.endorsement_signature", "the root did not sign its key's endorsement")
        public = Ed25519PublicKey.from_public_bytes(read_base64url(body.get("public_key"), 32))
        identity = key_id_of(public)
        if body.get("key_id") != identity:
            raise PackRefusal("seal.endorsement_key", "the id of its key is not the key's hash")
        if use not in body.get("uses", ()):
            raise PackRefusal("seal.endorsement_use", f"key {identity} is not endorsed for {use}")
        if not _time(body.get("not_before")) <= at <= _time(body.get("not_after")):
            raise PackRefusal("seal.endorsement_time", f"key {identity} was not endorsed at {at}")
        if identity in self.revoked and at >= self.revoked[identity]:
            raise PackRefusal(
                "seal.key_revoked", f"the root revoked key {identity} from {self.revoked[identity]} on"
            )
        return public

    def read_document(self, content: bytes, kind: str, use: str, signed_at: str) -> SignedDocument:
        """A signed document of a kind. Raises :class:`PackRefusal`."""
        body, endorsement, signatures = _fields(read_json(content), "body", "endorsement", "signatures")
        if not isinstance(body, dict) or (body.get("type"), body.get("version")) != (kind, 1):
            raise PackRefusal("seal.field", f"it is no {kind}, version 1")
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise PackRefusal("seal.field", "it does not have one signature")
        algorithm, key, signature = _fields(signatures[0], "algorithm", "key_id", "signature")
        public = self.read_endorsement(endorsement, use, _time(body.get(signed_at)))
        if algorithm != "Ed25519" or key != key_id_of(public):
            raise PackRefusal("seal.signature", "it is signed by another key than the endorsed one")
        if not _is_signed(public, read_base64url(signature, 64), write_json(body)):
            raise PackRefusal("seal.signature", "its signature is wrong: it was changed after it was signed")
        return SignedDocument(body, sha256_hex(content))

    def read_checkpoint(self, note: bytes, endorsements: Mapping[str, list[Any]]) -> Checkpoint:
        """A checkpoint in a signed note, with the endorsements that there are by key. Raises
        :class:`PackRefusal`."""
        try:
            text, signatures = note.decode("utf-8").split("\n\n")
            lines = text.split("\n")
            origin = _ORIGIN.fullmatch(lines[0])
            root = base64.b64decode(lines[2], validate=True)
            number, at, key, before = (
                line.removeprefix(f"{word} ")
                for word, line in zip(("number", "at", "key", "before"), lines[3:], strict=True)
            )
            canonical = (
                f"{lines[0]}\n{int(lines[1])}\n{base64.b64encode(root).decode()}\nnumber {int(number)}\n"
            )
            canonical += f"at {at}\nkey {key}\nbefore {before}"
            if origin is None or len(root) != 32 or canonical != text:
                raise ValueError
        except (ValueError, IndexError, UnicodeDecodeError):
            raise PackRefusal("checkpoint.form", "it is not a checkpoint of Accord's") from None
        if origin[1] != self.id:
            raise PackRefusal("checkpoint.root", f"it belongs to root {origin[1]}, not {self.id}")
        public = self._find_key(key, endorsements.get(key, []), at)
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        short = hashlib.sha256(lines[0].encode() + b"\n\x01" + raw).digest()[:4]
        own = [
            _note_signature(line)
            for line in signatures.splitlines()
            if line.startswith(f"\u2014 {lines[0]} ")
        ]
        mine = [each[4:] for each in own if each[:4] == short]
        if not mine or not all(_is_signed(public, each, f"{text}\n".encode()) for each in mine):
            raise PackRefusal("checkpoint.signature", f"key {key} did not sign it")
        return Checkpoint(origin[2], int(origin[3]), int(lines[1]), root, int(number), at, note)

    def _find_key(self, key: str, endorsements: list[Any], at: str) -> Ed25519PublicKey:
        """The key of a checkpoint, by the first of its endorsements that counts. Raises
        :class:`PackRefusal`."""
        refusal = PackRefusal("checkpoint.key_unknown", f"the pack has no endorsement of its key {key}")
        for each in endorsements:
            try:
                public = self.read_endorsement(each, "checkpoint", _time(at))
                if key_id_of(public) == key:
                    return public
            except PackRefusal as error:
                refusal = error
        raise refusal


def _note_signature(line: str) -> bytes:
    try:
        return base64.b64decode(line.rpartition(" ")[2], validate=True)
    except (binascii.Error, ValueError):
        return b""


# --- the Merkle tree (RFC 6962; RFC 9162, sections 2.1.3.2 and 2.1.4.2)


def _hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def is_included(leaf: bytes, number: int, size: int, path: list[bytes], root: bytes) -> bool:
    if not 0 <= number < size:
        return False
    at, last, found = number, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _hash_node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _hash_node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def is_continued(old: int, size: int, path: list[bytes], old_root: bytes, root: bytes) -> bool:
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    rest = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not rest:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            found_old, found = _hash_node(sibling, found_old), _hash_node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _hash_node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found_old == old_root and found == root


# --- the ZIP file


class PackArchive:
    """The files of a pack, by their names below its top folder."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises :class:`PackRefusal` for what two programs would unpack differently."""
        self._archive = archive
        infos = archive.infolist()
        if len(infos) > MOST_FILES:
            raise PackRefusal("pack.too_many", f"the ZIP has more than {MOST_FILES} files")
        if infos and min(each.header_offset for each in infos) != 0:
            raise PackRefusal("pack.hidden", "something is in front of the ZIP's first file")
        top = ""
        self._entries: dict[str, zipfile.ZipInfo] = {}
        folds: set[str] = set()
        for each in infos:
            name = each.orig_filename
            folder, _, rest = name.partition("/")
            top = top or folder
            if folder != top or not _NAME.fullmatch(name) or not rest or len(name) > 200:
                raise PackRefusal("pack.name", f"{name!r} is not a name of a file below the ZIP's one folder")
            if (each.external_attr >> 16) & 0o170000 not in (0, 0o100000) or each.flag_bits & 1:
                raise PackRefusal("pack.name", f"{name!r} is encrypted, or is no file")
            if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise PackRefusal("pack.name", f"{name!r} is compressed in an unusual way")
            fold = unicodedata.normalize("NFKC", name).casefold()
            if fold in folds:
                raise PackRefusal(
                    "pack.name_twice", f"the ZIP has {name!r} twice: programs would show different ones"
                )
            folds.add(fold)
            self._entries[rest] = each
        self._sums: dict[str, tuple[str, int]] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._entries)

    def matches(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
        """The names of a pattern, each with the pattern's group."""
        for name in self.names:
            if found := pattern.fullmatch(name):
                yield name, found[1] if pattern.groups else ""

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises :class:`PackRefusal`."""
        info = self._entries.get(name)
        if info is None:
            raise PackRefusal("pack.missing", "it is not in the pack")
        if info.file_size > LARGEST_DOCUMENT:
            raise PackRefusal("pack.too_large", f"it has more than {LARGEST_DOCUMENT} bytes")
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file's bytes in pieces. Raises :class:`PackRefusal`."""
        info, left = self._entries[name], self._entries[name].file_size
        try:
            with self._archive.open(info) as file:
                while piece := file.read(PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise PackRefusal("pack.damaged", "it is longer than the ZIP says")
                    yield piece
        except (zipfile.BadZipFile, OSError, EOFError, struct.error, ValueError) as error:
            raise PackRefusal("pack.damaged", f"the ZIP is damaged: {error}") from None

    def sum(self, name: str) -> tuple[str, int]:
        """A file's SHA-256 and length, computed once. Raises :class:`PackRefusal`."""
        if name not in self._sums:
            sha256, length = hashlib.sha256(), 0
            for piece in self.pieces(name):
                sha256.update(piece)
                length += len(piece)
            self._sums[name] = sha256.hexdigest(), length
        return self._sums[name]


# --- the checks


CANNOT_KNOW: Final = (
    "whether the root key that you gave is the provider's: compare its fingerprint with one that you have "
    "from elsewhere",
    "what was amended, withdrawn or listened to after the newest checkpoint in the pack, and what the log "
    "says of other things: ask for a newer pack",
    "whether a key was revoked, unless you gave the provider's revocations (--revocation)",
    "who spoke: the telephone network gave the numbers, nobody checked the voices, and the statement alone "
    "says which number the sealed, encrypted one is",
    "what was said before the announcement ended and in the other gaps: it was never kept",
)


class PackCheck:
    """The check of one pack, point by point."""

    def __init__(self, archive: PackArchive, trust: RootTrust) -> None:
        self.archive, self.trust = archive, trust
        self.points: list[CheckPoint] = []
        self.facts: dict[str, Any] = {}
        self._statement: Mapping[str, Any] = {}
        self._manifest: SignedDocument | None = None
        self._amendments: list[SignedDocument] = []
        self._endorsements: dict[str, list[Any]] = {}
        self._checkpoints: dict[int, Checkpoint] = {}

    def run(self) -> None:
        """Make every check."""
        self._check_lists()
        self._check_statement()
        self._check_manifest()
        self._check_amendments()
        self._check_sound()
        self._check_checkpoints()
        self._check_leaves()
        self._check_timestamps()

    def _point(self, name: str, text: str) -> CheckPoint:
        self.points.append(CheckPoint(name, text))
        return self.points[-1]

    def _check_lists(self) -> None:
        point = self._point(
            "files", "every file has the SHA-256 in the lists of the pack, and no file is beside them"
        )
        if "bagit.txt" not in self.archive.names or self._read(point, "bagit.txt") != BAGIT:
            point.fail("pack.bagit", "bagit.txt", "it is not a bag as BagIt 1.0 has it")
        tags = {name for name in self.archive.names if not name.startswith("data/")} - {TAG_LIST}
        payload = {name for name in self.archive.names if name.startswith("data/")}
        for list_name, names in ((PAYLOAD_LIST, payload), (TAG_LIST, tags)):
            listed: dict[str, str] = {}
            for line in self._read(point, list_name).decode("utf-8", "replace").splitlines():
                digest, _, name = line.partition("  ")
                if name in listed:
                    point.fail("pack.name_twice", list_name, f"it lists {name!r} twice")
                listed[name] = digest
            self._compare(point, list_name, listed, names)

    def _compare(self, point: CheckPoint, by: str, listed: Mapping[str, str], names: set[str]) -> None:
        for name in sorted(names - set(listed)):
            point.fail("pack.added", name, f"{by} does not list it")
        for name in sorted(set(listed) - names):
            point.fail("pack.missing", name, f"{by} lists it, and it is not in the pack")
        for name in sorted(names & set(listed)):
            self._sum(point, name, listed[name], by)

    def _sum(self, point: CheckPoint, name: str, sha256: object, by: str) -> None:
        try:
            if self.archive.sum(name)[0] != sha256:
                point.fail("pack.changed", name, f"its SHA-256 is not the one in {by}")
        except PackRefusal as error:
            point.fail(error.code, name, str(error))

    def _read(self, point: CheckPoint, name: str) -> bytes:
        try:
            return self.archive.read(name)
        except PackRefusal as error:
            point.fail(error.code, name, str(error))
            return b""

    def _check_statement(self) -> None:
        point = self._point("statement", "the provider's panel signed a statement about exactly these files")
        try:
            body = self.trust.read_document(
                self.archive.read(STATEMENT), "accord-pack", "disclosure", "at"
            ).body
            files = {str(each["name"]): each for each in body["files"]}
            names = {*self.archive.names} - {STATEMENT, PAYLOAD_LIST, TAG_LIST}
            self._compare(
                point, "the statement", {name: each["sha256"] for name, each in files.items()}, names
            )
            for name in sorted(names & set(files)):
                if self.archive.sum(name)[1] != files[name]["length"]:
                    point.fail("pack.changed", name, "its length is not the one in the statement")
        except PackRefusal as error:
            point.fail(error.code, STATEMENT, str(error))
            return
        except (KeyError, TypeError, AttributeError):
            point.fail("seal.field", STATEMENT, "it does not have the fields of a statement")
            return
        self._statement = body
        self.facts["handed_over_at"] = body["at"]

    def _check_manifest(self) -> None:
        point = self._point("seal", "the recorder sealed the recording, and the seal is unchanged")
        try:
            found = self.trust.read_document(
                self.archive.read(MANIFEST), "accord-manifest", "manifest", "sealed_at"
            )
        except PackRefusal as error:
            point.fail(error.code, MANIFEST, str(error))
            return
        self._manifest = found
        body = found.body
        self.facts |= {
            name: body.get(name) for name in ("recording", "tenant", "started_at", "sealed_at", "duration_ms")
        }
        statement_ids = tuple(
            self._statement.get(name) for name in ("tenant", "recording", "manifest_sha256")
        )
        if self._statement and statement_ids != (body.get("tenant"), body.get("recording"), found.sha256):
            point.fail("pack.other_recording", MANIFEST, "it is not the one that the statement names")

    def _check_amendments(self) -> None:
        point = self._point(
            "amendments", "what was added since is signed, in order, and none is missing in between"
        )
        names = list(self.archive.matches(_AMENDMENT))
        before = "" if self._manifest is None else self._manifest.sha256
        for number, (name, digits) in enumerate(names, 1):
            try:
                content = self.archive.read(name)
                found = self._read_amendment(content)
                if int(digits) != number or found.body.get("number") != number:
                    raise PackRefusal("amendment.missing", f"amendment {number} is not here")
                if self._manifest is not None and any(
                    found.body.get(each) != self._manifest.body.get(each) for each in ("tenant", "recording")
                ):
                    raise PackRefusal("amendment.foreign", "it is an amendment of another recording")
                if found.body.get("predecessor") != before:
                    raise PackRefusal("amendment.predecessor", "it does not continue the document before it")
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
                return
            before = found.sha256
            self._amendments.append(found)
        hashes = self._statement.get("amendments")
        if hashes is not None and hashes != [each.sha256 for each in self._amendments]:
            point.fail(
                "amendment.missing", STATEMENT, "the statement names other amendments than the pack has"
            )
        if not names and point.state == HOLDS:
            point.text = "nothing was added since it was sealed, as far as the pack goes"

    def _read_amendment(self, content: bytes) -> SignedDocument:
        kind = read_json(content).get("body", {})
        kind = kind.get("kind") if isinstance(kind, dict) else None
        use = {"erased": "tombstone", "outcome_added": "manifest"}.get(str(kind), "amendment")
        return self.trust.read_document(content, "accord-amendment", use, "at")

    def _check_sound(self) -> None:
        point = self._point("sound", "the sound is, whole, what was sealed")
        try:
            if self._manifest is None:
                raise PackRefusal("pack.missing", "without a manifest nothing says what was sealed")
            sealed = {str(each["name"]): each for each in self._manifest.body["objects"]}
            sounds = {str(each["file"]): each for each in self._statement["sounds"]}
            here = {name for name in self.archive.names if name.startswith("data/sound/")}
            if here != set(sounds) or not any(each["as_sealed"] is True for each in sounds.values()):
                raise PackRefusal(
                    "pack.sound", "the statement names other sound than the pack has, or none as sealed"
                )
            for name, each in sorted(sounds.items()):
                if each["object"] not in sealed:
                    raise PackRefusal("pack.sound", f"{name} is of {each['object']}, which was not sealed")
                self._check_one_sound(point, name, each["as_sealed"], sealed[each["object"]])
        except PackRefusal as error:
            point.fail(error.code, "data/sound/", str(error))
        except (KeyError, TypeError, AttributeError):
            point.fail(
                "pack.sound", "data/sound/", "the statement or the manifest does not say which sound there is"
            )

    def _check_one_sound(
        self, point: CheckPoint, name: str, as_sealed: object, stored: Mapping[str, Any]
    ) -> None:
        sha256, length = self.archive.sum(name)
        if as_sealed is True:
            if (sha256, length) != (stored["plain_sha256"], stored["plain_length"]):
                point.fail("object.plain", name, f"it is not the sealed sound {stored['name']}")
            return
        assert self._manifest is not None
        body = self._manifest.body
        frames = body["duration_ms"] * body["sample_rate"] // 1000
        if length != 44 + frames * 4:
            point.fail("object.length", name, "it is not as long as the recording")
        self._unknown(
            "converted",
            f"{name} was decoded from the sealed {stored['name']}: the statement's signer says so, and only "
            "decoding it again would show it. The other sound file is the sealed one itself",
        )

    def _unknown(self, name: str, text: str) -> None:
        self.points.append(CheckPoint(name, text, UNKNOWN))

    def _check_checkpoints(self) -> None:
        names = list(self.archive.matches(_CHECKPOINT))
        if not names:
            self._unknown("checkpoints", "no checkpoint covers the recording's entry in the log yet")
            return
        point = self._point(
            "checkpoints", "the state of the log was signed, and each later state continues the earlier"
        )
        for name, identity in self.archive.matches(_ENDORSEMENT):
            try:
                self._endorsements.setdefault(identity, []).append(read_json(self.archive.read(name)))
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
        for name, digits in names:
            try:
                found = self.trust.read_checkpoint(self.archive.read(name), self._endorsements)
                if found.number != int(digits):
                    raise PackRefusal("checkpoint.other", "it has another number")
                if self._manifest is not None and found.tenant != self._manifest.body.get("tenant"):
                    raise PackRefusal("checkpoint.other", "it is of another log")
                self._checkpoints[found.number] = found
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
        if not self._checkpoints:
            return
        newest = self._checkpoints[max(self._checkpoints)]
        self.facts["log_signed_at"] = newest.at
        continued = {newest.number}
        for name, _ in self.archive.matches(_CONSISTENCY):
            try:
                continued.add(self._check_consistency(name, newest))
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
        for number in sorted(set(self._checkpoints) - continued):
            what = f"nothing shows that checkpoint {newest.number} continues it"
            point.fail("checkpoint.not_followed", f"data/log/checkpoint-{number:010}.note", what)

    def _check_consistency(self, name: str, newest: Checkpoint) -> int:
        """The number of the checkpoint that the newest one continues. Raises :class:`PackRefusal`."""
        kind, version, path, before, after = _fields(
            read_json(self.archive.read(name)), "type", "version", "path", "before", "after"
        )
        if (kind, version) != ("accord-log-consistency", 1) or not isinstance(path, list):
            raise PackRefusal("seal.field", "it is not a consistency proof")
        ends = []
        for end in (before, after):
            note, endorsement = _fields(end, "checkpoint", "endorsement")
            body = endorsement.get("body") if isinstance(endorsement, dict) else None
            key = body.get("key_id") if isinstance(body, dict) else None
            ends.append(self.trust.read_checkpoint(str(note).encode(), {str(key): [endorsement]}))
        old, new = ends
        if new.note != newest.note or self._checkpoints.get(old.number, newest).note != old.note:
            raise PackRefusal("checkpoint.other", "it is about other checkpoints than those of the pack")
        hashes = [_hex(each) for each in path]
        same = (old.tenant, old.epoch) == (new.tenant, new.epoch)
        if not same or not is_continued(old.size, new.size, hashes, old.root, new.root):
            raise PackRefusal(
                "checkpoint.not_followed", f"checkpoint {new.number} does not continue {old.number}"
            )
        return old.number

    def _check_leaves(self) -> None:
        point = self._point("log", "the log has the recording, its amendments, and who was given its sound")
        bodies: list[tuple[str, dict[str, Any]]] = []
        unsigned = 0
        for name, digits in self.archive.matches(_LEAF):
            try:
                kind, body, is_signed = self._check_leaf(name, int(digits))
                bodies.append((kind, body))
                unsigned += not is_signed
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
        if self._manifest is None:
            return
        stored = [body for kind, body in bodies if kind in ("recording.stored", "recording.rebuilt")]
        if self._manifest.sha256 not in {body.get("manifest_sha256") for body in stored}:
            point.fail("row.unlogged", MANIFEST, "no leaf in the pack says that this recording was stored")
        amended = {str(body.get("sha256")) for kind, body in bodies if kind == "recording.amended"}
        here = {each.sha256 for each in self._amendments}
        for _ in sorted(amended - here):
            point.fail(
                "amendment.missing", "data/documents/", "the log has an amendment that the pack has not"
            )
        for _ in sorted(here - amended):
            point.fail("row.unlogged", "data/documents/", "the pack has an amendment that the log has not")
        if unsigned:
            self._unknown(
                "unsigned",
                f"{unsigned} leaves are newer than the newest checkpoint: no signature covers them yet",
            )

    def _check_leaf(self, name: str, number: int) -> tuple[str, dict[str, Any], bool]:
        """The kind and the body of a leaf, and whether a checkpoint covers it. Raises
        :class:`PackRefusal`."""
        content = self.archive.read(name)
        leaf = read_json(content)
        _fields(leaf, "at", "commitment", "format", "kind", "number", "tenant")
        if leaf["number"] != number:
            raise PackRefusal("leaf.changed", "it has another number")
        if self._manifest is not None and leaf["tenant"] != self._manifest.body.get("tenant"):
            raise PackRefusal("leaf.changed", "it is of another log")
        stem = name.removesuffix(".json")
        text, salt = _fields(read_json(self.archive.read(f"{stem}.body.json")), "body", "salt")
        commitment = hmac.digest(read_base64url(salt, 32), str(text).encode(), "sha256").hex()
        if leaf["commitment"] != commitment:
            raise PackRefusal("body.changed", "its body does not match its commitment")
        body = read_json(str(text).encode())
        if self._manifest is not None and body.get("recording") not in (
            None,
            self._manifest.body.get("recording"),
        ):
            raise PackRefusal("pack.other_recording", "it is about another recording")
        if f"{stem}.tlog-proof" not in self.archive.names:
            newest = max(self._checkpoints.values(), key=lambda each: each.number, default=None)
            if newest is not None and number < newest.size:
                raise PackRefusal("leaf.not_in_it", "nothing shows that the log has it")
            return str(leaf["kind"]), body, False
        self._check_inclusion(content, number, self.archive.read(f"{stem}.tlog-proof"))
        return str(leaf["kind"]), body, True

    def _check_inclusion(self, leaf: bytes, number: int, proof: bytes) -> None:
        head, _, note = proof.partition(b"\n\n")
        lines = head.decode("utf-8", "replace").split("\n")
        if lines[0] != PROOF_HEADER or lines[1:2] != [f"index {number}"]:
            raise PackRefusal(
                "leaf.not_in_it", "its proof is not one of a transparency log, or of another leaf"
            )
        found = next((each for each in self._checkpoints.values() if each.note == note), None)
        if found is None:
            raise PackRefusal(
                "leaf.not_in_it", "its proof is for a checkpoint that the pack has not, or that is wrong"
            )
        try:
            path = [base64.b64decode(line, validate=True) for line in lines[2:]]
        except (binascii.Error, ValueError):
            path = []
        if not is_included(leaf, number, found.size, path, found.root):
            raise PackRefusal("leaf.not_in_it", "it is not in the log that was signed")

    def _check_timestamps(self) -> None:
        names = list(self.archive.matches(_TIMESTAMP))
        if not names:
            self._unknown(
                "timestamps",
                "no independent authority's timestamp is in the pack: times are the provider's own",
            )
            return
        point = self._point("timestamps", "an authority's timestamp is over a checkpoint of the pack")
        times = []
        for name, digits in names:
            try:
                found = self._checkpoints.get(int(digits))
                if found is None:
                    raise PackRefusal("timestamp.wrong", "the pack has no such checkpoint, or it is wrong")
                imprint, at = read_timestamp(self.archive.read(name))
                if imprint != hashlib.sha256(found.note).digest():
                    raise PackRefusal("timestamp.wrong", "it is a timestamp of something else")
                times.append(f"checkpoint {found.number}: {at}")
            except PackRefusal as error:
                point.fail(error.code, name, str(error))
        point.text += f" ({'; '.join(times)})"
        self._unknown(
            "authority",
            "whether the timestamps are the authority's: `openssl ts -verify` shows it, with the authority's "
            "certificate (the lines are in data/check-with-openssl.txt)",
        )


def _hex(text: object) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        raise PackRefusal("seal.field", "a hash is not in hex") from None


def read_timestamp(token: bytes) -> tuple[bytes, str]:
    """The hash and the time in a timestamp response (RFC 3161, DER), without checking the authority's
    signature. Raises :class:`PackRefusal`."""
    try:
        _status, signed = _der_items(_der(token, 0x30))[:2]
        content = _der_items(_der(_der_items(signed[1])[1][1], 0x30))
        wrapped = _der_items(content[2][1])[1][1]
        info = _der_items(_der(_der(wrapped, 0x04), 0x30))
        imprint = _der_items(info[2][1])
        algorithm = _der_items(imprint[0][1])[0][1]
        time = next(value for tag, value in info[4:] if tag == 0x18).decode("ascii")
    except (IndexError, ValueError, StopIteration):
        raise PackRefusal("timestamp.wrong", "it is not a timestamp response") from None
    if algorithm != bytes.fromhex("608648016503040201"):
        raise PackRefusal("timestamp.wrong", "it is not over a SHA-256")
    return imprint[1][1], time


def _der(content: bytes, tag: int) -> bytes:
    found = _der_items(content)
    if len(found) != 1 or found[0][0] != tag:
        raise ValueError
    return found[0][1]


def _der_items(content: bytes) -> list[tuple[int, bytes]]:
    """The elements of a DER sequence: tag and content."""
    found, at = [], 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(content[at : at + count])
            at += count
        if at + length > len(content):
            raise ValueError
        found.append((tag, content[at : at + length]))
        at += length
    return found


# --- what is given from outside, and the command


def read_root(content: bytes) -> Ed25519PublicKey:
    """A public key in PEM. Raises ``ValueError``."""
    public = load_pem_public_key(content)
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError("it is not an Ed25519 key")
    return public


def read_revocation(content: bytes, root: Ed25519PublicKey | str) -> tuple[str, str]:
    """The id of a key that the root revoked, and since when. Raises :class:`PackRefusal`."""
    if isinstance(root, str):
        raise PackRefusal("keys.bad_revocation", "give the root's public key (--root) with a revocation")
    body, signature = _fields(read_json(content.strip()), "body", "signature")
    kind, version, key, since, by = _fields(body, "type", "version", "key_id", "since", "root_key_id")
    is_signed = _is_signed(root, read_base64url(signature, 64), write_json(body))
    if (kind, version, by) != ("accord-revocation", 1, key_id_of(root)) or not is_signed:
        raise PackRefusal("keys.bad_revocation", "it is not a revocation by this root")
    return str(key), _time(since)


@dataclass
class PackResult:
    """What a check found: the ``points``, and ``facts`` that verified documents say."""

    points: list[CheckPoint]
    facts: Mapping[str, Any]

    @property
    def intact(self) -> bool:
        return all(point.state != FAILS for point in self.points)


def verify_pack(path: str, root: Ed25519PublicKey | str, revoked: Mapping[str, str]) -> PackResult:
    """Check a pack. ``root`` is the root's public key or, if it is to be taken from the pack, the id that it
    must have; ``revoked`` are the ids of the keys that it revoked, with the time since when. Raises
    ``OSError``."""
    point = CheckPoint("zip", "the ZIP file has each name once, all in one folder")
    try:
        with zipfile.ZipFile(path) as zip_file:
            archive = PackArchive(zip_file)
            public = root if isinstance(root, Ed25519PublicKey) else _root_in(archive, root)
            check = PackCheck(archive, RootTrust(public, revoked))
            check.run()
    except zipfile.BadZipFile as error:
        point.fail("pack.damaged", path, f"it is not a ZIP file that can be read: {error}")
        return PackResult([point], {})
    except PackRefusal as error:
        point.fail(error.code, path, str(error))
        return PackResult([point], {})
    unknown = [CheckPoint("limits", text, UNKNOWN) for text in CANNOT_KNOW]
    return PackResult([point, *check.points, *unknown], check.facts)


def _root_in(archive: PackArchive, identity: str) -> Ed25519PublicKey:
    """The pack's copy of the root's key, if it is the one that was named. Raises :class:`PackRefusal`."""
    try:
        public = read_root(archive.read("data/keys/root.pem"))
    except ValueError:
        raise PackRefusal(
            "seal.endorsement_root", "the pack's copy of the root's key cannot be read"
        ) from None
    found = sha256_hex(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    if len(identity) not in (32, 64) or not found.startswith(identity.lower()):
        raise PackRefusal("seal.endorsement_root", f"the pack's root key is {found[:32]}, not {identity}")
    return public


MARKS: Final = {HOLDS: "holds", FAILS: "DOES NOT HOLD", UNKNOWN: "cannot be known"}


def describe(result: PackResult) -> Iterator[str]:
    """The result, line by line."""
    for point in result.points:
        yield f"{MARKS[point.state] + ':':17}{point.text}"
        for each in point.findings:
            yield f"{'':17}{each.code}  {each.where}: {each.message}"
    yield "as it was sealed" if result.intact else "NOT as it was sealed"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check a pack, with the root's public key or its fingerprint."
    )
    parser.add_argument("pack", help="the ZIP file")
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--root", help="the root's public key (PEM), from elsewhere than the pack")
    key.add_argument("--root-id", help="its fingerprint: 32 or 64 hex digits, from elsewhere than the pack")
    parser.add_argument(
        "--revocation", action="append", default=[], help="a key that the root revoked; repeatable"
    )
    options = parser.parse_args(arguments)
    try:
        root: Ed25519PublicKey | str = options.root_id or ""
        if options.root:
            with open(options.root, "rb") as file:
                root = read_root(file.read())
        revoked: dict[str, str] = {}
        for name in options.revocation:
            with open(name, "rb") as file:
                identity, since = read_revocation(file.read(), root)
            revoked[identity] = min(since, revoked.get(identity, since))
        result = verify_pack(options.pack, root, revoked)
    except (OSError, ValueError, PackRefusal) as error:
        print(f"cannot begin: {error}", file=sys.stderr)
        return 2
    for line in describe(result):
        print(line)
    return 0 if result.intact else 1


if __name__ == "__main__":
    sys.exit(main())
