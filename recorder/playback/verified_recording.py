"""A recording as the gate trusts it: its row, its manifest from the bucket, and its key, which must agree.

The numbered checks, in this order:

 1. the manifest is in the bucket (``seal.manifest_missing``);
 2. it is intact, its key endorsed by the root, its signature valid (errors as of
    :func:`sealing.open_manifest`);
 3. it is this tenant's and this recording's, and at its own prefix (``seal.manifest_foreign``);
 4. it is the one that was catalogued (``seal.manifest_replaced``);
 5. the wrapped keys open, and give the sealed key (``seal.key_…``);
 6. the row equals the seal (``seal.row_differs``): time, duration, line, number, parties, keep answer;
 7. no key signed it, or an amendment of it, after the root had revoked that key, and no amendment by such
    a key has appeared only since (``seal.key_revoked``);
 8. its amendments are in order, each signed and this recording's (``amendment.…``), and none that the
    catalogue lists, or the log names, is missing (``amendment.missing``, ``amendment.replaced``).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.errors import SealError
from recorder.lifecycle import amendments
from recorder.lifecycle.erased_recording import recording_erased
from recorder.seal.amendment import name as amendment_name
from recorder.seal.amendment_chain import Chain, amendments_in, read_chain
from recorder.seal.arrivals import our_side
from recorder.seal.data_key import open_data_key
from recorder.seal.document_source import read_document
from recorder.seal.keyring import Keyring, Secret, WrappedKey, data_key_path, wrapped_key
from recorder.seal.manifest import MAX_BYTES, Manifest, Parties, decrypt_parties
from recorder.seal.revocation import Revoked, Trust, none_revoked
from recorder.seal.sealing import NAME, open_manifest
from recorder.store.contract import NotFound, Store
from recorder.verified_state import VerifiedState

CACHED = 64
"""How many verified manifests are kept in memory. They are found by their hash, so a changed one is never
taken for a verified one."""


_AMENDMENT = "amendment-"


@dataclass(frozen=True, slots=True)
class VerifiedRecording(VerifiedState):
    """A row, its verified manifest and amendments, the data key that opens the recording's objects, and the
    parties that it opened. ``unlisted``: the bucket has amendments that the catalogue does not list yet."""

    row: RecordingRow
    chain: Chain
    key: Secret
    parties: Parties
    unlisted: bool = False

    @property
    def manifest(self) -> Manifest:
        return self.chain.manifest


class RecordingVerifier:
    """Opens recordings: reads and verifies manifests, unwraps keys, compares rows."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        root_public: Ed25519PublicKey,
        revoked: Callable[[], Revoked] = none_revoked,
    ) -> None:
        self._store = store
        self._revoked = revoked
        self.trust = Trust(root_public, revoked)
        self._keyring = keyring
        self._root = root_public
        self._verified: OrderedDict[str, Chain] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, row: RecordingRow, now: datetime) -> VerifiedRecording:
        """Make all checks, with the manifest as it is in the bucket now. Raises :class:`SealError`,
        :class:`recorder.errors.StoreError`."""
        try:
            content = read_document(self._store, row.prefix + NAME, MAX_BYTES)
        except NotFound as error:
            raise SealError(
                "seal.manifest_missing",
                f"recording {row.id} has no manifest in the bucket",
                "it was deleted, or the catalogue belongs to another bucket",
            ) from error
        manifest = open_manifest(content, self._root, now)
        sha256 = hashlib.sha256(content).hexdigest()
        self._check_belongs(row, manifest, sha256)
        chain = self._chain(row, manifest, sha256, now)
        sealed = self._compare(row, chain, amendments.listed_hashes(row.tenant, row.id))
        amendments.check_logged(chain)
        with self._lock:
            self._verified[sha256] = chain
            while len(self._verified) > CACHED:
                self._verified.popitem(last=False)
        return sealed

    def open_cached(self, row: RecordingRow, now: datetime) -> VerifiedRecording:
        """The same with the manifest that was verified before, if it is still in memory and no amendment was
        listed since: for the many requests under one grant."""
        with self._lock:
            chain = self._verified.get(row.manifest_sha256)
        listed = amendments.listed_hashes(row.tenant, row.id)
        if chain is None or _hashes(chain) != listed:
            return self.open(row, now)
        self._check_belongs(row, chain.manifest, row.manifest_sha256)
        return self._compare(row, chain, listed)

    def _chain(self, row: RecordingRow, manifest: Manifest, sha256: str, now: datetime) -> Chain:
        """The amendments in the bucket. Raises :class:`SealError`."""
        names = [key.removeprefix(row.prefix) for key in self._store.list(row.prefix + _AMENDMENT)]
        chain = read_chain(manifest, sha256, amendments_in(self._store, row.prefix, names), self._root, now)
        chain.check()
        return chain

    def _check_belongs(self, row: RecordingRow, manifest: Manifest, sha256: str) -> None:
        if (manifest.tenant, manifest.recording) != (row.tenant, row.id) or manifest.prefix != row.prefix:
            raise SealError(
                "seal.manifest_foreign",
                f"the manifest at {row.prefix} is that of recording {manifest.recording}",
                "run `accord audit run`: manifests or rows were swapped",
            )
        if sha256 != row.manifest_sha256:
            raise SealError(
                "seal.manifest_replaced",
                f"recording {row.id} has a manifest other than the one that was catalogued",
                "a manifest is never rewritten: look at the object's versions",
            )

    def _compare(self, row: RecordingRow, chain: Chain, listed: Sequence[str]) -> VerifiedRecording:
        amendments.check_signers(chain, self._revoked())
        hashes = _hashes(chain)
        for number, sha256 in enumerate(listed, 1):
            if number > len(hashes):
                raise SealError(
                    "amendment.missing",
                    f"{amendment_name(number)} of recording {row.id} is listed but not in the bucket",
                    "it was deleted: look at the object's versions",
                )
            if hashes[number - 1] != sha256:
                raise SealError(
                    "amendment.replaced",
                    f"{amendment_name(number)} of recording {row.id} is not the one that was listed",
                    "an amendment is never rewritten: look at the object's versions",
                )
        if chain.erased is not None:
            raise recording_erased()
        key = self._key(row)
        # Opening the parties first compares the key's id with the sealed one.
        parties = decrypt_parties(chain.manifest, key)
        self._compare_row(row, chain.manifest, parties)
        return VerifiedRecording(row, chain, key, parties, len(hashes) > len(listed))

    def _key(self, row: RecordingRow) -> Secret:
        tenant = tenant_queries.tenant_key(row.tenant)
        if tenant is None:
            raise SealError(
                "seal.key_missing",
                f"the catalogue has no key of tenant {row.tenant}",
                "`accord audit run` says whether the customer has left; otherwise restore a backup",
            )
        wrapped = row.wrapped_key
        if wrapped is None:
            try:
                wrapped = read_document(
                    self._store, data_key_path(row.tenant, row.id), WrappedKey.MAX_BYTES
                ).decode()
            except (NotFound, UnicodeDecodeError) as error:
                raise SealError(
                    "seal.key_missing",
                    f"the key of recording {row.id} no longer exists: it was destroyed",
                    "nobody can open it again; `accord audit run` says whether its erasure was signed",
                ) from error
        own = wrapped_key(wrapped.encode(), f"the key of recording {row.id}", row.tenant, row.id)
        return open_data_key(self._store, self._keyring, tenant, own)

    def _compare_row(self, row: RecordingRow, manifest: Manifest, parties: Parties) -> None:
        announcement = manifest.announced
        pairs = {
            "line": (row.line, manifest.line),
            "number": (row.number, manifest.number),
            "direction": (row.direction, manifest.direction),
            "start": (row.started_at, manifest.started_at),
            "duration": (row.duration_ms, manifest.duration_ms),
            "what was agreed": (row.keep_answer, manifest.keep_answer),
            "where it comes from": (row.import_sha256, manifest.import_sha256),
            "external party": (row.external_party, parties.external_party),
            "internal party": (row.internal_party, parties.internal_party),
            "colleagues": (row.our_side, our_side(manifest, parties) or (None,)),
        }
        if announcement is not None:
            pairs["announcement"] = (
                (row.announcement, row.announcement_version),
                (announcement.id, announcement.version),
            )
        differences = [name for name, (catalogued, sealed) in pairs.items() if catalogued != sealed]
        if differences:
            raise SealError(
                "seal.row_differs",
                f"the catalogue contradicts the seal of recording {row.id}: " + ", ".join(differences),
                "run `accord audit run`: the row was changed after it was written",
            )


def _hashes(chain: Chain) -> tuple[str, ...]:
    return tuple(each.sha256 for each in chain.amendments)
