"""Amendments: signed, in order, and of no other recording."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.errors import SealError
from recorder.seal import amendment, canonical_json, signed_document, signing
from recorder.seal.amendment import Amendment, By, name
from recorder.seal.amendment_chain import Chain, Problem, check_follows, make_tombstone, read_chain
from recorder.seal.amendment_kinds import (
    BOTH_SIDES,
    GUEST_LEFT,
    ORDERED,
    STATED,
    VOUCHED,
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeferralEnded,
    Erased,
    ErasedObject,
    ErasureDeferred,
    HoldLifted,
    HoldSet,
    OutcomeAdded,
    OutcomeConfirmation,
    PurposesNarrowed,
)
from recorder.seal.keyring import data_key_path
from recorder.seal.manifest import IMPORTED
from recorder.seal.sealing import NAME, SealedTake, open_manifest
from recorder.seal.signed_document import CLOCK_SLACK
from recorder.seal.usage_terms import LONGEST_DEFERRAL
from recorder.seal.verification import VerificationReport, verify
from recorder.strict_json import b64
from tests.expected_errors import expect_error

from .recording import NOW, RECORDING, TENANT, Bucket, Keys

PREFIX = f"{TENANT}/2026/11/25/{RECORDING}/"
USER = By("user", "0198c0de-0000-7000-8000-0000000000cc")
HOLD = HoldSet(("agreement",), "0198c0de-0000-7000-8000-0000000000cc", "they still talk", NOW)
LATER = NOW + timedelta(hours=1)


def chain_in(bucket: Bucket, keys: Keys) -> Chain:
    content = bucket.objects[PREFIX + NAME]
    found = sorted(
        (key.removeprefix(PREFIX), each) for key, each in bucket.objects.items() if "amendment-" in key
    )
    manifest = open_manifest(content, keys.root.public_key())
    return read_chain(manifest, hashlib.sha256(content).hexdigest(), found, keys.root.public_key(), LATER)


def amend(bucket: Bucket, keys: Keys, data: Data, by: By = USER) -> Amendment:
    """The next amendment, put."""
    unsigned = chain_in(bucket, keys).next_amendment(data, by, NOW)
    bucket.objects[PREFIX + name(unsigned.number)] = amendment.write(unsigned, keys.signer)
    return chain_in(bucket, keys).amendments[-1]


def erase(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    amend(bucket, keys, make_tombstone(chain_in(bucket, keys), "expired"), amendment.SYSTEM)
    for each in sealed.manifest.objects:
        del bucket.objects[PREFIX + each.name]
    del bucket.objects[data_key_path(TENANT, RECORDING)]


def check(bucket: Bucket, keys: Keys, *, with_key: bool = True) -> VerificationReport:
    return verify(bucket, PREFIX, keys.root.public_key(), keys.keyring if with_key else None, LATER)


def codes(report: VerificationReport) -> list[tuple[int, str]]:
    return [(finding.check, finding.code) for finding in report.findings]


def test_each_kind_round_trips(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    statements = [HOLD, HoldLifted(1, "they agree"), make_tombstone(chain_in(bucket, keys), "expired")]
    for data in statements[:2]:
        amend(bucket, keys, data)
    tombstone = make_tombstone(chain_in(bucket, keys), "expired")
    assert tombstone.remains == ("amendment-0001.json", "amendment-0002.json", NAME)
    amend(bucket, keys, tombstone)
    chain = chain_in(bucket, keys)
    assert chain.problems == ()
    assert [each.data for each in chain.amendments] == [*statements[:2], tombstone]
    assert [each.number for each in chain.amendments] == [1, 2, 3]
    assert chain.amendments[0].predecessor == chain.manifest_sha256
    assert chain.amendments[1].predecessor == chain.amendments[0].sha256
    assert (chain.holds, chain.erased) == ((), chain.amendments[2])


def test_amendment_is_plain_json(bucket: Bucket, keys: Keys) -> None:
    """From docs/reference/formats.md alone."""
    amend(bucket, keys, HOLD)
    stored = json.loads(bucket.objects[PREFIX + "amendment-0001.json"])
    body = stored["body"]
    assert (body["type"], body["version"], body["kind"]) == ("accord-amendment", 1, "hold_set")
    assert body["predecessor"] == hashlib.sha256(bucket.objects[PREFIX + NAME]).hexdigest()
    assert stored["endorsement"]["body"]["uses"] == list(signing.USES)
    assert body["by"] == {"kind": "user", "id": USER.id}


def test_recording_with_amendments_verifies(bucket: Bucket, keys: Keys) -> None:
    amend(bucket, keys, HOLD)
    report = check(bucket, keys)
    assert report.findings == []
    assert 12 in report.checked
    assert report.chain is not None
    assert len(report.chain.holds) == 1


def test_erased_recording_verifies(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    erase(bucket, keys, sealed)
    for with_key in (True, False):
        report = check(bucket, keys, with_key=with_key)
        assert report.findings == []
        assert report.checked == [1, 2, 3, 4, 5, 6, 8, 9, 12]


def test_remains_of_an_erased_recording_are_reported(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    key, peaks = bucket.objects[data_key_path(TENANT, RECORDING)], bucket.objects[PREFIX + "peaks"]
    erase(bucket, keys, sealed)
    bucket.objects[data_key_path(TENANT, RECORDING)] = key
    bucket.objects[PREFIX + "peaks"] = peaks
    assert codes(check(bucket, keys)) == [(6, "object.not_erased"), (9, "key.not_erased")]


Change = Callable[[Bucket, Keys, SealedTake], None]


def removed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    del bucket.objects[PREFIX + name(1)]


def many_removed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + name(9999)] = bucket.objects.pop(PREFIX + name(2))


def copied(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + name(3)] = bucket.objects[PREFIX + name(2)]


def exchanged(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    one, two = PREFIX + name(1), PREFIX + name(2)
    bucket.objects[one], bucket.objects[two] = bucket.objects[two], bucket.objects[one]


def resign(bucket: Bucket, keys: Keys, **changes: object) -> None:
    """The signing key itself lies."""
    lie = replace(chain_in(bucket, keys).amendments[1], **changes)  # type: ignore[arg-type]
    bucket.objects[PREFIX + name(2)] = amendment.write(lie, keys.signer)


def of_another_recording(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, recording="0198c0de-0000-7000-8000-000000000099")


def of_another_customer(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, tenant="0198c0de-0000-7000-8000-000000000099")


def after_another_document(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, predecessor="0" * 64)


def lifting_what_is_not_set(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, data=HoldLifted(7, "…"))


def replacing_what_is_not_set(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, data=replace(HOLD, replaces=7))


def erasing_what_is_held(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, data=make_tombstone(chain_in(bucket, keys), "expired"))


def erasing_other_objects(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    tombstone = make_tombstone(chain_in(bucket, keys), "expired")
    resign(
        bucket,
        keys,
        data=replace(tombstone, objects=(ErasedObject("peaks", "0" * 64, 56), *tombstone.objects[1:])),
    )


def erasing_another_key(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, data=replace(make_tombstone(chain_in(bucket, keys), "expired"), key_id="0" * 32))


def one_letter_changed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    key = PREFIX + name(2)
    bucket.objects[key] = bucket.objects[key].replace(b"they agree", b"they argue")


def signed_by_a_stranger(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    root = Ed25519PrivateKey.generate()
    own = Ed25519PrivateKey.generate()
    endorsement = signing.endorse(root, own.public_key(), ("amendment",), NOW - timedelta(days=1), LATER)
    content = amendment.write(chain_in(bucket, keys).amendments[1], signing.Signer(own, endorsement))
    bucket.objects[PREFIX + name(2)] = content


def signed_by_a_key_for_manifests_only(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    own = Ed25519PrivateKey.generate()
    endorsement = signing.endorse(keys.root, own.public_key(), ("manifest",), NOW - timedelta(days=1), LATER)
    body = json.loads(bucket.objects[PREFIX + name(2)])["body"]
    signature = b64(signing.Signer(own, endorsement).sign(body))
    bucket.objects[PREFIX + name(2)] = canonical_json.dump(
        {
            "body": body,
            "endorsement": endorsement.document(),
            "signatures": [{"algorithm": "Ed25519", "key_id": endorsement.key_id, "signature": signature}],
        }
    )


def a_manifest_in_its_place(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + name(2)] = bucket.objects[PREFIX + NAME]


def from_the_future(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, at=NOW + timedelta(days=30))


def from_before_it_was_sealed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, at=sealed.manifest.sealed_at - timedelta(minutes=6))


def holding_it_for_what_serves_no_dispute(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, data=ConsentAdded("training", LATER, "be", "…"))
    wide_hold = replace(HOLD, purposes=("agreement", "training"))
    unsigned = chain_in(bucket, keys).next_amendment(wide_hold, USER, NOW)
    bucket.objects[PREFIX + name(3)] = amendment.write(unsigned, keys.signer)


def of_a_kind_that_nobody_knows(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    body = json.loads(bucket.objects[PREFIX + name(2)])["body"] | {"kind": "praised"}
    signature = b64(keys.signer.sign(body))
    bucket.objects[PREFIX + name(2)] = canonical_json.dump(
        {
            "body": body,
            "endorsement": keys.signer.endorsement.document(),
            "signatures": [{"algorithm": "Ed25519", "key_id": keys.signer.key_id, "signature": signature}],
        }
    )


CHANGES: dict[Change, list[str]] = {
    removed: ["amendment.missing"],
    many_removed: ["amendment.missing", "amendment.doubled"],
    copied: ["amendment.doubled"],
    exchanged: ["amendment.doubled", "amendment.doubled"],
    of_another_recording: ["amendment.foreign"],
    of_another_customer: ["amendment.foreign"],
    after_another_document: ["amendment.predecessor"],
    lifting_what_is_not_set: ["amendment.contradiction"],
    replacing_what_is_not_set: ["amendment.contradiction"],
    erasing_what_is_held: ["amendment.contradiction"],
    erasing_other_objects: ["amendment.contradiction"],
    erasing_another_key: ["amendment.contradiction"],
    one_letter_changed: ["seal.signature"],
    signed_by_a_stranger: ["seal.endorsement_root"],
    signed_by_a_key_for_manifests_only: ["seal.endorsement_use"],
    a_manifest_in_its_place: ["seal.field"],
    from_the_future: ["seal.from_the_future"],
    from_before_it_was_sealed: ["amendment.contradiction"],
    holding_it_for_what_serves_no_dispute: ["amendment.contradiction"],
    of_a_kind_that_nobody_knows: ["amendment.kind"],
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_forged_amendment_is_reported(
    bucket: Bucket, keys: Keys, sealed: SealedTake, change: Change
) -> None:
    amend(bucket, keys, HOLD)
    amend(bucket, keys, HoldLifted(1, "they agree"))
    assert check(bucket, keys).ok
    change(bucket, keys, sealed)
    report = check(bucket, keys)
    assert [code for number, code in codes(report) if number == 12] == CHANGES[change]
    assert len(report.findings) == len(CHANGES[change])
    chain = chain_in(bucket, keys)
    assert chain.erased is None
    with pytest.raises(SealError) as failure:
        chain.check()
    assert failure.value.error_id == CHANGES[change][0]


CONTRADICTIONS: dict[str, Callable[[Erased], Data]] = {
    "it lifts hold 1, which is not set": lambda _tombstone: HoldLifted(1, "…"),
    "it replaces hold 1, which is not set": lambda _tombstone: replace(HOLD, replaces=1),
    "no purpose training": lambda _tombstone: replace(HOLD, purposes=("training",)),
    "no purpose own": lambda _tombstone: ConsentWithdrawn(("agreement", "own"), "by letter"),
    "no purpose private": lambda _tombstone: PurposesNarrowed(("private",), "…"),
    "other objects": lambda tombstone: replace(tombstone, objects=tombstone.objects[1:]),
    "names other objects": lambda tombstone: replace(tombstone, objects=tombstone.objects * 2),
    "another key": lambda tombstone: replace(tombstone, key_id="0" * 32),
}


@pytest.mark.parametrize("reason", CONTRADICTIONS)
def test_contradiction_is_refused_for_its_own_reason(bucket: Bucket, keys: Keys, reason: str) -> None:
    """Of a recording that was held once: each contradicts it in this way only."""
    amend(bucket, keys, HOLD)
    amend(bucket, keys, HoldLifted(1, "they agree"))
    chain = chain_in(bucket, keys)
    data = CONTRADICTIONS[reason](make_tombstone(chain, "expired"))
    with pytest.raises(SealError, match=reason) as failure:
        check_follows(chain, chain.next_amendment(data, USER, NOW))
    assert failure.value.error_id == "amendment.contradiction"


def test_deferral_is_bounded_and_ends_once(bucket: Bucket, keys: Keys) -> None:
    def refusal(data: Data, at: datetime = NOW) -> str:
        chain = chain_in(bucket, keys)
        try:
            check_follows(chain, chain.next_amendment(data, USER, at))
        except SealError as error:
            return error.message
        return ""

    until, moment = NOW + LONGEST_DEFERRAL, timedelta(milliseconds=1)
    deferred, left = ErasureDeferred("d", until, ("agreement",)), DeferralEnded(1, GUEST_LEFT, ("jan",))
    assert refusal(deferred) == ""
    assert "for more than 212 days" in refusal(replace(deferred, until=until + moment))
    assert "no purpose own" in refusal(replace(deferred, purposes=("own",)))
    assert "deferral 1, which is not set" in refusal(left)
    amend(bucket, keys, deferred)
    assert refusal(left) == ""
    assert "deferral 2, which is not set" in refusal(replace(left, deferral=2))
    tombstone = make_tombstone(chain_in(bucket, keys), "expired")
    assert "its erasure was deferred" in refusal(tombstone, until - moment)
    assert refusal(tombstone, until) == ""
    assert "one person alone" in refusal(DeferralEnded(1, ORDERED, ("ada",)))
    for people in (("ada", "bob"), ("ada", "bob", "cleo")):
        assert refusal(DeferralEnded(1, ORDERED, people)) == ""
    amend(bucket, keys, left)
    assert "deferral 1, which is not set" in refusal(left)
    assert refusal(make_tombstone(chain_in(bucket, keys), "expired")) == ""


def test_consent_rests_on_no_more_than_an_outcome_before_it_says(bucket: Bucket, keys: Keys) -> None:
    def is_refused(basis: str) -> bool:
        chain, consent = chain_in(bucket, keys), ConsentAdded("training", LATER, "be", "…", basis=basis)
        try:
            check_follows(chain, chain.next_amendment(consent, USER, NOW))
        except SealError as error:
            return "more than one person agreed" in error.message
        else:
            return False

    amend(bucket, keys, HOLD)
    assert [is_refused(each) for each in (STATED, VOUCHED, BOTH_SIDES)] == [False, True, True]
    people = (
        OutcomeConfirmation("u", "customer", "account", NOW),
        OutcomeConfirmation("g", "external_party", "people", NOW),
    )
    amend(bucket, keys, OutcomeAdded("d", "0" * 64, people, b"encrypted"))
    assert [is_refused(each) for each in (STATED, VOUCHED, BOTH_SIDES)] == [False, False, True]


def test_consent_needs_an_announcement_or_an_import(bucket: Bucket, keys: Keys) -> None:
    chain = chain_in(bucket, keys)
    consent = ConsentAdded("training", LATER, "be", "…")
    manifest = replace(chain.manifest, announced=None, unannounced="not_found_in_audio")
    chain = replace(chain, manifest=manifest)
    with pytest.raises(SealError, match="it agrees to what was not announced"):
        check_follows(chain, chain.next_amendment(consent, USER, NOW))
    chain = replace(chain, manifest=replace(manifest, unannounced=IMPORTED))
    check_follows(chain, chain.next_amendment(consent, USER, NOW))


def test_purpose_of_a_later_consent_can_be_withdrawn(bucket: Bucket, keys: Keys) -> None:
    amend(bucket, keys, ConsentAdded("training", LATER, "be", "…"))
    chain = chain_in(bucket, keys)
    assert chain.codes == ("agreement", "quality", "training")
    check_follows(chain, chain.next_amendment(ConsentWithdrawn(("training",), "…"), USER, NOW))


def test_missing_amendments_are_counted(bucket: Bucket, keys: Keys) -> None:
    for data in (HOLD, HoldLifted(1, "…"), HOLD):
        amend(bucket, keys, data)
    del bucket.objects[PREFIX + name(2)]
    assert [each.message for each in chain_in(bucket, keys).problems] == [
        "it is not there, and a later one is"
    ]
    del bucket.objects[PREFIX + name(1)]
    (problem,) = chain_in(bucket, keys).problems
    assert (problem.name, problem.message) == (name(1), "it and 1 after it are not there, and a later one is")


def test_chain_ends_before_a_document_with_a_problem(bucket: Bucket, keys: Keys) -> None:
    for data in (HOLD, HoldLifted(1, "…"), HOLD):
        amend(bucket, keys, data)
    whole, problem = chain_in(bucket, keys), Problem("seal.key_revoked", name(2), "…")
    assert whole.without(name(2), problem) == replace(
        whole, amendments=whole.amendments[:1], problems=(problem,)
    )
    assert whole.without(NAME, problem) == replace(whole, problems=(problem,))


def test_amendment_after_a_tombstone_is_refused(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    erase(bucket, keys, sealed)
    unsigned = chain_in(bucket, keys).next_amendment(HOLD, USER, NOW)
    bucket.objects[PREFIX + name(2)] = amendment.write(unsigned, keys.signer)
    assert codes(check(bucket, keys)) == [(12, "amendment.contradiction")]
    assert chain_in(bucket, keys).erased is not None


def test_amendments_after_a_problem_do_not_count(bucket: Bucket, keys: Keys) -> None:
    """Of what follows a broken one nothing counts, neither hold nor tombstone."""
    for data in (HOLD, HoldLifted(1, "…"), HOLD):
        amend(bucket, keys, data)
    key = PREFIX + name(1)
    bucket.objects[key] = bucket.objects[key].replace(b"they still talk", b"they still walk")
    assert chain_in(bucket, keys).amendments == ()


@pytest.mark.parametrize("data", [Erased("bored", "0" * 32, (), ()), HoldLifted(0, "…")])
def test_invalid_amendment_is_not_signed(bucket: Bucket, keys: Keys, data: Data) -> None:
    with pytest.raises(SealError):
        amendment.write(chain_in(bucket, keys).next_amendment(data, USER, NOW), keys.signer)


def test_slightly_slow_clock_is_accepted(bucket: Bucket, keys: Keys) -> None:
    chain = chain_in(bucket, keys)
    unsigned = chain.next_amendment(HOLD, USER, chain.manifest.sealed_at - CLOCK_SLACK)
    bucket.objects[PREFIX + name(1)] = amendment.write(unsigned, keys.signer)
    assert chain_in(bucket, keys).problems == ()


@pytest.mark.parametrize("by", [By("user"), By("system", "claire"), By("ghost")])
def test_only_a_user_has_an_id(bucket: Bucket, keys: Keys, by: By) -> None:
    with pytest.raises(SealError):
        amendment.write(chain_in(bucket, keys).next_amendment(HOLD, by, NOW), keys.signer)


def test_error_of_an_unendorsed_key_has_a_hint(bucket: Bucket, keys: Keys) -> None:
    own = Ed25519PrivateKey.generate()
    endorsement = signing.endorse(keys.root, own.public_key(), ("manifest",), NOW - timedelta(days=1), LATER)
    with expect_error(SealError, "seal.endorsement_use") as failure:
        amendment.write(
            chain_in(bucket, keys).next_amendment(HOLD, USER, NOW), signing.Signer(own, endorsement)
        )
    assert "accord key renew" in failure.value.hint


@pytest.mark.parametrize(
    "other", ["amendment-0000.json", "amendment-1.json", "amendment-00001.json", "amendment-0001"]
)
def test_amendment_name_has_four_digits(bucket: Bucket, keys: Keys, other: str) -> None:
    bucket.objects[PREFIX + other] = b"{}"
    assert codes(check(bucket, keys)) == [(8, "object.unknown")]
    with pytest.raises(SealError):
        name(0)
    with pytest.raises(SealError):
        name(10_000)


def test_tombstone_takes_an_endorsement_of_its_own(bucket: Bucket, keys: Keys) -> None:
    panel = Ed25519PrivateKey.generate()
    dates = (keys.signer.endorsement.not_before, keys.signer.endorsement.not_after)
    signer = signing.Signer(panel, signing.endorse(keys.root, panel.public_key(), signing.PANEL_USES, *dates))
    chain = chain_in(bucket, keys)
    tombstone = chain.next_amendment(make_tombstone(chain, "expired"), amendment.SYSTEM, NOW)
    with expect_error(SealError, "seal.endorsement_use"):
        amendment.write(tombstone, signer)
    forged = signed_document.write(amendment.AMENDMENT.body(amendment.body_of(tombstone)), signer)
    with expect_error(SealError, "seal.endorsement_use"):
        amendment.open_amendment(forged, keys.root.public_key())
    assert amendment.write(chain.next_amendment(HOLD, amendment.SYSTEM, NOW), signer)
