"""Until when a recording may be used and kept: beside a small model that asks of one moment at a time, and
one that says when and why each thing ends (``tests/retention_model.py``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.catalogue.recording_projection import recording_of
from recorder.playback.purposes import PurposePolicy
from recorder.prompts.country_file import shipped_packs
from recorder.seal.amendment import Amendment, By
from recorder.seal.amendment_kinds import (
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeferralEnded,
    DeletionRequested,
    ErasureDeferred,
    HoldLifted,
    HoldSet,
    OutcomeAdded,
    OutcomeConfirmation,
    PurposesNarrowed,
)
from recorder.seal.consent_record import Consent, KeepConsent
from recorder.seal.manifest import IMPORTED, Announced, AnnouncedPurpose, KeyIds, Manifest
from recorder.seal.usage_terms import RetentionLimit, terms, withdrawable_purposes
from tests.retention_model import ROLES, ModelledRecording

CALL = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CODES = ("agreement", "quality", "training", "legal-duty", "own")
LINES = ("line-1", "line-2")


def day(number: float) -> datetime:
    return CALL + timedelta(days=number)


def manifest(
    codes: tuple[str, ...] = ("agreement",),
    keep_days: int = 30,
    *,
    mode: str = "notice",
    agreed: tuple[str, int] | None = None,
    announced: bool = True,
    begins: float = 0,
    unannounced: str = "not_found_in_audio",
) -> Manifest:
    """``begins``: how many days after the call its keeping counts from, for its clock was wrong."""
    announcement = Announced(
        "a", 1, "en", "…", keep_days, "0" * 64,
        tuple(AnnouncedPurpose(c, day(begins + keep_days)) for c in codes), 0, 9, 1.0,
    )  # fmt: skip
    more = None if agreed is None or not announced else KeepConsent(*agreed, day(begins + agreed[1]))
    until = begins + max(keep_days, more.keep_days if more else 0) if announced else keep_days
    return Manifest(
        recording="r", tenant="t", line="line-1", number="+3220000000", direction="inbound", node="n",
        channel="c", started_at=CALL, bridged_at=None, ended_at=CALL, sealed_at=CALL, uncorrected=None,
        keep_until=day(until), duration_ms=10, drift_ms=0, sample_rate=8000,
        announced=announcement if announced else None, unannounced=None if announced else unannounced,
        consent=Consent(mode, "yes", "1", CALL, None), keep_questions=(), keep_consent=more, markers=(),
        gaps=(),
        objects=(), parties=b"", keys=KeyIds("d", "k"), software="accord",
    )  # fmt: skip


def chain(*statements: tuple[float, Data]) -> tuple[Amendment, ...]:
    return tuple(
        Amendment("r", "t", number, "0" * 64, day(at), By("operator"), data)
        for number, (at, data) in enumerate(statements, 1)
    )


HOLD = HoldSet(("agreement",), "u", "a dispute", day(60))


def test_hold_in_anothers_place_is_held_since_the_first() -> None:
    given_holds = [(1, HOLD), (2, replace(HOLD, owner="v", replaces=1)), (3, HOLD)]
    effective = terms(manifest(), chain(*given_holds)).holds
    assert [(each.number, each.since, each.data.owner) for each in effective] == [
        (2, day(1), "v"),
        (3, day(3), "u"),
    ]
    lifted = terms(manifest(), chain(*given_holds, (4, HoldLifted(2, "…")), (5, HoldLifted(3, "…"))))
    assert lifted.holds == ()


def test_recording_ends_with_its_last_purpose() -> None:
    sealed = manifest(("quality", "agreement"), 30, agreed=("agreement", 365))
    result = terms(sealed, ())
    assert [(each.code, each.until) for each in result.purposes] == [
        ("quality", day(30)),
        ("agreement", day(365)),
    ]
    assert result.active(day(30)) == ("agreement",)
    assert not result.due(day(365) - timedelta(milliseconds=1))
    assert result.due(day(365))
    assert result.why == "expired"


def test_unannounced_recording_has_no_purpose() -> None:
    result = terms(manifest(announced=False), ())
    assert (result.purposes, result.until, result.why) == ((), day(30), "not_announced")
    result = terms(manifest(announced=False), chain((3, DeletionRequested("…"))))
    assert (result.until, result.why) == (day(3), "deleted")


def test_limit_counts_from_the_time_that_the_announced_period_counts_from() -> None:
    """A call's clock may have been wrong when its announcement's period was promised."""
    ten_days = RetentionLimit(10, None, None, day(1), covers_consents=True)

    def end(sealed: Manifest, *later: Data) -> datetime:
        return terms(sealed, chain(*((0.5, each) for each in later)), [ten_days]).until

    assert end(manifest(begins=3)) == day(13)
    assert end(manifest((), agreed=("agreement", 365), begins=4)) == day(14), "no purpose was announced"
    agreed = ConsentAdded("training", day(100), "be", "…")
    unannounced = manifest(announced=False)
    assert end(replace(unannounced, ended_at=day(5)), agreed) == day(15)
    assert end(replace(unannounced, sealed_at=day(6)), agreed) == day(16)
    imported = manifest(announced=False, unannounced=IMPORTED)
    assert end(replace(imported, ended_at=day(7), sealed_at=day(8)), agreed) == day(17)


def test_withdrawal_ends_only_consent() -> None:
    amendments = chain((5, ConsentWithdrawn(("agreement", "legal-duty"), "by letter")))
    by_notice = terms(manifest(("agreement", "legal-duty"), agreed=("agreement", 365)), amendments)
    assert [each.until for each in by_notice.purposes] == [day(30), day(30)]
    result = terms(
        manifest(("agreement", "legal-duty"), mode="opt-in", agreed=("agreement", 365)), amendments
    )
    assert [(each.until, each.why) for each in result.purposes] == [
        (day(5), "withdrawn"),
        (day(30), "expired"),
    ]
    assert withdrawable_purposes(manifest(("agreement", "legal-duty"), mode="opt-out"), ()) == ("agreement",)
    assert withdrawable_purposes(manifest(("agreement",)), ()) == ()
    later = chain((1, ConsentAdded("training", day(100), "be", "…")))
    assert withdrawable_purposes(manifest(("agreement",)), later) == ("training",)


def test_deletion_at_the_very_end_changes_nothing() -> None:
    for sealed, why in (
        (manifest(), "expired"),
        (manifest(()), "expired"),
        (manifest(announced=False), "not_announced"),
    ):
        for at, reason in ((29, "deleted"), (30, why)):
            found = terms(sealed, chain((at, DeletionRequested("…"))))
            assert (found.until, found.why) == (day(at), reason)


def test_limit_covers_no_consent_of_its_own_moment() -> None:
    limit = RetentionLimit(10, None, None, day(20), covers_consents=True)
    for at, until in ((19, 20), (20, 100)):
        agreed = chain((at, ConsentAdded("training", day(100), "be", "…")))
        assert terms(manifest(), agreed, [limit]).term("training").until == day(until)


def test_consent_lasts_until_the_last_of_several() -> None:
    agreed = [ConsentAdded("training", day(until), "be", "…") for until in (50, 90, 70)]
    result = terms(manifest(), chain((0, HOLD), *((1, each) for each in agreed)))
    assert result.term("training").consented_until == day(90)
    assert withdrawable_purposes(manifest(), chain((0, HOLD), (1, agreed[0]))) == ("training",)


def test_withdrawal_at_the_very_end_changes_nothing() -> None:
    for at, why in ((29, "withdrawn"), (30, "expired")):
        withdrawn = chain((at, ConsentWithdrawn(("agreement",), "by letter")))
        found = terms(manifest(mode="opt-in"), withdrawn)
        assert (found.until, found.why) == (day(at), why)


def test_withdrawal_ends_an_added_consent() -> None:
    amendments = [(1, ConsentAdded("training", day(100), "be", "…"))]
    result = terms(manifest(), chain(*amendments))
    assert (result.term("training").until, result.until) == (day(100), day(100))
    amendments.append((40, ConsentWithdrawn(("training",), "…")))
    result = terms(manifest(), chain(*amendments))
    assert (result.until, result.why) == (day(40), "withdrawn")
    amendments.append((41, ConsentAdded("training", day(50), "be", "…")))
    assert terms(manifest(), chain(*amendments)).until == day(50)


def test_limit_shortens_earlier_recordings() -> None:
    short = RetentionLimit(5, None, None, day(10), day(20))
    result = terms(manifest(), (), [short])
    assert (result.until, result.why) == (day(10), "shortened"), "gone at once, not before it was said"
    assert terms(replace(manifest(), started_at=day(20)), (), [short]).why == "expired"
    assert terms(replace(manifest(), line="line-2"), (), [replace(short, line="line-1")]).until == day(30)
    assert terms(manifest(("legal-duty",)), (), [short]).until == day(30), "not what a law asks for"
    assert terms(manifest(("legal-duty",)), (), [replace(short, purpose="legal-duty")]).until == day(10)
    assert terms(manifest(), (), [RetentionLimit(90, None, None, day(0))]).until == day(30), "never longer"


def test_consent_outlasts_a_limit_without_consents() -> None:
    short = RetentionLimit(5, None, None, day(10))
    in_call = manifest(agreed=("agreement", 365))
    result = terms(in_call, (), [short])
    assert (result.until, result.why, result.purposes[0].consented_until) == (day(365), "expired", day(365))
    with_consents = terms(in_call, (), [replace(short, covers_consents=True)])
    assert (with_consents.until, with_consents.why) == (day(10), "shortened")
    later = chain((2, ConsentAdded("agreement", day(100), "be", "…")))
    assert terms(manifest(), later, [short]).until == day(100)
    assert terms(manifest(), later, [replace(short, covers_consents=True)]).until == day(10)
    since = chain((11, ConsentAdded("agreement", day(100), "be", "…")))
    assert terms(manifest(), since, [replace(short, covers_consents=True)]).until == day(100), "agreed since"
    withdrawn = (3, ConsentWithdrawn(("agreement",), "…"))
    taken_back = chain((2, ConsentAdded("agreement", day(100), "be", "…")), withdrawn)
    result = terms(manifest(), taken_back, [short])
    assert (result.until, result.purposes[0].consented_until) == (day(10), None), (
        "what rests on the announcement is left"
    )


def test_hold_defers_every_end() -> None:
    amendments = [(1, HOLD), (2, ConsentWithdrawn(("agreement",), "…")), (3, DeletionRequested("…"))]
    on_hold = terms(manifest(mode="opt-in"), chain(*amendments))
    assert not on_hold.due(day(9999))
    assert on_hold.held_for("agreement") == (HOLD,)
    lifted = terms(manifest(mode="opt-in"), chain(*amendments, (400, HoldLifted(1, "agreed"))))
    assert lifted.due(day(400))
    assert lifted.why == "withdrawn"


OUTCOME = OutcomeAdded(
    "d", "0" * 64,
    (
        OutcomeConfirmation("u", "customer", "account", day(1)),
        OutcomeConfirmation("g", "external_party", "code", day(1)),
    ),
    b"encrypted",
)  # fmt: skip


ACCOUNT_OF_ONE = OUTCOME.confirmations[0]
VOUCHED_FOR = replace(OUTCOME.confirmations[1], how="people")


@pytest.mark.parametrize("days", [(40, 60), (60, 40)])
def test_the_longest_of_several_deferrals_counts(days: tuple[int, int]) -> None:
    several = [(1, ErasureDeferred("d", day(each), ("agreement",))) for each in days]
    known = terms(manifest(), chain(*several))
    assert known.until == day(60)
    found = known.deferral(day(50))
    assert found is not None
    assert found.until == day(60)
    assert known.deferral(day(60)) is None
    assert known.deferral(day(29)) is None, "it has not ended yet"


def test_deferral_keeps_what_has_ended_and_revives_nothing() -> None:
    deferred = (1, ErasureDeferred("d", day(40), ("agreement",)))
    deleted = terms(manifest(("agreement",), 30), chain(deferred, (2, DeletionRequested("…"))))
    assert (deleted.ended_at, deleted.until, deleted.why) == (day(2), day(40), "deleted")
    assert deleted.active(day(2)) == ()
    assert not deleted.due(day(40) - timedelta(seconds=1))
    assert deleted.due(day(40))
    assert deleted.deferral(day(1)) is None, "it has not ended"
    assert deleted.deferral(day(2)) is not None
    assert deleted.deferral(day(40)) is None
    expired = terms(manifest(("agreement",), 50), chain(deferred))
    assert (expired.until, expired.deferral(day(45))) == (day(50), None), "a later end is its own"


@pytest.mark.parametrize(
    ("more", "until"),
    [
        ((5, OUTCOME), day(12)),
        ((35, OUTCOME), day(40)),
        ((5, replace(OUTCOME, dispute="another")), day(40)),
        ((5, replace(OUTCOME, confirmations=(ACCOUNT_OF_ONE, VOUCHED_FOR))), day(40)),
        ((5, DeferralEnded(1, "guest_left", ("g",))), day(2)),
        ((5, ErasureDeferred("d", day(60), ("agreement",))), day(60)),
        ((5, ErasureDeferred("d", day(20), ("agreement",))), day(40)),
    ],
)
def test_deferral_ends_with_its_outcome_or_its_end(more: tuple[float, Data], until: datetime) -> None:
    deferred = (1, ErasureDeferred("d", day(40), ("agreement",)))
    found = terms(manifest(("agreement",), 30), chain(deferred, (2, DeletionRequested("…")), more))
    assert found.until == until


def test_country_limits_use_and_erases_nothing() -> None:
    result = terms(manifest(keep_days=3000), (), (), shipped_packs()["strict"])
    assert (result.term("agreement").use_until, result.until) == (day(30), day(3000))


@dataclass(frozen=True)
class Case:
    """``begins``: when its keeping begins, in days after the call."""

    kind: str
    begins: float
    sealed: Manifest
    amendments: tuple[tuple[float, Data], ...]
    limits: tuple[RetentionLimit, ...]
    country: str
    now: float


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["announced", "announced", "imported", "not_announced"]))
    codes, agreed, begins = (), None, 0.0
    if kind == "announced":
        codes = tuple(draw(st.lists(st.sampled_from(CODES), min_size=1, max_size=4, unique=True)))
        agreed = draw(st.none() | st.tuples(st.sampled_from(CODES), st.integers(1, 400)))
        begins = draw(st.sampled_from([0.0, 0.25, 3.0]))
    sealed = manifest(
        codes,
        draw(st.integers(1, 60)),
        mode=draw(st.sampled_from(["notice", "opt-out", "opt-in"])),
        agreed=agreed,
        announced=kind == "announced",
        begins=begins,
        unannounced="imported" if kind == "imported" else "not_found_in_audio",
    )
    at, amendments, known = 0.0, [], {*codes, *((agreed[0],) if agreed else ())}
    for _ in range(draw(st.integers(0, 6))):
        at = max(0.0, at + draw(st.integers(-30, 50)) / 2)  # the clock of whoever writes it may be set back
        at += draw(st.integers(0, 50)) / 2
        what = draw(st.sampled_from("wnahld"))
        some = tuple(sorted(known))
        if known and what in "wnh":
            some = tuple(draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True)))
        if what == "d":
            amendments.append((at, DeletionRequested("…")))
        elif what == "a" and kind != "not_announced":
            code = draw(st.sampled_from(CODES))
            known.add(code)
            amendments.append((at, ConsentAdded(code, day(at + draw(st.integers(1, 300))), "be", "…")))
        elif what == "w" and some:
            amendments.append((at, ConsentWithdrawn(some, "…")))
        elif what == "n" and some:
            amendments.append((at, PurposesNarrowed(some, "…")))
        elif what == "h" and some:
            heard_by = draw(st.sampled_from([("customer_admin",), ("customer", "auditor")]))
            amendments.append((at, HoldSet(some, "u", "…", day(at + 9), heard_by)))
        elif what == "l" and (
            set_ := [n for n, (_, d) in enumerate(amendments, 1) if isinstance(d, HoldSet)]
        ):
            amendments.append((at, HoldLifted(draw(st.sampled_from(set_)), "…")))
    limits = draw(
        st.lists(
            st.builds(
                lambda days, code, line, since, lasts, covers_consents: RetentionLimit(
                    days,
                    code,
                    line,
                    day(since),
                    None if lasts is None else day(since + lasts),
                    covers_consents,
                ),
                st.integers(1, 50),
                st.none() | st.sampled_from(CODES),
                st.none() | st.sampled_from(LINES),
                st.integers(-40, 40),
                st.none() | st.integers(0, 60),
                st.booleans(),
            ),
            max_size=3,
        )
    )
    now = max(
        [
            0.0,
            *(moment for moment, _ in amendments),
            *((each.since - CALL) / timedelta(days=1) for each in limits),
        ]
    )
    now += draw(st.integers(0, 500)) / 4
    return Case(
        kind,
        begins,
        sealed,
        tuple(amendments),
        tuple(limits),
        draw(st.sampled_from(sorted(shipped_packs()))),
        now,
    )


def lives(case: Case, code: str) -> bool:
    """The model: at this one moment, does anything still speak for a purpose, and nothing against it?"""
    now, sealed = day(case.now), case.sealed
    law = code == "legal-duty"
    over = [
        limit
        for limit in case.limits
        if (limit.purpose == code or (limit.purpose is None and not law))
        and limit.line in (None, "line-1")
        and not (limit.until is not None and limit.until <= CALL)
        and now >= max(limit.since, day(case.begins + limit.keep_days))
    ]
    if any(isinstance(data, DeletionRequested) for _, data in case.amendments):
        return False
    narrowed = [
        n
        for n, (_, d) in enumerate(case.amendments)
        if isinstance(d, PurposesNarrowed) and code in d.purposes
    ]
    withdrawn = [
        n
        for n, (_, d) in enumerate(case.amendments)
        if isinstance(d, ConsentWithdrawn) and code in d.purposes
    ]
    announced = [p.until for p in (sealed.announced.purposes if sealed.announced else ()) if p.code == code]
    by_consent = sealed.consent.mode != "notice" and not law
    if announced and now < announced[0] and not narrowed and not (by_consent and withdrawn) and not over:
        return True
    in_call = sealed.keep_consent is not None and sealed.keep_consent.code == code
    yes = [(-1, sealed.ended_at, sealed.keep_consent.until)] if in_call else []
    yes += [
        (n, day(at), d.until)
        for n, (at, d) in enumerate(case.amendments)
        if isinstance(d, ConsentAdded) and d.purpose == code
    ]
    last_no = max([*narrowed, *withdrawn], default=-2)
    covers = [limit.since for limit in over if limit.covers_consents]
    return any(n > last_no and now < until and not any(at < each for each in covers) for n, at, until in yes)


def codes_on_hold(case: Case) -> set[str]:
    lifted = {d.hold for _, d in case.amendments if isinstance(d, HoldLifted)}
    set_ = {n: d for n, (_, d) in enumerate(case.amendments, 1) if isinstance(d, HoldSet)}
    return {code for n, each in set_.items() if n not in lifted for code in each.purposes}


@settings(max_examples=150, deadline=None)
@given(cases())
def test_terms_match_the_model(case: Case) -> None:
    now = day(case.now)
    result = terms(case.sealed, chain(*case.amendments), case.limits, shipped_packs()[case.country])
    codes = [each.code for each in result.purposes]
    assert len(codes) == len(set(codes))
    alive = {code for code in CODES if lives(case, code)}
    assert set(result.active(now)) == alive
    assert {code for code in CODES if result.held_for(code)} == codes_on_hold(case)
    if codes:
        assert result.due(now) == (not alive and not codes_on_hold(case))


def life(case: Case) -> ModelledRecording:
    """The same for the model that says when each thing ends."""
    sealed = case.sealed
    return ModelledRecording(
        case.kind,
        tuple(each.code for each in sealed.announced.purposes) if sealed.announced else (),
        sealed.announced.purposes[0].until if sealed.announced else sealed.keep_until,
        day(case.begins),
        CALL,
        sealed.line,
        sealed.consent.mode,
        (sealed.keep_consent.code, sealed.keep_consent.until) if sealed.keep_consent else None,
        tuple((day(at), data) for at, data in case.amendments),
        case.limits,
        sealed.ended_at,
    )


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from(["customer_admin", "customer", "auditor"]), st.integers(-60, 10))
def test_ends_reasons_and_roles_match_the_model(case: Case, role: str, ago: int) -> None:
    """Also at moments before all was said; and with that what the gate lets somebody choose."""
    now, pack, model = day(case.now + ago), shipped_packs()[case.country], life(case)
    result = terms(case.sealed, chain(*case.amendments), case.limits, pack)
    assert {each.code for each in result.purposes} == set(model.known)
    for each in result.purposes:
        until, why = model.ends(each.code)
        assert (each.until, each.why in why) == (until, True), (each, why)
    until, why = model.over()
    assert (result.until, result.why in why) == (until, True), (result, why)
    assert result.due(now) == model.due(now)
    row = recording_of(case.sealed, b"", None, None, chain(*case.amendments), case.limits)
    longest_days = {code: pack.rule(code).longest_keep_days for code in CODES}
    choices = PurposePolicy(role, now, ROLES).choices(result, row)
    assert {each.code: each.allowed for each in choices} == {
        code: model.may_be_heard(code, role, now, longest_days) for code in model.known
    }


@settings(max_examples=80, deadline=None)
@given(cases(), st.sampled_from(["withdrawn", "narrowed", "deleted", "limited"]))
def test_only_consent_extends_and_a_hold_keeps(case: Case, what: str) -> None:
    now = day(case.now)
    before = terms(case.sealed, chain(*case.amendments), case.limits)
    codes = tuple(each.code for each in before.purposes)
    more: dict[str, Data] = {
        "withdrawn": ConsentWithdrawn(codes, "…"),
        "narrowed": PurposesNarrowed(codes, "…"),
        "deleted": DeletionRequested("…"),
    }
    if what == "limited":
        after = terms(
            case.sealed, chain(*case.amendments), [*case.limits, RetentionLimit(3, None, None, now)]
        )
    else:
        after = terms(case.sealed, chain(*case.amendments, (case.now, more[what])), case.limits)
    assert after.until <= before.until
    for each in before.purposes:
        assert after.term(each.code).until <= each.until
    if what == "deleted" or (what == "narrowed" and codes):
        assert after.due(now) == (not codes_on_hold(case))
    result = terms(case.sealed, chain(*case.amendments, (case.now, HOLD)), case.limits)
    assert not result.due(now + timedelta(days=100_000))


@pytest.mark.parametrize("code", CODES)
def test_legal_duty_cannot_be_withdrawn(code: str) -> None:
    result = terms(manifest((code,), mode="opt-in"), chain((1, ConsentWithdrawn((code,), "…"))))
    assert result.until == (day(30) if code == "legal-duty" else day(1))


def test_withdrawable_is_what_rests_on_a_yes() -> None:
    agreed = manifest(agreed=("own", 365))
    assert withdrawable_purposes(manifest(), []) == ()
    assert withdrawable_purposes(agreed, []) == ("own",)
    assert withdrawable_purposes(manifest(mode="opt-in", agreed=("own", 365)), []) == ("agreement", "own")
