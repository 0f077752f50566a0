"""Verification of a recording from the root's public key and its files alone.

The checks in order; each finding has its check's number and a stable code:

 1. there is a manifest: ``manifest.missing``
 2. it is in canonical form, of a known version, without unknown fields, and without contradictions:
    ``seal.not_json``, ``seal.duplicate_field``, ``seal.not_canonical``, ``seal.version``,
    ``seal.unknown_field``, ``seal.field``, ``seal.contradiction``
 3. the root endorsed its signing key, for manifests, at that time: ``seal.endorsement_root``,
    ``…_signature``, ``…_key``, ``…_use``, ``…_time``; and had not revoked it by then (an amendment's key
    likewise): ``seal.key_revoked``
 4. the signature is that key's, and not from the future: ``seal.signature``, ``seal.from_the_future``
 5. its place matches its tenant, day and id: ``manifest.place``
 6. every object is there, with its length: ``object.missing``, ``object.length``
 7. every stored block, and the whole, has its SHA-256: ``object.block``, ``object.hash``
 8. there is no other object: ``object.unknown``

and with the key-encryption key:

 9. the wrapped keys are there, open, and are the sealed ones: ``key.missing``, ``seal.key_kind``,
    ``seal.key_foreign``, ``seal.key_damaged``, ``seal.kek_missing``, or a code of check 2
10. every object decrypts to its plain length and SHA-256: ``object.decryption``, ``object.plain``
11. the parties decrypt: ``parties.decryption``

For an erased recording, checks 6 and 9 are that its objects and its key are gone (``object.not_erased``,
``key.not_erased``), and 7, 10 and 11 are skipped.

12. amendments are in order, none missing, duplicated or of another recording, and each signed by a key
    that the root endorsed for amendments: ``amendment.missing``, ``amendment.doubled``,
    ``amendment.foreign``, ``amendment.predecessor``, ``amendment.contradiction``, ``amendment.kind``, or a
    code of checks 2 to 4

An unavailable store is raised as an error, not reported as a finding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.errors import SealError, StoreError
from recorder.seal import streaming_aead
from recorder.seal.amendment import Amendment, number_in
from recorder.seal.amendment_chain import Chain, amendments_in, read_chain
from recorder.seal.data_key import open_data_key
from recorder.seal.document_source import DocumentSource, read_document
from recorder.seal.keyring import (
    RESTORE,
    Keyring,
    Secret,
    WrappedKey,
    data_key_path,
    recording_of_path,
    tenant_key_path,
)
from recorder.seal.manifest import MAX_BYTES, Manifest, Object, decrypt_parties
from recorder.seal.revocation import Revoked, find_revoked_documents
from recorder.seal.sealing import NAME, open_manifest

CHECKS = {
    1: "there is a manifest",
    2: "its form and version",
    3: "the root endorsed its signing key",
    4: "its signature",
    5: "its place",
    6: "every object is there, with its length",
    7: "every stored block",
    8: "nothing else lies there",
    9: "the wrapped keys",
    10: "every object's plain bytes",
    11: "the parties",
    12: "the amendments",
}

_WINDOW = 16 * streaming_aead.SEGMENT


@dataclass(frozen=True, slots=True)
class SealFinding:
    """A difference from the sealed recording.  ``check`` is a key of :data:`CHECKS`, ``where`` the object's
    key, ``blocks`` the numbers of its changed stored blocks."""

    check: int
    code: str
    where: str
    message: str
    blocks: tuple[int, ...] = ()


@dataclass(slots=True)
class VerificationReport:
    """The completed checks and their findings.  ``checked`` has the numbers of the checks that completed;
    ``manifest`` is ``None`` where it is invalid; ``chain`` are its amendments."""

    manifest: Manifest | None = None
    manifest_sha256: str = ""
    chain: Chain | None = None
    findings: list[SealFinding] = field(default_factory=list)
    checked: list[int] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, check: int, code: str, where: str, message: str, blocks: Iterable[int] = ()) -> None:
        self.findings.append(SealFinding(check, code, where, message, tuple(blocks)))


def verify(
    source: DocumentSource,
    prefix: str,
    root: Ed25519PublicKey,
    keyring: Keyring | None = None,
    now: datetime | None = None,
    revoked: Revoked | None = None,
) -> VerificationReport:
    """Verify one recording.

    ``prefix`` is its place with a slash at the end, or empty for a folder with only this recording (check 5
    is then skipped).  Reads every stored byte once, a MiB at a time.  Raises
    :class:`recorder.errors.StoreError` where the store is unavailable or refuses.
    """
    report = VerificationReport()
    manifest = _manifest(source, prefix, root, now, report)  # 1 to 4
    if manifest is None:
        return report
    report.manifest = manifest
    if prefix:
        _place(manifest, prefix, report)  # 5
    names = [key.removeprefix(prefix) for key in source.list(prefix)]
    if _amendments(source, prefix, manifest, names, root, now, report):  # 12
        _check_erasure(source, prefix, manifest, names, report)  # 6 and 9 of a tombstone
    else:
        _whole(source, prefix, manifest, keyring, report)
    if report.chain is not None:  # 3
        for name, what in find_revoked_documents(report.chain, revoked or {}):
            report.add(3, "seal.key_revoked", prefix + name, what)
    _nothing_else(prefix, manifest, names, report)  # 8
    report.checked.sort()
    return report


def _whole(
    source: DocumentSource,
    prefix: str,
    manifest: Manifest,
    keyring: Keyring | None,
    report: VerificationReport,
) -> None:
    there = [each for each in manifest.objects if _there(source, prefix, each, report)]  # 6
    report.checked += [6, 7]
    data_key = None if keyring is None else _keys(source, manifest, keyring, report)  # 9
    for each in there:
        _object(source, prefix, manifest, each, data_key, report)  # 7 and 10
    if data_key is not None:
        report.checked.append(10)
        _parties(manifest, prefix, data_key, report)  # 11


def _manifest(
    source: DocumentSource,
    prefix: str,
    root: Ed25519PublicKey,
    now: datetime | None,
    report: VerificationReport,
) -> Manifest | None:
    content = _read(source, prefix + NAME, MAX_BYTES)
    if content is None:
        report.add(
            1, "manifest.missing", prefix + NAME, "there is no manifest: no recording was committed here"
        )
        return None
    report.checked.append(1)
    report.manifest_sha256 = hashlib.sha256(content).hexdigest()
    try:
        manifest = open_manifest(content, root, now)
    except SealError as error:
        report.add(_check_of(error.error_id), error.error_id, prefix + NAME, error.message)
        return None
    report.checked += [2, 3, 4]
    return manifest


def _check_of(error_id: str) -> int:
    if error_id.startswith("seal.endorsement"):
        return 3
    return 4 if error_id in ("seal.signature", "seal.from_the_future") else 2


def _place(manifest: Manifest, prefix: str, report: VerificationReport) -> None:
    report.checked.append(5)
    if manifest.prefix != prefix:
        report.add(
            5,
            "manifest.place",
            prefix + NAME,
            f"the manifest belongs at {manifest.prefix}, and is at {prefix}",
        )


def _there(source: DocumentSource, prefix: str, each: Object, report: VerificationReport) -> bool:
    key = prefix + each.name
    try:
        size = source.size(key)
    except StoreError as error:
        if error.error_id != "store.not_found":
            raise
        report.add(6, "object.missing", key, "the object is missing")
        return False
    if size != each.stored_length:
        report.add(6, "object.length", key, f"it has {size} bytes; {each.stored_length} were sealed")
    return True


def _keys(
    source: DocumentSource, manifest: Manifest, keyring: Keyring, report: VerificationReport
) -> Secret | None:
    tenant_at = tenant_key_path(manifest.tenant)
    data_at = data_key_path(manifest.tenant, manifest.recording)
    found = []
    for key in (tenant_at, data_at):
        content = _read(source, key, WrappedKey.MAX_BYTES)
        if content is None:
            report.add(9, "key.missing", key, "the wrapped key is missing")
        else:
            found.append(content)
    if len(found) != 2:
        return None
    where = tenant_at
    try:
        tenant_key = WrappedKey.from_bytes(found[0])
        if tenant_key.tenant != manifest.tenant:
            raise SealError("seal.key_foreign", "the key belongs to another tenant", RESTORE)
        keyring.open_tenant_key(tenant_key)
        where = data_at
        wrapped = WrappedKey.from_bytes(found[1])
        if wrapped.recording != manifest.recording:
            raise SealError("seal.key_foreign", "the key belongs to another recording", RESTORE)
        data_key = open_data_key(source, keyring, tenant_key, wrapped)
        manifest.check_key(data_key)
    except SealError as error:
        report.add(9, error.error_id, where, error.message)
        return None
    report.checked.append(9)
    return data_key


class _Scan:
    """Reads an object's stored bytes once, in order, and verifies each block on the way."""

    def __init__(self, source: DocumentSource, key: str, sealed: Object) -> None:
        self.wrong: list[int] = []
        self.whole = hashlib.sha256()
        self._source = source
        self._key = key
        self._sealed = sealed
        self._at = 0

    def read(self, start: int, end: int) -> bytes:
        data = self._source.read(self._key, start, end)
        self.whole.update(data)
        for at in range(start, end, streaming_aead.SEGMENT):
            block = data[at - start : at - start + streaming_aead.SEGMENT]
            if hashlib.sha256(block).hexdigest() != self._sealed.blocks[at // streaming_aead.SEGMENT]:
                self.wrong.append(at // streaming_aead.SEGMENT)
        self._at = end
        return data

    def rest(self) -> None:
        """Read the bytes that decryption did not, because it stopped or there is no key."""
        while self._at < self._sealed.stored_length:
            self.read(self._at, min(self._at + _WINDOW, self._sealed.stored_length))


def _object(
    source: DocumentSource,
    prefix: str,
    manifest: Manifest,
    each: Object,
    data_key: Secret | None,
    report: VerificationReport,
) -> None:
    """Check stored blocks first: a changed object is not reported a second time as undecryptable."""
    key = prefix + each.name
    scan = _Scan(source, key, each)
    plain, length, failure = hashlib.sha256(), 0, ""
    if data_key is not None:
        associated = streaming_aead.associated_data(manifest.recording, each.name)
        try:
            for piece in streaming_aead.Reader(
                data_key.key, associated, scan.read, each.stored_length
            ).read():
                plain.update(piece)
                length += len(piece)
        except SealError as error:
            failure = error.message
    scan.rest()
    if scan.wrong:
        blocks = ", ".join(map(str, scan.wrong[:8])) + (", …" if len(scan.wrong) > 8 else "")
        report.add(7, "object.block", key, f"stored blocks differ from the sealed ones: {blocks}", scan.wrong)
    elif scan.whole.hexdigest() != each.stored_sha256:
        report.add(7, "object.hash", key, "its SHA-256 differs from the sealed one")
    elif failure:
        report.add(10, "object.decryption", key, failure)
    elif data_key is not None and (plain.hexdigest(), length) != (each.plain_sha256, each.plain_length):
        report.add(10, "object.plain", key, "its plain bytes differ from the sealed ones")


def _nothing_else(prefix: str, manifest: Manifest, names: list[str], report: VerificationReport) -> None:
    sealed = {NAME, *(each.name for each in manifest.objects)}
    for name in names:
        # A recording's own folder may also have its keys, in keys/ or not.
        key = not prefix and (
            name.startswith("keys/") or recording_of_path(name) in (None, manifest.recording)
        )
        if name in sealed or number_in(name) or key:
            continue
        report.add(8, "object.unknown", prefix + name, "it is beside the recording and was not sealed")
    report.checked.append(8)


def _amendments(
    source: DocumentSource,
    prefix: str,
    manifest: Manifest,
    names: list[str],
    root: Ed25519PublicKey,
    now: datetime | None,
    report: VerificationReport,
) -> Amendment | None:
    """Check the amendments, and return the tombstone if there is one."""
    found = amendments_in(source, prefix, names)
    report.chain = read_chain(manifest, report.manifest_sha256, found, root, now)
    for problem in report.chain.problems:
        report.add(12, problem.code, prefix + problem.name, problem.message)
    report.checked.append(12)
    return report.chain.erased


def _check_erasure(
    source: DocumentSource, prefix: str, manifest: Manifest, names: list[str], report: VerificationReport
) -> None:
    for each in manifest.objects:
        if each.name in names:
            report.add(6, "object.not_erased", prefix + each.name, "it was erased, and still exists")
    key = data_key_path(manifest.tenant, manifest.recording)
    if _read(source, key, WrappedKey.MAX_BYTES) is not None:
        report.add(9, "key.not_erased", key, "the recording was erased, and its key still exists")
    report.checked += [6, 9]


def _parties(manifest: Manifest, prefix: str, data_key: Secret, report: VerificationReport) -> None:
    report.checked.append(11)
    try:
        decrypt_parties(manifest, data_key)
    except SealError as error:
        report.add(11, "parties.decryption", prefix + NAME, error.message)


def _read(source: DocumentSource, key: str, largest: int) -> bytes | None:
    try:
        return read_document(source, key, largest)
    except StoreError as error:
        if error.error_id != "store.not_found":
            raise
        return None
