"""The row of a recording follows from its sealed documents alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.recording_projection import consents_in, recording_of
from recorder.seal.keyring import WrappedKey
from recorder.seal.manifest import Parties
from recorder.seal.sealing import open_manifest
from recorder.seal.usage_terms import terms
from tests.stored_recordings import put_small


@pytest.mark.parametrize("announced", [True, False])
def test_row_matches_the_manifest(house, announced: bool) -> None:
    row = queries.recording(house.tenant, put_small(house, announced=announced))
    content = house.store.read(row.prefix + "manifest.json")
    manifest = open_manifest(content, house.root_public)
    key = WrappedKey.from_bytes(row.wrapped_key.encode())
    projected = recording_of(manifest, content, Parties(row.external_party, row.internal_party, ()), key)
    assert projected == row
    assert (row.id, row.tenant, row.line) == (manifest.recording, manifest.tenant, manifest.line)
    assert row.manifest_sha256 == hashlib.sha256(content).hexdigest()
    assert row.announced is announced
    assert (row.announcement != "", row.announcement_version > 0) == (announced, announced)
    assert bool(row.purposes) is announced
    assert row.stored_bytes == len(content) + sum(each.stored_length for each in manifest.objects)
    assert [each.name for each in row.objects] == [each.name for each in manifest.objects]
    assert (row.erased_at, row.restricted) == (None, ())
    without_parties = recording_of(manifest, content, None, None)
    assert (without_parties.external_party, without_parties.internal_party, without_parties.wrapped_key) == (
        None,
        None,
        None,
    )


def test_agreed_retention_is_listed_with_its_last_day(house) -> None:
    plain = queries.recording(house.tenant, put_small(house))
    content = house.store.read(plain.prefix + "manifest.json")
    current = terms(open_manifest(content, house.root_public), (), ())
    assert consents_in(current) == () == plain.consented_until
    (term,) = current.purposes
    later = [replace(term, code=code, consented_until=current.until + timedelta(days=days)) for code, days in
             (("training", 1), ("quality", 2))]  # fmt: skip
    agreed = consents_in(replace(current, purposes=(*later, term)))
    day = current.until.date()
    assert agreed == (("quality", day + timedelta(days=2)), ("training", day + timedelta(days=1)))
