"""A compromised signing key: from a day on it does not count, and what it signed before does. Gate, `verify`,
audit and the erasing worker agree. The attacker can backdate, and gains nothing: documents that appear only
after the revocation are ignored everywhere."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.errors import ConfigError, SealError
from recorder.lifecycle import amendments, expiry, limit_application
from recorder.lifecycle.amendment_recovery import list_pending
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.pipeline import stages
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import revocation, signing
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import ConsentAdded, DeletionRequested
from recorder.seal.verification import verify
from recorder.services import Services
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.stored_recordings import forge, put_small


@pytest.fixture
def leaked(house):
    """A recording of before, one of after, a revocation between, and what reads it."""
    before = put_small(house)
    house.clock.forward(hours=1)
    keys = house.folder / "keys"
    root = signing.load_private(keys / signing.ROOT_KEY)
    at, key = house.clock(), house.services.signer.key_id
    house.clock.forward(hours=1)
    after = put_small(house)
    revoked = revocation.Revocations(keys, house.services.root)
    assert revoked() == {}
    (keys / f"{key}{revocation.SUFFIX}").write_bytes(revocation.revoke(root, key, at))
    assert revoked() == {key: at}, "without a restart"
    return before, after, revoked


def refusals(house, recording: str, revoked) -> tuple[str | None, set[str], set[str]]:
    """The answers of gate, `verify` and audit about a recording."""
    means, now = house.services, house.clock()
    row = queries.recording(house.tenant, recording)
    seals = RecordingVerifier(means.store, means.keyring, means.root, revoked)
    gate = None
    for look in (seals.open, seals.open_cached):
        try:
            look(row, now)
        except SealError as error:
            gate = error.error_id
    report = verify(means.store, row.prefix, means.root, means.keyring, now, revoked())
    found = Audit(means.store, means.root, now, means.keyring, revoked()).tenant(house.tenant)
    audit = {each.code for each in found if recording in each.where}
    return gate, {each.code for each in report.findings}, audit


def test_accepts_signatures_from_before_the_revocation_only(house, leaked) -> None:
    before, after, revoked = leaked
    code = "seal.key_revoked"
    assert refusals(house, before, revoked) == (None, set(), set())
    assert refusals(house, after, revoked) == (code, {code}, {code})
    assert refusals(house, after, revocation.none_revoked) == (None, set(), set())


def test_continues_with_the_new_key(house, leaked) -> None:
    _, after, revoked = leaked
    keys = house.folder / "keys"
    signing.renew(keys, signing.load_private(keys / signing.ROOT_KEY), house.clock())
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    house.services = replace(house.services, signer=signer)
    assert refusals(house, put_small(house), revoked) == (None, set(), set())
    assert refusals(house, after, revoked)[0] == "seal.key_revoked"


def test_an_amendment_by_a_revoked_key_erases_nothing(house, leaked) -> None:
    before, _, revoked = leaked
    means = house.services
    forged = Changes(means.store, means.root, means.signer, house.clock, house.entropy)
    amend(forged.delete, house.tenant, before, By("operator"), reason="asked for by whoever has the key")
    assert refusals(house, before, revoked)[0] == "seal.key_revoked"
    services = replace(means, revoked=revoked)
    assert expiry.destroy_due(services, house.clock() + timedelta(minutes=1)) == 0
    assert queries.recording(house.tenant, before).erased_at is None


def test_refuses_a_revocation_that_the_root_did_not_sign(house) -> None:
    keys = house.folder / "keys"
    stranger = signing.load_private(keys / signing.SIGNING_KEY)
    key = house.services.signer.key_id
    (keys / f"{key}{revocation.SUFFIX}").write_bytes(revocation.revoke(stranger, key, house.clock()))
    with expect_error(ConfigError, "keys.bad_revocation"):
        revocation.Revocations(keys, house.services.root)()


@pytest.fixture
def dated_back(house, leaked):
    """What seals an amendment of the recording of before, dated before the revocation and put a day after;
    the recording, its row before that, and what says what is revoked."""
    recording, _, revoked = leaked
    (since,) = revoked().values()
    house.clock.forward(days=1)
    row = queries.recording(house.tenant, recording)

    def make(data) -> None:
        forge(house, recording, data, since - timedelta(minutes=30))

    return make, recording, row, revoked


def services_of(house, revoked) -> Services:
    services = house.services
    return replace(services, revoked=revoked)


def later(house, code: str = "training") -> ConsentAdded:
    return ConsentAdded(code, house.clock() + timedelta(days=300), "be", "by whoever has the key")


@pytest.mark.parametrize("data", [later, lambda _house: DeletionRequested("…")], ids=["agreed", "deleted"])
def test_ignores_documents_that_appear_after_the_revocation(house, dated_back, data) -> None:
    make, recording, row, revoked = dated_back
    make(data(house))
    services, code = house.services, "seal.key_revoked"
    gate, _, audited = refusals(house, recording, revoked)
    assert gate == code
    assert code in audited
    mine = Changes(
        services.store, services.root, services.signer, house.clock, house.entropy, revoked=revoked
    )
    with expect_error(SealError, code):
        mine.look(house.tenant, recording)
    amendments.begin_amendment(house.tenant, recording, house.clock() - timedelta(minutes=5))
    assert list_pending(services.store, services.root, house.clock(), house.entropy, revoked) == 0
    assert amendments.pending_amendments(house.clock()), "it is looked at again"
    house.limit(20, purpose="quality")
    limit_application.apply_limits(services.store, services.root, house.clock(), revoked)
    assert queries.recording(house.tenant, recording) == row
    assert amendments.listed_hashes(house.tenant, recording) == ()
    house.clock.at = row.keep_until + timedelta(minutes=1)
    expiry.destroy_due(services_of(house, revoked), house.clock())
    assert queries.recording(house.tenant, recording).erased_at is None, "somebody decides"


def test_accepts_only_what_the_catalogue_knew_before_the_revocation(house) -> None:
    first, second = put_small(house), put_small(house)
    services, key = house.services, house.services.signer.key_id
    house.clock.forward(hours=1)
    known = Changes(services.store, services.root, services.signer, house.clock, house.entropy)
    amend(
        known.agree,
        house.tenant,
        first,
        By("operator"),
        purpose="agreement",
        keep_days=20,
        reason="on the phone",
    )
    since = house.clock.forward(hours=1)
    forge(house, second, later(house, "agreement"), since - timedelta(minutes=30))
    house.clock.forward(hours=1)
    chain = chain_of(services.store, queries.recording(house.tenant, second).prefix, services.root)
    amendments.list_amendments(
        chain, house.trust, now=house.clock(), entropy=house.entropy
    )  # nobody knows yet

    def revoked() -> dict:
        return {key: since}

    assert refusals(house, first, revoked) == (None, set(), set())
    gate, verified, audited = refusals(house, second, revoked)
    assert gate == "seal.key_revoked"
    assert verified == set(), "without a log its date is believed"
    assert audited == {"seal.key_revoked"}
    with writing():  # a backup was restored: it has the log, and no amendment
        AmendmentTable.delete().execute()
    assert refusals(house, first, revoked)[0] is None
    assert refusals(house, second, revoked)[0] == "seal.key_revoked"


def test_a_tombstone_that_appears_after_the_revocation_drops_no_take(house) -> None:
    """A node returns with a take that was stored meanwhile."""
    folder = house.take(talk_ms=300, formats=("wav",))
    for _ in range(2):
        stages.step(folder, house.clock(), house.services)
    copy = house.folder / "copy"
    shutil.copytree(folder, copy)
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    chain = chain_of(house.services.store, row.prefix, house.services.root)
    since = house.clock.forward(hours=1)
    forge(house, folder.name, make_tombstone(chain, "expired"), since - timedelta(minutes=1))
    key = house.services.signer.key_id
    house.services = replace(house.services, revoked=lambda: {key: since})
    shutil.copytree(copy, folder)
    before = house.objects()
    with expect_error(SealError, "seal.key_revoked"):
        house.work(folder)
    assert (folder / "manifest.json").exists()
    assert house.objects() == before, "nothing of it was taken back"
