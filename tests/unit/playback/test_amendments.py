"""Amendments at the gate: holds, withdrawals, agreements, deletion."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable
from recorder.domain.markers import Marker
from recorder.errors import AccessError, RetentionError, SealError
from recorder.lifecycle import amendments, expiry, limit_application, recordings
from recorder.lifecycle.amendment_recovery import list_pending
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.seal.amendment import By, name
from recorder.seal.verification import verify
from recorder.spool import layout
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.stored_recordings import put_small

OPERATOR = By("operator")
TALK = 120_000
"""ms of talk that are more than is read at once."""


@pytest.fixture
def changes(house) -> Changes:
    services = house.services
    return Changes(services.store, services.root, services.signer, house.clock, house.entropy)


def hold(changes, row, **more) -> None:
    options = {"owner": "ada", "purposes": ["agreement"], "reason": "they contest the order"}
    review = {"review_at": changes.now() + timedelta(days=90)}
    amend(changes.hold, row.tenant, row.id, OPERATOR, **{**options, **review, **more})


def destroy_due(house) -> int:
    return expiry.destroy_due(house.services, house.clock())


def refusals(gate, who, row) -> dict[str, str | None]:
    return {each.code: each.reason for each in gate.purposes(who, row.id)}


def kinds(row) -> list[str]:
    with connected():
        rows = LeafTable.select().where(LeafTable.recording_id == row.id).order_by(LeafTable.number)
        return [leaf.kind for leaf in rows]


def test_a_hold_allows_only_its_purposes_and_roles_and_outlasts_expiry(
    house, gate, changes, somebody, recording
) -> None:
    admin, clerk = somebody("customer_admin"), somebody("customer")
    hold(changes, recording)
    assert refusals(gate, admin, recording) == {"agreement": None}
    assert refusals(gate, clerk, recording) == {"agreement": "access.held"}
    house.clock.at = recording.keep_until + timedelta(days=100)
    assert destroy_due(house) == 0
    grant = gate.grant(admin, recording.id, "agreement")
    assert grant.until == house.clock() + timedelta(minutes=15)
    with pytest.raises(AccessError, match="not for") as failure:
        gate.grant(clerk, recording.id, "agreement")
    assert failure.value.error_id == "access.held"
    changes.lift(changes.look(recording.tenant, recording.id), OPERATOR, hold=1, reason="settled")
    assert refusals(gate, admin, recording) == {"agreement": "access.expired"}
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, recording.id).erasure_reason == "expired"


def test_a_hold_ends_grants(house, gate, changes, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    hold(changes, recording)
    with expect_error(AccessError, "access.grant_over"):
        gate.open(ada, grant.id, "audio.wav", "p")
    assert kinds(recording).count("recording.amended") == 1


def test_only_what_ends_a_use_ends_the_grants_of_its_recording(house, gate, changes, ada) -> None:
    row, other = (queries.recording(house.tenant, put_small(house)) for _ in range(2))
    grant, others = (gate.grant(ada, each.id, "agreement") for each in (row, other))

    def ended_at(grant) -> datetime | None:
        with connected():
            return GrantTable.get_by_id(grant.id).ended_at

    agree = {"purpose": "training", "keep_days": 60, "reason": "on the telephone"}
    amend(changes.agree, row.tenant, row.id, OPERATOR, **agree)
    assert ended_at(grant) is None
    held_at = house.clock()
    hold(changes, row)
    assert (ended_at(grant), ended_at(others)) == (held_at, None)
    house.clock.forward(minutes=1)
    hold(changes, row)
    assert ended_at(grant) == held_at


@pytest.mark.parametrize("dies", ["begun", "put"])
def test_an_unlisted_amendment_takes_effect_after_a_crash(house, gate, changes, ada, recording, dies) -> None:
    def boundary(point: str) -> None:
        if point == dies:
            raise KeyboardInterrupt

    services = house.services
    failing_changes = Changes(
        services.store, services.root, services.signer, house.clock, house.entropy, boundary
    )
    with pytest.raises(KeyboardInterrupt):
        amend(
            failing_changes.delete, recording.tenant, recording.id, OPERATOR, reason="asked on the telephone"
        )
    house.clock.forward(minutes=2)
    assert amendments.listed_hashes(house.tenant, recording.id) == ()
    assert list_pending(services.store, services.root, house.clock(), house.entropy) == (dies == "put")
    assert amendments.pending_amendments(house.clock()) == ()
    assert len(amendments.listed_hashes(house.tenant, recording.id)) == (dies == "put")
    assert destroy_due(house) == (dies == "put")


def test_the_gate_lists_amendments_that_it_finds_in_the_bucket(house, gate, changes, ada, recording) -> None:
    amend(changes.delete, recording.tenant, recording.id, OPERATOR, reason="…")
    with writing():  # an older copy of the catalogue
        AmendmentTable.delete().execute()
        GrantTable.delete().execute()
    assert refusals(gate, ada, recording) == {"agreement": "access.erased"}
    assert len(amendments.listed_hashes(house.tenant, recording.id)) == 1


def test_names_a_missing_a_replaced_and_a_doubled_amendment(house, gate, changes, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    hold(changes, recording, roles=["customer", "customer_admin"])
    place = house.bucket / (recording.prefix + name(1))
    content = place.read_bytes()
    place.unlink()
    with expect_error(SealError, "amendment.missing"):
        gate.purposes(ada, recording.id)
    assert kinds(recording)[-1] == "seal.broken"
    place.write_bytes(content)
    with writing():
        AmendmentTable.update(sha256="0" * 64).execute()
    with expect_error(SealError, "amendment.replaced"):
        gate.purposes(ada, recording.id)
    place.with_name(name(2)).write_bytes(content)
    with expect_error(SealError, "amendment.doubled"):
        gate.purposes(ada, recording.id)
    assert grant.recording == recording.id


def test_nothing_is_heard_without_the_amendments_that_the_log_names(
    house, gate, changes, ada, recording
) -> None:
    """Whoever writes catalogue and bucket could otherwise take back that a purpose was ended."""
    amend(changes.narrow, recording.tenant, recording.id, OPERATOR, purposes=["agreement"], reason="asked to")
    (house.bucket / f"{recording.prefix}{name(1)}").unlink()
    with writing():
        AmendmentTable.delete().execute()
    with expect_error(SealError, "amendment.missing"):
        gate.grant(ada, recording.id, "agreement")


def test_a_withdrawal_takes_effect_at_once_and_erases(house, gate, changes, ada, recorded) -> None:
    row = agreed_to(house)
    grant = gate.grant(ada, row.id, "agreement")
    house.clock.forward(minutes=1)
    amend(changes.withdraw, row.tenant, row.id, OPERATOR, reason="by letter")
    assert refusals(gate, ada, row) == {"agreement": "access.expired"}
    with pytest.raises(AccessError):
        gate.open(ada, grant.id, "audio.wav", "p")
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, row.id).erasure_reason == "withdrawn"
    assert verify(house.services.store, row.prefix, house.services.root).findings == []


def agreed_to(house):
    """A recording that the caller consented to."""
    folder = house.take(formats=("wav",), mode="opt-in")
    yes = {"question": "recording", "answer": "yes", "key": "1"}
    layout.append_marker(folder, Marker(house.clock(), "question_answered", yes))
    house.work(folder)
    return queries.recording(house.tenant, folder.name)


def test_refuses_a_withdrawal_without_consent(changes, recording) -> None:
    with expect_error(RetentionError, "retention.not_by_consent"):
        amend(changes.withdraw, recording.tenant, recording.id, OPERATOR, reason="…")
    assert amendments.pending_amendments(changes.now() + timedelta(days=1)) == ()


def test_a_later_agreement_is_limited_by_the_country(house, gate, changes, somebody, recording) -> None:
    admin = somebody("customer_admin")
    options = {"purpose": "training", "reason": "signed on paper"}
    with expect_error(RetentionError, "retention.too_long"):
        amend(changes.agree, recording.tenant, recording.id, OPERATOR, keep_days=181, **options)
    amend(changes.agree, recording.tenant, recording.id, OPERATOR, keep_days=180, **options)
    assert refusals(gate, admin, recording) == {"agreement": None, "training": None}
    row = queries.recording(house.tenant, recording.id)
    assert row.keep_until - recording.keep_until == timedelta(days=150)
    house.clock.at = recording.keep_until
    assert refusals(gate, admin, recording) == {"agreement": "access.expired", "training": None}
    assert destroy_due(house) == 0
    house.clock.at = row.keep_until
    assert destroy_due(house) == 1


def test_refuses_a_later_agreement_about_an_unannounced_recording(changes, recorded) -> None:
    row = recorded(announced=False)
    with expect_error(RetentionError, "retention.not_announced"):
        amend(changes.agree, row.tenant, row.id, OPERATOR, purpose="agreement", keep_days=60, reason="…")


def test_a_held_recording_is_not_deleted_and_a_deleted_one_is_not_played(
    house, gate, changes, ada, recording
) -> None:
    hold(changes, recording)
    with expect_error(RetentionError, "retention.held"):
        amend(changes.delete, recording.tenant, recording.id, OPERATOR, reason="…")
    changes.lift(changes.look(recording.tenant, recording.id), OPERATOR, hold=1, reason="settled")
    amend(changes.delete, recording.tenant, recording.id, OPERATOR, reason="not needed")
    assert refusals(gate, ada, recording) == {"agreement": "access.erased"}
    hold_too_late = {"owner": "ada", "purposes": ["agreement"], "reason": "…"}
    with pytest.raises(RetentionError):
        amend(
            changes.hold, recording.tenant, recording.id, OPERATOR,
            review_at=house.clock() + timedelta(days=1), **hold_too_late,
        )  # fmt: skip
    assert destroy_due(house) == 1
    row = queries.recording(house.tenant, recording.id)
    assert (row.erasure_reason, row.external_party, row.wrapped_key) == ("deleted", None, None)
    chain = chain_of(house.services.store, row.prefix, house.services.root)
    assert [each.kind for each in chain.amendments] == [
        "hold_set", "hold_lifted", "deletion_requested", "erased",
    ]  # fmt: skip
    assert chain.erased.data.reason == "deleted"


@pytest.mark.parametrize("catalogue_kind", ["sqlite"])
def test_refuses_invalid_holds(changes, recording) -> None:
    for wrong, error_id in (
        ({"purposes": ["quality"]}, "retention.not_for_disputes"),
        ({"purposes": []}, "retention.not_for_disputes"),
        ({"reason": "  "}, "retention.reason"),
        ({"roles": ["auditor"]}, "retention.roles"),
        ({"roles": []}, "retention.roles"),
        ({"days": 0}, "retention.review"),
        ({"days": 367}, "retention.review"),
    ):
        more = dict(wrong)
        if "days" in more:
            more["review_at"] = changes.now() + timedelta(days=more.pop("days"))
        with expect_error(RetentionError, error_id):
            hold(changes, recording, **more)
    assert amendments.holds() == ()


def test_another_customers_recording_is_not_found(changes, stranger, recording) -> None:
    for attempt in (
        lambda: changes.look(stranger.tenant, recording.id),
        lambda: amend(changes.delete, stranger.tenant, recording.id, OPERATOR, reason="…"),
        lambda: changes.lift(changes.look(stranger.tenant, recording.id), OPERATOR, hold=1, reason="…"),
    ):
        with expect_error(AccessError, "access.not_found"):
            attempt()
    assert amendments.pending_amendments(changes.now() + timedelta(days=1)) == ()


def test_two_concurrent_amendments_both_take_effect(house, changes, recording, monkeypatch) -> None:
    """Another node's amendment comes between reading the chain and putting: the chain is read again."""
    services, put = house.services, house.services.store.put
    raced: list[str] = []

    def between(key, path, sha256) -> None:
        if name(1) in key and not raced:
            raced.append(key)
            from recorder.lifecycle import amendment_store
            from recorder.seal.amendment_kinds import PurposesNarrowed

            chain = chain_of(services.store, recording.prefix, services.root)
            narrowed = PurposesNarrowed(("agreement",), "…")
            amendment_store.put(
                services.store, chain, narrowed, OPERATOR, services.signer, services.root, house.clock()
            )
        put(key, path, sha256)

    monkeypatch.setattr(services.store, "put", between)
    amend(changes.delete, recording.tenant, recording.id, OPERATOR, reason="…")
    chain = chain_of(services.store, recording.prefix, services.root)
    assert [each.kind for each in chain.amendments] == ["purposes_narrowed", "deletion_requested"]
    assert len(amendments.listed_hashes(house.tenant, recording.id)) == 2


def test_a_shorter_limit_applies_to_existing_recordings(house, gate, ada, recorded) -> None:
    old = recorded()
    house.clock.forward(days=10)
    limit(house, 5)
    assert refusals(gate, ada, old) == {"agreement": "access.expired"}, "before the worker has been"
    young = recorded()
    assert young.keep_until < young.started_at + timedelta(days=5, minutes=10)
    assert settle(house) == 1
    assert settle(house) == 0
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, old.id).erasure_reason == "shortened"
    house.clock.forward(minutes=1)
    limit(house, None)
    longer = recorded()
    assert longer.keep_until > longer.started_at + timedelta(days=29)
    settle(house)
    assert queries.recording(house.tenant, young.id).keep_until == young.keep_until


def limit(house, days: int | None) -> None:
    house.limit(days)


def settle(house) -> int:
    return limit_application.apply_limits(house.services.store, house.services.root, house.clock())


@pytest.mark.parametrize("far", ["key", "tombstone"])
def test_an_erasure_during_playback_is_reported_as_such_and_breaks_no_seal(
    house, gate, changes, ada, recorded, far, monkeypatch
) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    pieces = opened.read(0, opened.length)
    next(pieces)
    amend(changes.delete, recording.tenant, recording.id, OPERATOR, reason="by mistake")
    if far == "key":  # the objects are gone, the row does not say so yet
        monkeypatch.setattr(recordings, "make_tombstone", lambda *_, **__: False)
    destroy_due(house)
    with expect_error(AccessError, "access.erased"):
        list(pieces)
    assert "seal.broken" not in kinds(recording)


def test_a_shorter_limit_stops_playback_within_seconds(house, gate, ada, recorded) -> None:
    recording = recorded(talk_ms=TALK)
    house.clock.forward(days=2)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    pieces = opened.read(0, opened.length)
    next(pieces)
    limit(house, 1)
    next(pieces)
    house.clock.forward(seconds=5)
    with expect_error(AccessError, "access.expired"):
        next(pieces)
    pieces.close()
