"""A customer's lines and announcements comply with its country's rules, or are stricter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recorder.catalogue import change_counter, queries, tenant_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.call_plan import MODES
from recorder.errors import CatalogueError
from recorder.features.tenants import composition, lines, service
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity.tenants import create_tenant
from recorder.lifecycle import line_history, line_rules
from recorder.prompts.country_file import shipped_packs
from recorder.prompts.country_rules import STRICT


@pytest.fixture
def say(tenants, clock, entropy) -> Callable[..., str]:
    """Composes an announcement of the first customer; returns its id."""

    def make(*purposes: str, keep_days: int = 30, mode: str = "notice") -> str:
        return composition.compose(
            tenants[0],
            name="-".join(purposes),
            language="en",
            mode=mode,
            purposes=purposes,
            keep_days=keep_days,
            now=clock(),
            entropy=entropy,
        ).id

    return make


@pytest.fixture
def now(clock, entropy) -> dict[str, object]:
    return {"now": clock(), "entropy": entropy}


def lives_in(tenant: str, country: str) -> None:
    """Set the country in the row, as an earlier version may have."""
    with writing():
        TenantTable.update(country=country).where(TenantTable.id == tenant).execute()


def kinds(tenant: str) -> list[str]:
    with connected():
        rows = LeafTable.select().where(LeafTable.tenant == tenant).order_by(LeafTable.number)
        return [row.kind for row in rows]


def refusal(work: Callable[[], object]) -> CatalogueError:
    with pytest.raises(CatalogueError) as failure:
        work()
    return failure.value


@pytest.mark.parametrize("country", sorted(shipped_packs()))
def test_line_is_as_strict_as_its_country(tenants, say, now, country) -> None:
    mine = tenants[0]
    lives_in(mine, country)
    allowed = shipped_packs()[country].rule("agreement").modes
    announcements = {mode: say("agreement", mode=mode) for mode in MODES}
    line = lines.create_line(mine, number="100", announcement=announcements[allowed[0]], **now)
    assert line.mode == allowed[0], "the mode that its announcement was made for"
    for number, mode in enumerate(MODES):

        def add(number: int = number, mode: str = mode) -> object:
            return lines.create_line(mine, number=f"20{number}", announcement=announcements[mode], **now)

        def change(mode: str = mode) -> object:
            return change_line(mine, line.id, LineChange(mode=mode), **now)

        if mode in allowed:
            assert add().mode == mode
            assert change()
            assert queries.line(mine, line.id).mode == mode
        else:
            before = queries.lines(mine)
            for work in (add, change):
                error = refusal(work)
                assert error.error_id == "country.mode"
                assert shipped_packs()[country].name in error.message
                assert shipped_packs()[country].rule("agreement").sources[0].name in error.hint
                assert f"accord country show {country}" in error.hint
            assert queries.lines(mine) == before
    assert line_rules.find_misfits() == ()


def test_retention_is_limited_by_the_country(tenants, say, now) -> None:
    lives_in(tenants[0], "fr")
    say("agreement", keep_days=180)
    error = refusal(lambda: say("agreement", keep_days=181))
    assert error.error_id == "country.keep_days"
    assert "181 days" in error.message
    assert "at most 180 days, by CNIL" in error.hint
    assert len(queries.announcements(tenants[0])) == 1


def test_purpose_that_needs_a_stricter_mode_is_refused(tenants, say, now) -> None:
    mine = tenants[0]
    line = lines.create_line(mine, number="100", announcement=say("agreement"), **now)
    training_announcement = say("training")
    error = refusal(
        lambda: change_line(mine, line.id, LineChange(announcements=[training_announcement]), **now)
    )
    assert (error.error_id, "training" in error.message) == ("country.mode", True)
    assert queries.line(mine, line.id) == line
    assert change_line(mine, line.id, LineChange(announcements=[say("training", mode="opt-in")]), **now)
    assert queries.line(mine, line.id).mode == "opt-in"
    error = refusal(lambda: change_line(mine, line.id, LineChange(mode="notice"), **now))
    assert error.error_id == "country.mode"


def test_older_announcement_with_excessive_retention_is_refused(tenants, say, now) -> None:
    mine = tenants[0]
    long, short = say("agreement", keep_days=365, mode="opt-out"), say("agreement", mode="opt-out")
    lives_in(mine, "fr")
    line = lines.create_line(mine, number="100", announcement=short, **now)
    for work in (
        lambda: lines.create_line(mine, number="101", announcement=long, **now),
        lambda: change_line(mine, line.id, LineChange(announcements=[long]), **now),
    ):
        assert refusal(work).error_id == "country.keep_days"


def test_mode_changes_only_on_own_active_line_and_is_logged(tenants, say, now) -> None:
    mine, other = tenants
    line = lines.create_line(mine, number="100", announcement=say("agreement"), **now)
    before = change_counter.revision(change_counter.LINES)
    assert not change_line(other, line.id, LineChange(mode="opt-in"), **now)
    assert (
        refusal(lambda: change_line(mine, line.id, LineChange(mode="silent"), **now)).error_id
        == "line.settings"
    )
    assert change_counter.revision(change_counter.LINES) == before
    assert change_line(mine, line.id, LineChange(mode="opt-in"), **now)
    assert change_counter.revision(change_counter.LINES) == before + 1
    assert kinds(mine)[-1] == "line.changed"
    line_history.end_line(mine, line.id, **now)
    assert not change_line(mine, line.id, LineChange(mode="notice"), **now)


def test_unknown_country_is_refused(tenants, now) -> None:
    def make(country: str, name: str = "x") -> object:
        return create_tenant(name, name=name, wrapped_key="{}", country=country, **now)

    for country in ("xx", "", "belgium"):
        error = refusal(lambda country=country: make(country))
        assert error.error_id == "tenant.country"
        assert error.hint.startswith("use one of be, de, fr, lu, nl, strict")
    assert {row.id for row in tenant_queries.all_tenants()} == set(tenants)
    assert make(" FR").country == "fr"
    assert make("strict", "y").country == "strict"


def test_customer_in_a_removed_country_gets_the_strict_pack(tenants, say, now) -> None:
    mine = tenants[0]
    announcement = say("agreement")
    line = lines.create_line(mine, number="100", announcement=announcement, **now)
    lives_in(mine, "atlantis")
    assert refusal(lambda: say("agreement", keep_days=31)).error_id == "country.keep_days"
    assert (
        refusal(lambda: lines.create_line(mine, number="101", announcement=announcement, **now)).error_id
        == "country.mode"
    )
    question = say("agreement", mode="opt-in")
    assert lines.create_line(mine, number="101", announcement=question, **now).mode == "opt-in"
    (misfit,) = line_rules.find_misfits()
    assert (misfit.line.id, misfit.tenant.id, misfit.pack.code) == (line.id, mine, STRICT)
    assert (misfit.laxest, [each.kind for each in misfit.objections]) == ("opt-in", ["mode"])


def test_changed_pack_lists_affected_active_lines(tenants, say, now) -> None:
    mine, other = tenants
    long = lines.create_line(mine, number="100", announcement=say("agreement", keep_days=365), **now)
    lines.create_line(mine, number="101", announcement=say("agreement", mode="opt-in"), **now)
    ended = lines.create_line(mine, number="102", announcement=say("agreement"), **now)
    line_history.end_line(mine, ended.id, **now)
    assert line_rules.count_active_lines() == 2
    assert line_rules.find_misfits() == ()
    (misfit,) = line_rules.find_misfits({**shipped_packs(), "be": shipped_packs()["fr"]})
    assert misfit.line == long
    assert {each.kind for each in misfit.objections} == {"mode", "keep_days"}
    lives_in(other, "fr")
    assert len(line_rules.find_misfits({**shipped_packs(), "fr": shipped_packs()["de"]})) == 0


def test_country_change_requires_compliant_lines(tenants, say, now) -> None:
    mine = tenants[0]
    line = lines.create_line(mine, number="100", announcement=say("agreement"), **now)
    error = refusal(lambda: service.set_tenant_country(mine, "de", **now))
    assert (error.error_id, "100" in error.message) == ("country.lines", True)
    assert queries.tenant(mine).country == "be"
    change_line(mine, line.id, LineChange(mode="opt-in"), **now)
    service.set_tenant_country(mine, "DE", **now)
    assert queries.tenant(mine).country == "de"
    assert kinds(mine)[-1] == "tenant.country_changed"
    assert refusal(lambda: service.set_tenant_country(mine, "xx", **now)).error_id == "tenant.country"
    assert refusal(lambda: service.set_tenant_country("z", "be", **now)).error_id == "tenant.unknown"


def test_number_from_another_country_follows_the_stricter_rules(tenants, say, now) -> None:
    mine, number = tenants[0], "+33123456789"
    lines.create_line(mine, number="+3225550177", announcement=say("agreement"), **now)
    for add in (
        lambda: lines.create_line(mine, number=number, announcement=say("agreement"), **now),
        lambda: lines.create_line(
            mine, number=number, announcement=say("agreement", mode="opt-out", keep_days=365), **now
        ),
    ):
        assert refusal(add).error_id in ("country.mode", "country.keep_days")
    line = lines.create_line(mine, number=number, announcement=say("agreement", mode="opt-out"), **now)
    assert (
        refusal(lambda: change_line(mine, line.id, LineChange(mode="notice"), **now)).error_id
        == "country.mode"
    )
    assert queries.tenant(mine).country == "be"


def test_provider_decides_that_the_customers_country_applies_alone(tenants, say, now) -> None:
    mine = tenants[0]
    line = lines.create_line(
        mine, number="+33123456789", announcement=say("agreement", mode="opt-out"), **now
    )
    assert service.decide_country(mine, alone=True, **now)
    assert not service.decide_country(mine, alone=True, **now)
    assert change_line(mine, line.id, LineChange(mode="notice"), **now)
    assert line_rules.find_misfits() == ()
    assert refusal(lambda: service.decide_country(mine, alone=False, **now)).error_id == "country.lines"
    assert refusal(lambda: service.set_tenant_country(mine, "nl", **now)).error_id == "country.lines"
    service.set_tenant_country(mine, "nl", alone=True, **now)
    assert kinds(mine)[-2:] == ["tenant.country_changed", "tenant.country_decided"]
    assert line_rules.is_alone(mine)
    lives_in(mine, "be")
    assert not line_rules.is_alone(mine), "nobody decided about this country"
    assert [misfit.line.id for misfit in line_rules.find_misfits()] == [line.id]


def test_decision_is_the_logs_and_no_rows(tenants, say, now) -> None:
    mine = tenants[0]
    service.decide_country(mine, alone=True, **now)
    with writing():
        LeafTable.update(body=LeafTable.body.concat(" ")).where(
            LeafTable.kind == line_rules.DECIDED
        ).execute()
    assert not line_rules.is_alone(mine)
