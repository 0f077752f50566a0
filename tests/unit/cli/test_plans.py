"""Plans on the command line: the same rules as in the panel."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.lifecycle import plans
from tests.house import Bakery
from tests.plan_file import PLANS
from tests.unit.cli.shell import Shell

CUSTOMER = ("--tenant", "Boulangerie Martin")


@pytest.fixture
def planned(house: Bakery, plan_file: Path) -> Shell:
    """A shell with the provider's own plans."""
    return Shell(house.folder, ACCORD_STORE_PATH=str(house.bucket), ACCORD_WEB_PLANS=str(plan_file))


def test_operator_lists_and_changes_plans(planned: Shell, house: Bakery) -> None:
    assert planned.json("plan", "list")["plans"] == [
        {"code": "starter", "features": ["api", "download", "export"], "longest_keep_days": None,
         "formats": ["opus", "wav"]},
        {"code": "basic", "features": [], "longest_keep_days": 14, "formats": ["wav"]},
    ]  # fmt: skip
    planned.good("tenant", "set", "Boulangerie Martin", "--plan", "basic")
    assert [row["plan"] for row in planned.json("tenant", "list")["tenants"]] == ["basic"]
    assert plans.plan_of(house.tenant).code == "basic"
    assert "no plan 'gold'" in planned("tenant", "set", "Boulangerie Martin", "--plan", "gold").output
    planned.good("tenant", "create", "Fleurs", "--plan", "basic")
    fleurs = planned("line", "add", "--tenant", "Fleurs", "+3225550133").stdout.strip()
    assert fleurs
    (line,) = planned.json("line", "list", "--tenant", "Fleurs")["lines"]
    assert line["formats"] == ["wav"], "the plan's usual format"


def test_plan_refuses_what_it_does_not_have(planned: Shell, house: Bakery) -> None:
    planned.good("tenant", "set", "Boulangerie Martin", "--plan", "basic")
    number = house.line.number
    for words, names in (
        (("line", "set", number, "--format", "opus"), "opus is not part of the plan 'basic'"),
        (("line", "add", "+3225550134", "--format", "opus"), "opus is not part of the plan 'basic'"),
        (("line", "set-keep-question", number, "--days", "30"), "at most 14 days of retention, not 30"),
        (("token", "create", "till"), "api is not part of the plan 'basic'"),
    ):
        result = planned(*words[:2], *CUSTOMER, *words[2:])
        assert result.exit_code != 0
        assert names in result.output
    planned.good("line", "set", *CUSTOMER, number, "--format", "wav")
    row = queries.line(house.tenant, house.line.id)
    assert row is not None
    assert row.formats == ("wav",)


@pytest.mark.parametrize("content", [None, PLANS.replace("export", "exports")])
def test_unusable_file_of_plans_stops_a_command(house: Bakery, content) -> None:
    file = house.folder / "broken.toml"
    if content is not None:
        file.write_text(content)
    shell = Shell(house.folder, ACCORD_STORE_PATH=str(house.bucket), ACCORD_WEB_PLANS=str(file))
    result = shell("tenant", "list")
    assert result.exit_code != 0
    assert str(file) in result.output
    assert content is None or "unknown feature 'exports'" in result.output
