"""``accord line set`` for several numbers: shown first, then changed, proposed or refused one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.auditlog.append import append, tenant_lock
from recorder.ids import uuid7
from tests.unit.cli.shell import Shell

FIRST, SECOND = "+3225550101", "+3225550102"


@pytest.fixture
def tenant(house, shell) -> str:
    """A tenant with an admin, two numbers with composed announcements, and a recording."""
    shell.good("tenant", "create", "Dubois")
    shell.good("line", "add", "--tenant", "Dubois", FIRST)
    shell.good("line", "add", "--tenant", "Dubois", SECOND, "--mode", "opt-out")
    shell.join("Dubois", "ada@example.be", "--role", "customer_admin")
    (row,) = [row for row in shell.json("tenant", "list")["tenants"] if row["name"] == "Dubois"]
    at = {"now": house.clock(), "entropy": house.entropy}
    recording = str(uuid7(**at))
    with tenant_lock(row["id"]):
        append(row["id"], "recording.rebuilt", {"recording": recording}, recording=recording, **at)
    return row["id"]


def outcomes(shell: Shell, *words: str, exit_code: int = 0) -> dict[str, dict[str, Any]]:
    result = shell("line", "set", *words, "--json")
    assert result.exit_code == exit_code, result.output
    return {row["number"]: row for row in json.loads(result.stdout)["lines"]}


def modes(shell: Shell) -> list[str]:
    return [row["mode"] for row in shell.json("line", "list", "--tenant", "Dubois")["lines"]]


def test_a_change_of_all_numbers_is_shown_and_then_made(tenant, shell) -> None:
    words = ("--tenant", "Dubois", "--all", "--mode", "opt-out", "--keep-days", "14")
    for dry_run in (["--dry-run"], []):
        assert modes(shell) == ["notice", "opt-out"]
        found = outcomes(shell, *words, *dry_run)
        assert {number: row["outcome"] for number, row in found.items()} == {
            FIRST: "changed",
            SECOND: "changed",
        }
        assert found[FIRST]["before"] == {"mode": "notice", "keep_days": 30}
        assert found[FIRST]["after"] == {"mode": "opt-out", "keep_days": 14}
        assert found[SECOND]["after"] == {"keep_days": 14}
    assert modes(shell) == ["opt-out", "opt-out"]
    assert {row["outcome"] for row in outcomes(shell, *words).values()} == {"unchanged"}


def test_what_widens_is_proposed(tenant, shell) -> None:
    table = shell.good("line", "set", "--tenant", "Dubois", "--all", "--keep-days", "90", "--dry-run")
    assert table.count("proposed") == 2
    assert "keep_days 30" in table
    assert "keep_days 90" in table
    alone = shell("line", "set", "--tenant", "Dubois", FIRST, "--keep-days", "90")
    assert alone.exit_code == 0
    assert "it needs a yes of Dubois's admins" in alone.output
    refused = shell("line", "set", "--tenant", "Dubois", FIRST, "--keep-days", "90", "--beep", "both")
    assert refused.exit_code == 1
    assert "more than its customer agreed to: 90 days" in refused.output


def test_a_proposal_is_listed_shown_and_withdrawn(tenant, shell) -> None:
    proposal = ("line", "proposal")
    of_tenant = ("--tenant", "Dubois")
    assert shell.json(*proposal, "list", *of_tenant)["proposals"] == []
    shell.good("line", "set", *of_tenant, FIRST, "--keep-days", "90")
    shell.good("line", "set-keep-question", *of_tenant, SECOND, "--days", "365")
    first, second = shell.json(*proposal, "list", *of_tenant)["proposals"]
    assert (first["number"], first["before"]["keep_days"], first["after"]["keep_days"]) == (FIRST, 30, 90)
    assert (second["before"]["keep_question"], second["after"]["keep_question"]["days"]) == (None, 365)
    assert second["before"]["keep_days"] == second["after"]["keep_days"]
    assert shell.json(*proposal, "show", *of_tenant, SECOND) == second
    assert "nothing changes" in shell.good(*proposal, "withdraw", *of_tenant, SECOND)
    assert shell.json(*proposal, "list", *of_tenant)["proposals"] == [first]
    for command in ("show", "withdraw"):
        assert f"nothing is proposed for {SECOND}" in shell.bad(*proposal, command, *of_tenant, SECOND)


def test_only_some_of_all_numbers_are_changed(tenant, shell) -> None:
    found = outcomes(shell, "--tenant", "Dubois", "--all", "--only-mode", "opt-out", "--beep", "both")
    assert [(number, row["before"], row["after"]) for number, row in found.items()] == [
        (SECOND, {"beep": ""}, {"beep": "both"})
    ]
    purpose = ("--only-purpose", "quality", "--beep", "both")
    assert outcomes(shell, "--tenant", "Dubois", "--all", *purpose) == {}
    everybody = outcomes(
        shell, "--all-tenants", "--only-purpose", "agreement", "--keep-days", "7", "--dry-run", exit_code=1
    )
    assert {row["tenant"] for row in everybody.values()} > {"Dubois"}
    assert everybody[FIRST]["outcome"] == "changed"
    (own,) = [row for row in everybody.values() if row["tenant"] != "Dubois"]
    assert (own["outcome"], own["error"]) == ("refused", "announcement.own")


def test_one_that_is_refused_keeps_none_of_the_others(tenant, shell) -> None:
    shell.good("line", "set", "--tenant", "Dubois", FIRST, "--timing", "at-pickup")
    found = outcomes(shell, "--tenant", "Dubois", FIRST, SECOND, "--mode", "opt-in", exit_code=1)
    assert (found[FIRST]["outcome"], found[FIRST]["error"]) == ("refused", "line.timing")
    assert modes(shell) == ["notice", "opt-in"]


@pytest.mark.parametrize(
    "words",
    [
        ("--tenant", "Dubois", "--mode", "opt-in"),
        ("--tenant", "Dubois", "--all", FIRST, "--mode", "opt-in"),
        (FIRST, "--mode", "opt-in"),
        ("--all", "--mode", "opt-in"),
        ("--tenant", "Dubois", "--all-tenants", "--mode", "opt-in"),
        ("--tenant", "Dubois", FIRST, "--only-mode", "notice", "--mode", "opt-in"),
        ("--tenant", "Dubois", FIRST, SECOND, "--label", "Desk"),
        ("--tenant", "Dubois", "--all"),
    ],
)
def test_options_that_contradict_each_other_are_refused(shell, words) -> None:
    assert shell("line", "set", *words).exit_code == 2
