"""Small recordings in bucket and catalogue, and checks that one is stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.recording_projection import recording_of
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.clock import to_iso
from recorder.domain.markers import Marker
from recorder.lifecycle import recordings
from recorder.lifecycle.amendment_store import chain_of, put
from recorder.lifecycle.limits import limits_of, version_of
from recorder.pipeline import stages
from recorder.seal import offboarding
from recorder.seal.amendment import Amendment, By
from recorder.seal.amendment_kinds import Data
from recorder.seal.keyring import WrappedKey
from recorder.seal.manifest import Parties
from recorder.seal.sealing import open_manifest, seal
from tests.recovery.many import small

NAMES = ("audio.opus", "audio.wav", "manifest.json", "peaks")


def assert_stored_once(house, recording: str, objects: Sequence[str], names: Sequence[str] = NAMES) -> None:
    """Assert that there is one set of objects as sealed, one row and one leaf.  ``objects`` are the bucket's
    keys."""
    row = queries.recording(house.tenant, recording)
    assert row is not None
    mine = [key for key in objects if recording in key]
    keys = [*(row.prefix + name for name in names), f"keys/{house.tenant}/{recording}.json"]
    assert sorted(mine) == sorted(keys)
    content = house.services.store.read(row.prefix + "manifest.json")
    assert hashlib.sha256(content).hexdigest() == row.manifest_sha256
    for each in open_manifest(content, house.services.root).objects:
        stored = house.services.store.read(row.prefix + each.name)
        assert hashlib.sha256(stored).hexdigest() == each.stored_sha256
    assert kinds(recording) == ["recording.stored"]


def kinds(recording: str) -> list[str]:
    """The kinds of a recording's leaves."""
    with connected():
        return [leaf.kind for leaf in LeafTable.select().where(LeafTable.recording_id == recording)]


def put_small(
    house, announced: bool = True, answer: str | None = None, names: Sequence[str] = (), **start: Any
) -> str:
    """Put a small recording into bucket and catalogue, as the worker does; returns its id.  ``start`` changes
    the call's start, ``answer`` is the answer to the consent prompt, ``names`` are the only sound objects
    (default: all)."""
    means, start = house.services, house.start(**start)
    folder = house.folder / "sealing" / start.recording
    folder.mkdir(parents=True)
    encoded = small(folder, start, house.entropy, announced=announced)
    if names:
        encoded = replace(encoded, sounds=tuple(each for each in encoded.sounds if each.name in names))
    if answer is not None:
        answer_marker = Marker(
            start.started_at, "question_answered", {"question": "recording", "answer": answer}
        )
        encoded = replace(encoded, take=replace(encoded.take, markers=(answer_marker, *encoded.take.markers)))
    key = WrappedKey.from_bytes((tenant_queries.tenant_wrapped_key(house.tenant) or "").encode())
    stages._put_tenant_key(key, means.store)
    house.clock.forward(seconds=65)
    sealed = seal(encoded, means.keyring, key, means.signer, house.clock(), house.entropy)
    for upload in sealed.uploads:
        means.store.put(upload.key, upload.path, upload.sha256)
    version, limits = version_of(house.tenant), limits_of(house.tenant, house.trust)
    parties = Parties(start.external_party, encoded.take.end.internal_party, ())
    row = recording_of(sealed.manifest, sealed.manifest_bytes, parties, sealed.key, limits=limits)
    recordings.add_recording(row, now=house.clock(), entropy=house.entropy, limits=version)
    return start.recording


def forge(house, recording: str, data: Data, at: datetime) -> Amendment:
    """Put an amendment with any date into the bucket but not the catalogue, as a thief of the signing key
    could."""
    means, row = house.services, queries.recording(house.tenant, recording)
    chain = chain_of(means.store, row.prefix, means.root)
    return put(means.store, chain, data, By("operator"), means.signer, means.root, at)


def receipt_body(tenant: str, at: datetime, **changes: Any) -> dict[str, Any]:
    """The body of an offboarding receipt."""
    when = to_iso(at)
    return {
        "type": offboarding.RECEIPT_KIND.type, "version": 1, "tenant": tenant, "statement": "ab" * 32,
        "announced_at": when, "erasing_since": when, "erased_at": when, "complete_from": when,
        "handed_over": None, "recordings_erased": {"deleted": 1}, "erased": [], "remains": [],
        "calls_erased": 0,
        "people_erased": 0, "backups_kept_days": 0, "log": {"size": 1, "root": "ab" * 32, "checkpoint": 1},
        "keys": {"destroyed": [], "copies_end": when}, "software": "accord 1", **changes,
    }  # fmt: skip
