"""Reads a recording's amendments from the bucket and puts the next one there."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue.records import RecordingRow
from recorder.errors import SealError
from recorder.lifecycle import amendments
from recorder.seal.amendment import Amendment, By, name, open_amendment, write
from recorder.seal.amendment_chain import Chain, amendments_in, check_follows, read_chain
from recorder.seal.amendment_kinds import Data
from recorder.seal.document_source import read_document
from recorder.seal.manifest import MAX_BYTES
from recorder.seal.revocation import Revoked
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.sealing import open_manifest
from recorder.seal.signing import Signer
from recorder.store.contract import NotFound, Store

_BEGINNING = "amendment-"


def chain_of(store: Store, prefix: str, root: Ed25519PublicKey) -> Chain:
    """A recording's manifest and amendments; problems with the amendments are in the chain. Raises
    :class:`recorder.errors.SealError` for an invalid manifest, :class:`recorder.store.contract.NotFound` if
    there is none, :class:`recorder.errors.StoreError`."""
    content = read_document(store, prefix + MANIFEST, MAX_BYTES)
    names = [key.removeprefix(prefix) for key in store.list(prefix + _BEGINNING)]
    found = amendments_in(store, prefix, names)
    manifest = open_manifest(content, root)
    return read_chain(manifest, hashlib.sha256(content).hexdigest(), found, root)


def chain_of_row(row: RecordingRow, store: Store, root: Ed25519PublicKey, revoked: Revoked) -> Chain:
    """The complete chain of a catalogued recording.

    Raises :class:`SealError` if the manifest is missing (``seal.manifest_missing``) or another recording's
    (``seal.manifest_foreign``), if it or an amendment is invalid, or if a revoked key signed an amendment
    (``seal.key_revoked``); :class:`StoreError`."""
    try:
        chain = chain_of(store, row.prefix, root)
    except NotFound:
        raise SealError(
            "seal.manifest_missing",
            f"recording {row.id} has no manifest at {row.prefix}",
            "the manifest was deleted, the row has another prefix, or the store is another one",
        ) from None
    manifest = chain.manifest
    if (manifest.tenant, manifest.recording, manifest.prefix) != (row.tenant, row.id, row.prefix):
        raise SealError(
            "seal.manifest_foreign",
            f"the manifest at {row.prefix} is that of recording {manifest.recording}",
            "run `accord audit run`: manifests or rows were swapped",
        )
    chain.check()
    amendments.check_signers(chain, revoked, amendments=True)
    return chain


def put(
    store: Store, chain: Chain, data: Data, by: By, signer: Signer, root: Ed25519PublicKey, now: datetime
) -> Amendment:
    """Sign and put the next amendment. Raises :class:`recorder.store.contract.Conflict` if another process
    has used that number: read the chain again. Raises :class:`recorder.errors.SealError` (a key that is not
    endorsed for amendments; ``amendment.contradiction``), ``StoreError``."""
    unsigned = chain.next_amendment(data, by, now)
    content = write(unsigned, signer)
    amendment = open_amendment(content, root)
    check_follows(chain, amendment)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        place = chain.manifest.prefix + name(amendment.number)
        store.put(place, Path(file.name), amendment.sha256)
    return amendment
