"""What has an id can be listed and shown; a command that changes several settings changes all or none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.pipeline import stages
from tests.house import CALLER, Bakery
from tests.unit.cli.shell import Shell

NAME = "Boulangerie Martin"
MINE = ("--tenant", NAME)
NUMBER = "+3225550100"


def ids(document: dict[str, Any], name: str) -> list[str]:
    return [row["id"] for row in document[name]]


def test_recordings_are_listed_by_customer_line_and_day_without_their_callers(
    shell: Shell, house: Bakery
) -> None:
    folders = []
    for _ in range(2):
        folders.append(house.take(talk_ms=300))
        house.work(folders[-1])
        house.clock.forward(days=2)
    first, second = (folder.name for folder in folders)
    assert ids(shell.json("recording", "list"), "recordings") == [second, first]
    assert ids(shell.json("recording", "list", "--limit", "1"), "recordings") == [second]
    day = (house.clock() - timedelta(days=4)).date().isoformat()
    assert ids(shell.json("recording", "list", "--to", day), "recordings") == [first]
    assert ids(shell.json("recording", "list", "--from", day), "recordings") == [second, first]
    shell.good("tenant", "create", "Dubois")
    assert ids(shell.json("recording", "list", "--tenant", "Dubois"), "recordings") == []
    assert ids(shell.json("recording", "list", *MINE, "--line", NUMBER), "recordings") == [second, first]
    assert shell("recording", "list", "--line", NUMBER).exit_code == 2
    assert "has no line" in shell.bad("recording", "list", *MINE, "--line", "+3299")
    page = shell.good("recording", "show", first)
    assert f"ID: {first}" in page
    for text in (page, shell.good("recording", "list"), str(shell.json("recording", "show", first))):
        assert CALLER.value not in text
    assert "accord recording list" in shell.bad("recording", "show", "nothing")


def test_recording_is_found_without_its_customer(shell: Shell, house: Bakery) -> None:
    shell.good("tenant", "create", "Aaron")
    folder = house.take(talk_ms=300)
    house.work(folder)
    assert shell.json("recording", "show", folder.name)["tenant"] == house.tenant
    assert ids(shell.json("audit", "leaves", folder.name), "leaves") != []
    shell.good("recording", "delete", folder.name, "--reason", "asked for", "--yes")
    assert shell.json("recording", "show", folder.name)["erased_at"] is None, "the worker erases it"


def test_takes_are_listed_with_their_state_and_reason(shell: Shell, house: Bakery) -> None:
    assert shell.json("take", "list") == {"takes": []}
    aside, ready = house.take(talk_ms=300), house.take(talk_ms=300)
    stages.quarantine_take(aside, stages.ENCODER_DIED, house.clock(), house.services)
    (house.spool / "unreadable").mkdir()
    rows = {row["id"]: row for row in shell.json("take", "list")["takes"]}
    assert (rows[ready.name]["state"], rows[ready.name]["number"]) == ("waiting", NUMBER)
    assert (rows[aside.name]["state"], rows[aside.name]["until"]) == ("quarantined", None)
    assert rows[aside.name]["reason"]
    assert (rows["unreadable"]["state"], rows["unreadable"]["number"]) == ("recording", None)
    shell.good("take", "retry", aside.name)
    rows = {row["id"]: row for row in shell.json("take", "list")["takes"]}
    assert (rows[aside.name]["state"], rows[aside.name]["reason"]) == ("waiting", None)


def test_customer_and_line_are_shown(shell: Shell, house: Bakery) -> None:
    page = shell.json("tenant", "show", NAME)
    assert (page["id"], page["lines"], page["state"]) == (house.tenant, 1, "empty")
    assert page["number_rules"] == "stricter"
    (listed,) = shell.json("tenant", "list")["tenants"]
    assert listed == {name: page[name] for name in listed}
    (number,) = page["numbers"]
    assert (number["number"], number["recorded"], number["suspended"]) == (house.line.number, True, False)
    assert next(each["code"] for each in page["problems"]) == "no_admin"
    assert "accord tenant list" in shell.bad("tenant", "show", "Nobody")
    line = shell.json("line", "show", *MINE, NUMBER)
    assert (line["id"], line["mode"]) == (house.line.id, "notice")
    assert shell.json("line", "list", *MINE)["lines"] == [line]
    assert "accord line list" in shell.bad("line", "show", *MINE, "+3299")


DUBOIS = ("--tenant", "Dubois", "+3225550155")


@pytest.fixture
def dubois(shell: Shell) -> LineRow:
    """A customer's line with a composed announcement."""
    shell.good("tenant", "create", "Dubois")
    shell.good("line", "add", *DUBOIS)
    (owner,) = (row for row in tenant_queries.customers() if row.name == "Dubois")
    return queries.lines(owner.id)[0]


def leaf_count() -> int:
    with connected():
        return int(LeafTable.select().count()) + int(AnnouncementTable.select().count())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--beep", "both", "--mode", "opt-in", "--timing", "at-pickup"), "must announce before ringing"),
        (("--format", "opus", "--join-notice", "alone", "--join-question"), "asks nobody"),
        (("--delete-in-call", "on", "--announcement", "nobody's"), "no announcement"),
    ],
)
def test_refused_setting_of_a_line_changes_no_other(
    shell: Shell, dubois: LineRow, words: tuple[str, ...], reason: str
) -> None:
    leaves = leaf_count()
    assert reason in shell.bad("line", "set", *DUBOIS, *words)
    assert queries.line(dubois.tenant, dubois.id) == dubois
    assert leaf_count() == leaves


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--join-question",),
        ("--join-question", "--join-notice", "off"),
        ("--announcement", "a", "--mode", "notice"),
        ("--announcement", "a", "--language", "fr"),
    ],
)
def test_contradictory_options_of_a_line_are_wrong_usage(
    shell: Shell, dubois: LineRow, words: tuple[str, ...]
) -> None:
    assert shell("line", "set", *DUBOIS, *words).exit_code == 2


def test_line_changes_between_modes_with_opposite_timings(shell: Shell, dubois: LineRow) -> None:
    """Each of the two is allowed only together with the other."""
    pickup = ("--mode", "notice", "--timing", "at-pickup", "--outbound", "once-connected")
    asking = ("--mode", "opt-in", "--timing", "before-ringing", "--outbound", "before-connected")
    for words in (asking, pickup, asking):
        line = shell.json("line", "set", *DUBOIS, *words)
        assert (line["mode"], line["timing"], line["outbound"]) == words[1::2]


def test_plan_and_country_are_changed_together_or_not_at_all(shell: Shell, house: Bakery) -> None:
    before = shell.json("tenant", "show", NAME)
    assert "there is no plan 'gold'" in shell.bad("tenant", "set", NAME, "--country", "be", "--plan", "gold")
    assert shell.json("tenant", "show", NAME) == before
    assert shell("tenant", "set", NAME).exit_code == 2
    assert shell.json("tenant", "set", NAME, "--country", "be")["country"] == "be"


def test_failures_exit_with_1_and_wrong_settings_with_2(shell: Shell, tmp_path: Path) -> None:
    assert shell("tenant", "show", "Nobody").exit_code == 1
    assert shell("tenant", "show").exit_code == 2
    settings = tmp_path / "accord.toml"
    settings.write_text("[store]\nbuckett = 'x'\n", "utf-8")
    for command in ("doctor", "status", "tenant"):
        words = (command, "list") if command == "tenant" else (command,)
        assert shell(*words, ACCORD_CONFIG=str(settings)).exit_code == 2, command
