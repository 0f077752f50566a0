"""Plans: what their file may say, which plan a customer has, and what it limits."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError, ConfigError, RetentionError
from recorder.features.tenants import composition, default_lines, lines
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.line_policies import policies
from recorder.lifecycle import plans
from recorder.ops.doctor import storage
from recorder.prompts.composer import SHIPPED
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.house import Bakery
from tests.plan_file import PLANS

pytestmark = pytest.mark.usefixtures("plan_file")


@pytest.fixture
def authors(house: Bakery) -> dict:
    return {"now": house.clock(), "entropy": house.entropy}


def error(what) -> str:
    with pytest.raises((CatalogueError, RetentionError)) as refused:
        what()
    return refused.value.error_id


# --- the file


def test_shipped_starter_plan_limits_nothing() -> None:
    starter = plans.load_plans(plans.FILE)[plans.STARTER]
    assert (starter.features, starter.longest_keep_days) == (frozenset(plans.FEATURES), None)
    assert starter.formats == ("opus", "wav")
    assert starter.name("fr") == "Starter"


@pytest.mark.parametrize(
    ("wrong", "expected_message"),
    [
        ("starter = 1", "starter"),
        (PLANS.replace("[starter]", "[gold]"), "no plan 'starter'"),
        (PLANS.replace('"download", ', '"dowload", '), "'starter' has an unknown feature 'dowload'"),
        (PLANS.replace('["wav"]', '["mp3"]'), "'basic' has an unknown format 'mp3'"),
        (PLANS.replace('["wav"]', "[]"), "formats"),
        (PLANS.replace("= 14", "= -1"), "longest_keep_days"),
        (PLANS.replace("= 14", "= 14\nmost_calls = 3"), "most_calls"),
        ("[starter", ""),
    ],
)
def test_wrong_file_is_refused_with_what_is_wrong(tmp_path, wrong, expected_message) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(wrong)
    with expect_error(ConfigError, "plans.broken") as refused:
        plans.load_plans(path)
    assert expected_message in refused.value.message
    assert str(path) in refused.value.message


def test_name_falls_back_to_english_and_to_the_code() -> None:
    basic = plans.find_plan("basic")
    assert [basic.name(each) for each in ("fr", "de")] == ["Essentiel", "Basic"]
    assert plans.find_plan("starter").name("fr") == "starter"


# --- which plan a customer has


def test_change_is_in_the_log_once(house: Bakery, authors) -> None:
    assert plans.plan_of(house.tenant).code == "starter"
    assert plans.change_plan(house.tenant, "basic", **authors)
    assert not plans.change_plan(house.tenant, "basic", **authors)
    assert plans.plan_of(house.tenant).code == "basic"
    assert queries.tenant(house.tenant).plan == "basic"
    assert error(lambda: plans.change_plan(house.tenant, "gold", **authors)) == "tenant.plan"
    assert error(lambda: plans.change_plan("nobody", "basic", **authors)) == "tenant.unknown"


def test_row_alone_changes_no_plan(house: Bakery, authors) -> None:
    plans.change_plan(house.tenant, "basic", **authors)
    with writing():
        TenantTable.update(plan="starter").where(TenantTable.id == house.tenant).execute()
    assert plans.plan_of(house.tenant).code == "basic"


def test_plan_that_is_no_longer_there_is_reported_and_stops_nothing(house: Bakery, authors) -> None:
    with writing():
        append(house.tenant, plans.CHANGED, {"tenant": house.tenant, "plan": "gone"}, **authors)
    with capture_logs() as logs:
        assert plans.plan_of(house.tenant).code == "starter"
        assert len(policies().lines) == 1
        with writing():
            append(house.tenant, plans.CHANGED, {"tenant": house.tenant, "plan": "basic"}, **authors)
        assert {plans.plan_of(house.tenant).code for _ in range(2)} == {"basic"}
    assert [each["event"] for each in logs] == ["plan.unknown", "plan.recovered"]
    with writing():
        append(house.tenant, plans.CHANGED, {"tenant": house.tenant, "plan": "gone"}, **authors)
    patient = SimpleNamespace(context=SimpleNamespace(open_catalogue=lambda: None))
    (finding,) = storage.customer_plans(patient)
    assert (finding.state, "'gone'" in finding.what) == ("wrong", True)


# --- what it limits


def test_new_calls_are_stored_in_the_plans_formats(house: Bakery, authors) -> None:
    """Whatever the line says, which stays as it was chosen."""
    assert [line.formats for line in policies().lines] == [("opus",)]
    plans.change_plan(house.tenant, "basic", **authors)
    assert [line.formats for line in policies().lines] == [("wav",)]
    assert queries.line(house.tenant, house.line.id).formats == ("opus",)
    plans.change_plan(house.tenant, "starter", **authors)
    assert [line.formats for line in policies().lines] == [("opus",)]
    assert change_line(house.tenant, house.line.id, LineChange(formats=["wav", "opus"]), **authors)
    plans.change_plan(house.tenant, "basic", **authors)
    assert [line.formats for line in policies().lines] == [("wav",)]


def test_format_outside_the_plan_is_refused(house: Bakery, authors) -> None:
    plans.change_plan(house.tenant, "basic", **authors)

    def put(formats: list[str]) -> bool:
        return change_line(house.tenant, house.line.id, LineChange(formats=formats), **authors)

    assert error(lambda: put(["opus"])) == "plan.format"
    assert error(lambda: put(["mp3"])) == "line.settings"
    assert put(["wav"])
    assert not change_line(house.tenant, "no line", LineChange(formats=["wav"]), **authors)
    short = compose(house, authors, 14)
    line_fields = {"number": "+3225550111", "announcement": short.id, **authors}
    assert error(lambda: lines.create_line(house.tenant, formats=["opus"], **line_fields)) == "plan.format"
    assert lines.create_line(house.tenant, **line_fields).formats == ("wav",), "the plan's usual one"


def compose(house: Bakery, authors, keep_days: int):
    return composition.compose(
        house.tenant, name="own", language="fr", mode="notice", purposes=["agreement"], keep_days=keep_days,
        **authors,
    )  # fmt: skip


def test_longer_retention_than_the_plans_is_refused_wherever_it_is_chosen(house: Bakery, authors) -> None:
    long = compose(house, authors, 30)
    plans.change_plan(house.tenant, "basic", **authors)
    assert error(lambda: compose(house, authors, 30)) == "plan.keep_days"

    def keep(days: int) -> bool:
        return change_line(
            house.tenant, house.line.id, LineChange(keep=KeepOptions(keep_days=days)), **authors
        )

    def announce(announcement: str) -> bool:
        return change_line(house.tenant, house.line.id, LineChange(announcements=[announcement]), **authors)

    assert error(lambda: keep(30)) == "plan.keep_days"
    assert keep(14)
    assert error(lambda: announce(long.id)) == "plan.keep_days", "made before"
    assert announce(compose(house, authors, 14).id)
    owner = queries.tenant(house.tenant)
    shipped = default_lines.shipped_for(
        owner, "+3225550101", "fr", None, authors["now"], authors["entropy"], SHIPPED
    )
    assert shipped.keep_days == 14, "what a new line announces fits"


def recorded(house: Bakery, **more) -> str:
    folder = house.take(**more)
    house.work(folder)
    return folder.name


def test_plan_shortens_nothing_that_was_announced_or_agreed(house: Bakery, authors) -> None:
    recording = recorded(house, question="yes")
    before = house.changes.look(house.tenant, recording).terms
    plans.change_plan(house.tenant, "basic", **authors)
    after = house.changes.look(house.tenant, recording).terms
    assert after == before
    assert after.until > house.clock() + timedelta(days=300), "agreed for a year"
    (policy,) = policies().lines
    assert policy.announcement.keep_days == 30, "the line goes on as it was set up"


def test_later_agreement_fits_the_plan(house: Bakery, authors) -> None:
    recording = recorded(house)
    plans.change_plan(house.tenant, "basic", **authors)

    def agree(days: int) -> None:
        amend(
            house.changes.agree,
            house.tenant,
            recording,
            By("operator"),
            purpose="agreement",
            keep_days=days,
            reason="By letter",
        )

    assert error(lambda: agree(15)) == "retention.plan"
    agree(14)
