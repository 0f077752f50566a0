"""Which purposes a user may use now: the policy alone, without a recording."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recorder.catalogue.records import RecordingRow
from recorder.domain.roles import ADMIN, CUSTOMER, EXTERNAL_PARTY
from recorder.playback.interface import PurposeChoice
from recorder.playback.purposes import PurposePolicy, preselect, roles_by_code
from recorder.prompts import purposes as prompts
from recorder.seal.amendment_kinds import EXPIRED, HoldSet
from recorder.seal.usage_terms import Deferral, Hold, Term, Terms

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
END = NOW + timedelta(days=30)
ROLES = {"agreement": frozenset({CUSTOMER, ADMIN, EXTERNAL_PARTY}), "training": frozenset({ADMIN})}
ALONE = {"agreement": None, "training": "access.purpose_not_for_role"}

ROW = RecordingRow(
    id="r", tenant="t", line="l", number="+3225550100", direction="inbound", external_party=None,
    internal_party=None, started_at=NOW, duration_ms=1000, announcement="a", announcement_version=1,
    announced=True, purposes=("agreement", "training"), restricted=(), keep_answer=None, keep_until=END,
    prefix="", manifest_sha256="", wrapped_key=None, objects=(), stored_bytes=0, stored_at=NOW,
    erased_at=None, erasure_reason=None,
)  # fmt: skip


def terms(**changes: Any) -> Terms:
    purposes = tuple(Term(code, END, END, EXPIRED) for code in ROLES)
    values = {"until": END, "why": EXPIRED, "holds": (), "deleted_at": None, "ended_at": END}
    return Terms(**{"purposes": purposes, **values, **changes})


def reasons(
    known: Terms, now: datetime = NOW, role: str = CUSTOMER, user: str = "ada", **row: Any
) -> dict[str, str | None]:
    choices = PurposePolicy(role, now, ROLES, user).choices(known, replace(ROW, **row))
    assert all(each.allowed == (each.reason is None) for each in choices)
    return {each.code: each.reason for each in choices}


def held(*purposes: str, roles: tuple[str, ...] = (ADMIN,), owner: str = "paul") -> Hold:
    return Hold(1, NOW, HoldSet(purposes, owner, "they differ", END, roles))


def test_a_purpose_is_its_roles_until_it_ends() -> None:
    assert reasons(terms()) == ALONE
    assert reasons(terms(), role=ADMIN) == dict.fromkeys(ROLES)
    assert reasons(terms(), role="auditor") == dict.fromkeys(ROLES, "access.purpose_not_for_role")
    assert reasons(terms(), END - MOMENT) == ALONE
    assert reasons(terms(), END) == dict.fromkeys(ROLES, "access.expired")
    assert PurposePolicy(ADMIN, NOW, {}, "ada").choices(terms(), ROW)[0].reason is not None


def test_a_row_narrows_and_never_widens() -> None:
    assert reasons(terms(), NOW + MOMENT, keep_until=NOW)["agreement"] == "access.expired"
    assert reasons(terms(), END, keep_until=END + MOMENT)["agreement"] == "access.expired"
    for row in ({"restricted": ("agreement",)}, {"purposes": ("training",)}, {"announced": False}):
        assert reasons(terms(), **row)["agreement"] == "access.purpose_restricted"
    assert reasons(terms(), restricted=("agreement",)) | {"agreement": None} == ALONE


def test_a_hold_is_for_its_purposes_its_roles_and_who_handles_it() -> None:
    known = terms(holds=(held("agreement"),))
    assert reasons(known) == dict.fromkeys(ROLES, "access.held")
    assert reasons(known, user="paul") == {"agreement": None, "training": "access.held"}
    assert reasons(known, role=ADMIN) == {"agreement": None, "training": "access.held"}
    two = terms(holds=(held("agreement"), held("agreement", roles=(CUSTOMER,))))
    assert reasons(two)["agreement"] is None, "either hold admits them"
    assert reasons(terms(holds=(held("training", roles=(CUSTOMER,)),)))["training"] == ALONE["training"]


def test_a_hold_outlasts_expiry_and_deletion() -> None:
    known = terms(holds=(held("agreement"),), deleted_at=NOW)
    for now in (NOW, END + timedelta(days=3650)):
        assert reasons(known, now, role=ADMIN)["agreement"] is None
    assert reasons(known, keep_until=NOW, role=ADMIN)["agreement"] is None


def test_nothing_is_heard_once_it_is_deleted() -> None:
    known = terms(deleted_at=NOW)
    assert reasons(known, NOW - MOMENT) == ALONE
    assert reasons(known) == dict.fromkeys(ROLES, "access.erased")


def deferred(**changes: Any) -> Terms:
    deferral = Deferral(2, "d", NOW, END + timedelta(days=9), ("agreement",))
    return terms(deferrals=(deferral,), until=deferral.until, **changes)


@pytest.mark.parametrize("deleted_at", [None, NOW])
def test_while_an_erasure_waits_the_guests_hear_its_purposes(deleted_at: datetime | None) -> None:
    known, now = deferred(deleted_at=deleted_at), END + timedelta(days=1)
    over = "access.expired" if deleted_at is None else "access.erased"
    assert reasons(known, now, role=EXTERNAL_PARTY) == {"agreement": None, "training": over}
    assert reasons(known, now, role=ADMIN) == dict.fromkeys(ROLES, over)
    last_day = END + timedelta(days=9)
    assert reasons(known, last_day, role=EXTERNAL_PARTY)["agreement"] == over
    restricted = reasons(known, now, role=EXTERNAL_PARTY, restricted=("agreement",))
    assert restricted["agreement"] == "access.purpose_restricted"


def test_use_lasts_until_what_allows_it_ends() -> None:
    def lasts(known: Terms, code: str = "agreement", role: str = ADMIN, **row: Any) -> datetime:
        return PurposePolicy(role, END, ROLES).lasts_until(code, known, replace(ROW, **row))

    assert lasts(terms()) == END
    assert lasts(terms(), keep_until=NOW) == NOW
    assert lasts(terms(), keep_until=END + MOMENT) == END
    assert lasts(terms(), "other", keep_until=NOW) == NOW
    assert lasts(terms(holds=(held("agreement"),))).year == 9999
    assert lasts(terms(holds=(held("agreement"),)), "training") == END
    assert lasts(deferred(), role=EXTERNAL_PARTY) == END + timedelta(days=9)
    assert lasts(deferred(), "training", role=EXTERNAL_PARTY) == END
    assert lasts(deferred()) == END


def test_only_what_is_allowed_is_chosen_beforehand() -> None:
    def choice(code: str, reason: str | None = None) -> PurposeChoice:
        return PurposeChoice(code, reason is None, reason)

    both = [choice("agreement"), choice("training")]
    assert preselect(both, None) is None
    assert preselect(both, "training") == "training"
    assert preselect(both, "other") is None
    assert preselect([choice("agreement"), choice("training", "access.expired")], "training") == "agreement"
    assert preselect([choice("training", "access.expired")], "training") is None


def test_a_customers_own_purpose_replaces_no_standard_one() -> None:
    own = {"agreement": frozenset({"auditor"}), "archive": frozenset({CUSTOMER})}
    known = roles_by_code(own)
    assert known["archive"] == {CUSTOMER}
    assert known["agreement"] == prompts.standard()["agreement"].roles
