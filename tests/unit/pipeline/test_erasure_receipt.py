"""The receipt of an erasure: what it says, that it is signed, and that there is none before all is gone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.errors import AccessError, KeepingError, SealError
from recorder.lifecycle import erasure_receipt, expiry
from recorder.lifecycle.erasure_deadline import complete_from
from recorder.seal.keyring import data_key_path
from tests.stored import put_small

KEPT = timedelta(days=30)


@pytest.fixture
def gone(house) -> str:
    """A recording that was erased when its day came."""
    recording = put_small(house)
    house.clock.forward(days=400)
    means = house.means
    made = means
    assert expiry.destroy_due(made, house.clock()) == 1
    return recording


def asked(house, recording: str, tenant: str = "") -> erasure_receipt.ErasureReceipt:
    means = house.means
    keys = means.root, means.signer
    return erasure_receipt.receipt(tenant or house.tenant, recording, means.store, *keys, KEPT, house.clock())


def test_it_says_what_was_destroyed_and_from_when_that_is_complete(house, gone) -> None:
    house.clock.forward(days=1)
    said = erasure_receipt.read(asked(house, gone).content, house.means.root)
    row = queries.recording(house.tenant, gone)
    assert (said.recording, said.reason, said.erased_at) == (gone, "expired", row.erased_at)
    assert said.complete_from == complete_from(row.erased_at, KEPT) == row.erased_at + KEPT
    assert {each.name for each in said.objects} == {each.name for each in row.objects}
    assert said.remains == ("amendment-0001.json", "manifest.json")
    there = {key.removeprefix(row.prefix) for key in house.objects() if gone in key}
    assert there == set(said.remains), "what it says stays is what there is"
    assert "+32" not in said.content.decode(), "nobody's number"


def test_a_changed_receipt_is_refused(house, gone) -> None:
    content = asked(house, gone).content
    body = json.loads(content)
    for field, value in (("backups_kept_days", 0), ("verified", False), ("reason", "deleted")):
        changed = json.dumps(
            body | {"body": body["body"] | {field: value}}, separators=(",", ":"), sort_keys=True
        )
        with pytest.raises(SealError) as refused:
            erasure_receipt.read(changed.encode(), house.means.root)
        assert refused.value.error_id == "seal.signature"


def test_there_is_none_while_something_is_there(house, gone) -> None:
    (house.bucket / data_key_path(house.tenant, gone)).write_bytes(b"{}")
    with pytest.raises(KeepingError) as refused:
        asked(house, gone)
    assert refused.value.error_id == "retention.not_gone"


def test_there_is_none_of_what_lives_or_is_anothers(house) -> None:
    recording = put_small(house)
    with pytest.raises(KeepingError) as refused:
        asked(house, recording)
    assert refused.value.error_id == "retention.not_erased"
    with pytest.raises(AccessError) as foreign:
        asked(house, recording, "somebody-else")
    assert foreign.value.error_id == "access.not_found"


def test_backups_do_not_end_before_they_are_made(house) -> None:
    with pytest.raises(ValueError, match="before"):
        complete_from(house.clock(), timedelta(days=-1))
