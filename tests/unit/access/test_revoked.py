"""A signing key that somebody else has had: from a day on it counts no more, and what was signed before does.
Gate, `verify`, audit and the erasing worker agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.access.sealed import Seals
from recorder.catalogue import queries
from recorder.errors import ConfigError, SealError
from recorder.ledger.audit import Audit
from recorder.lifecycle import retention
from recorder.lifecycle.changing import Changes
from recorder.seal import revocation, signing
from recorder.seal.amendment import By
from recorder.seal.verify import verify
from tests.stored import put_small


@pytest.fixture
def leaked(house):
    """A recording of before, one of after, a revocation between, and what reads it."""
    before = put_small(house)
    house.clock.forward(hours=1)
    keys = house.root / "keys"
    root = signing.load_private(keys / signing.ROOT_KEY)
    at, key = house.clock(), house.means.signer.key_id
    house.clock.forward(hours=1)
    after = put_small(house)
    revoked = revocation.Revocations(keys, house.means.root_public)
    assert revoked() == {}
    (keys / f"{key}{revocation.SUFFIX}").write_bytes(revocation.revoke(root, key, at))
    assert revoked() == {key: at}, "without a restart"
    return before, after, revoked


def refusals(house, recording: str, revoked) -> tuple[str | None, set[str], set[str]]:
    """What the gate, `verify` and the audit say of a recording."""
    means, now = house.means, house.clock()
    row = queries.recording(house.tenant, recording)
    seals = Seals(means.store, means.keyring, means.root_public, revoked)
    gate = None
    for look in (seals.open, seals.at_hand):
        try:
            look(row, now)
        except SealError as error:
            gate = error.error_id
    report = verify(means.store, row.prefix, means.root_public, means.keyring, now, revoked())
    found = Audit(means.store, means.root_public, now, means.keyring, revoked()).tenant(house.tenant)
    audit = {each.code for each in found if recording in each.where}
    return gate, {each.code for each in report.findings}, audit


def test_what_was_signed_before_stays_believed_and_nothing_after(house, leaked) -> None:
    before, after, revoked = leaked
    code = "seal.key_revoked"
    assert refusals(house, before, revoked) == (None, set(), set())
    assert refusals(house, after, revoked) == (code, {code}, {code})
    assert refusals(house, after, revocation.nothing) == (None, set(), set())


def test_with_the_new_key_everything_goes_on(house, leaked) -> None:
    _, after, revoked = leaked
    keys = house.root / "keys"
    signing.renew(keys, signing.load_private(keys / signing.ROOT_KEY), house.clock())
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    house.means = replace(house.means, signer=signer)
    assert refusals(house, put_small(house), revoked) == (None, set(), set())
    assert refusals(house, after, revoked)[0] == "seal.key_revoked"


def test_an_amendment_by_it_destroys_nothing(house, leaked) -> None:
    before, _, revoked = leaked
    means = house.means
    forged = Changes(means.store, means.root_public, means.signer, house.clock, house.entropy)
    forged.delete(house.tenant, before, By("operator"), reason="asked for by whoever has the key")
    assert refusals(house, before, revoked)[0] == "seal.key_revoked"
    given = retention.Means(means.store, means.root_public, means.signer, house.entropy, revoked=revoked)
    assert retention.destroy_due(given, house.clock() + timedelta(minutes=1)) == 0
    assert queries.recording(house.tenant, before).destroyed_at is None


def test_a_revocation_that_the_root_did_not_sign_is_refused(house) -> None:
    keys = house.root / "keys"
    stranger = signing.load_private(keys / signing.SIGNING_KEY)
    key = house.means.signer.key_id
    (keys / f"{key}{revocation.SUFFIX}").write_bytes(revocation.revoke(stranger, key, house.clock()))
    with pytest.raises(ConfigError) as refused:
        revocation.Revocations(keys, house.means.root_public)()
    assert refused.value.error_id == "keys.bad_revocation"
