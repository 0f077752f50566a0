"""``accord tenant import``, on both databases."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from recorder import config
from recorder.catalogue import queries, tenant_queries
from recorder.clock import utc_now
from recorder.features.customer_import import entries, service
from recorder.features.customer_import import queries as known_queries
from recorder.features.customer_import.plan import CustomerSteps, Planner
from recorder.features.customer_import.table import read_table
from recorder.features.team import extensions
from recorder.features.team.invitations import Invitations, invitations
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users
from recorder.lifecycle import plans
from recorder.lifecycle.line_proposals import find_proposals
from recorder.mail.outbox import Outbox
from recorder.processes.customer_import import OperatorOperations, complete_with
from recorder.processes.services import Context
from recorder.prompts.composer import SHIPPED
from tests.unit.cli.shell import Shell
from tests.unit.customer_import.conftest import WriteTable

pytestmark = pytest.mark.postgresql

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "docs" / "customers.csv")

COLUMNS = "tenant,number,label,mode,keep_days,address,role,person_numbers"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    return tmp_path / "links.csv"


def counts(output: str) -> dict[str, dict[str, int]]:
    """The table of counts that the command prints."""
    header, *lines = output.strip().splitlines()[-4:]
    states = header.lower().split()[1:]
    return {
        words[0]: {state: int(count) for state, count in zip(states, words[1:], strict=True) if count != "0"}
        for words in map(str.split, lines)
    }


def names() -> list[str]:
    return [row.name for row in tenant_queries.customers()]


def findings(report: Path) -> list[tuple[str, ...]]:
    """The report's lines that say why: line, column and error."""
    rows = csv.DictReader(report.read_text("utf-8").splitlines())
    return [(row["line"], row["column"], row["error"]) for row in rows if row["error"]]


def team(shell: Shell) -> Invitations:
    context = Context(config.load(None, shell.environment), None)
    return Invitations(context.signer(), context.trust(), Outbox(), utc_now, os.urandom)


def test_example_of_the_documentation_is_imported(shell: Shell, links: Path) -> None:
    output = shell.good("tenant", "import", EXAMPLE, "--links", str(links))
    assert counts(output) == {
        "tenant": {"created": 2},
        "number": {"created": 3},
        "person": {"created": 4},
    }
    jansen, dubois = tenant_queries.customers()
    assert (dubois.name, dubois.country, dubois.languages) == ("Menuiserie Dubois", "be", ("fr", "nl"))
    assert (jansen.language, jansen.languages, jansen.time_zone) == ("nl", ("nl",), "Europe/Amsterdam")
    front, workshop = queries.lines(dubois.id)
    assert (front.number, front.label, front.mode, len(front.announcements)) == (
        "+3225550101",
        "Accueil",
        "opt-out",
        2,
    )
    assert front.recorded
    assert not workshop.recorded, "a number is recorded only where the table says so"
    prompts = {row.id: (row.language, row.mode, row.keep_days) for row in queries.announcements(dubois.id)}
    assert [prompts[each] for each in front.announcements] == [("fr", "opt-out", 30), ("nl", "opt-out", 30)]
    people = {each.address: each for each in invitations(dubois.id)}
    assert people["luc@example.com"].lines == (workshop.id,)
    assert (people["luc@example.com"].language, people["luc@example.com"].role) == ("nl", "customer")
    assert people["claire@example.com"].lines is None
    assert people["luc@example.com"].extensions == ("202", "203")


def test_links_are_for_the_operator_alone_and_open_the_panel(shell: Shell, links: Path) -> None:
    shell.good("tenant", "import", EXAMPLE, "--links", str(links))
    assert links.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(links.read_text("utf-8").splitlines()))
    assert [row["address"] for row in rows] == [
        "claire@example.com", "luc@example.com", "marie@example.com", "jan@example.nl",
    ]  # fmt: skip
    person = team(shell).accept(rows[0]["link"].rpartition("/")[2], "$argon2id$1")
    assert (person.login, person.role, person.name) == (
        "claire@example.com",
        "customer_admin",
        "Claire Dubois",
    )


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_links_are_not_written_where_others_read(shell: Shell, links: Path, mode: int) -> None:
    links.touch()
    links.chmod(mode)
    assert "you alone can read" in shell.bad("tenant", "import", EXAMPLE, "--links", str(links))
    links.unlink()
    links.symlink_to(shell.folder / "elsewhere")
    assert "cannot have the links" in shell.bad("tenant", "import", EXAMPLE, "--links", str(links))
    assert names() == []


def test_nobody_is_invited_in_vain(shell: Shell) -> None:
    assert "no mail can be sent" in shell.bad("tenant", "import", EXAMPLE)
    assert names() == []
    mail = {"ACCORD_MAIL_HOST": "localhost", "ACCORD_WEB_ADDRESS": "https://accord.example.com"}
    shell.good("tenant", "import", EXAMPLE, **mail, ACCORD_MAIL_SENDER="accord@example.com")
    jansen, _ = tenant_queries.customers()
    assert [each.delivery for each in invitations(jansen.id)] == ["waiting"]


def test_second_import_changes_nothing(shell: Shell, links: Path) -> None:
    shell.good("tenant", "import", EXAMPLE, "--links", str(links))
    before = tenant_queries.log_sizes()
    content = links.read_bytes()
    for option in ((), ("--update",)):
        output = shell.good("tenant", "import", EXAMPLE, "--links", str(links), *option)
        assert counts(output) == {
            "tenant": {"unchanged": 2},
            "number": {"unchanged": 3},
            "person": {"unchanged": 4},
        }
    assert tenant_queries.log_sizes() == before
    assert links.read_bytes() == content


def test_check_writes_nothing(shell: Shell) -> None:
    assert counts(shell.good("tenant", "import", EXAMPLE, "--check"))["tenant"] == {"created": 2}
    assert names() == []


def test_log_confirms_what_was_imported(shell: Shell, links: Path) -> None:
    shell.good("tenant", "import", EXAMPLE, "--links", str(links))
    shell.good("line", "end", "--tenant", "Menuiserie Dubois", "+3225550102", "--yes")  # the log goes on
    assert "everything is as it was written" in shell.good("audit", "run")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([",+3225550101"], [("2", "tenant", "tenant.name")]),
        (["Dub\u200bois"], [("2", "tenant", "tenant.name")]),
        (["Dubois,12a"], [("2", "number", "line.number")]),
        (["Dubois,3.2E+10"], [("2", "number", "line.number")]),
        (["Dubois,+3225550101", "Jansen,02 555 01 01"], [("3", "number", "customer_import.repeated")]),
        (["Dubois,+3225559999"], [("2", "number", "line.taken")]),
        (["Dubois,,Accueil"], [("2", "label", "customer_import.row")]),
        (["Dubois,+3225550101,,loud"], [("2", "mode", "line.settings")]),
        (["Dubois,+3225550101,,,soon"], [("2", "keep_days", "announcement.keep_days")]),
        (["Dubois,+3225550101,,,0"], [("2", "keep_days", "announcement.keep_days")]),
        (["Dubois,+3225550101,,,36000"], [("2", "keep_days", "announcement.keep_days")]),
        (["Dubois,,,,,claire"], [("2", "address", "mail.address")]),
        (["Dubois,,,,,a@b.be,boss"], [("2", "role", "user.role")]),
        (["Dubois,,,,,a@b.be", "Jansen,,,,,A@b.be"], [("3", "address", "customer_import.repeated")]),
        (["Dubois,,,,,a@b.be,,+3225550101"], [("2", "person_numbers", "user.lines")]),
        (["Dubois,,,,,a@b.be,,,not one"], [("2", "extensions", "extension.number")]),
        (["Dubois,,,,,a@b.be,,,1;2;3;4;5;6;7;8;9;10;11"], [("2", "extensions", "extension.too_many")]),
        (["Dubois,,,,,,,,201"], [("2", "extensions", "customer_import.row")]),
        ([
            "Dubois,,,,,a@b.be,,,201", "Dubois,,,,,c@d.be,,,202;201"
        ], [("3", "extensions", "customer_import.repeated")]),
        ([
            "Dubois,12a,,loud", "Dubois,,,,,x"
        ], [("2", "number", "line.number"), ("3", "address", "mail.address")]),
    ],
)  # fmt: skip
def test_mistakes_are_told_by_line_and_column_and_nothing_is_written(
    shell: Shell, write_table: WriteTable, tmp_path: Path, rows: list[str], expected: list[tuple[str, ...]]
) -> None:
    shell.good("tenant", "create", "Peeters")
    shell.good("line", "add", "--tenant", "Peeters", "+3225559999")
    before = tenant_queries.log_sizes()
    report = tmp_path / "report.csv"
    table = write_table(f"{COLUMNS},extensions", *rows, "Goossens,+3225550199")
    output = shell.bad("tenant", "import", table, "--report", str(report))
    assert findings(report) == expected
    for line, column, error in expected:
        assert f"line {line}, {column}: {error}: " in output
    assert names() == ["Peeters"]
    assert tenant_queries.log_sizes() == before


def test_extensions_become_a_persons_as_soon_as_they_accept(
    shell: Shell, write_table: WriteTable, links: Path, tmp_path: Path
) -> None:
    columns = "tenant,address,extensions"
    table = write_table(columns, "Dubois,luc@example.com,201;202", "Dubois,marie@example.com,203")
    shell.good("tenant", "import", table, "--links", str(links))
    (tenant,) = tenant_queries.customers()
    assert extensions.extensions_of(tenant.id) == {}
    luc, marie = (row["link"].rpartition("/")[2] for row in csv.DictReader(links.open(encoding="utf-8")))
    shell.join("Dubois", "claire@example.com")
    shell.good(
        "user", "set", "--tenant", "Dubois", "claire@example.com", "--role", "customer", "--extension", "202"
    )
    luc_id = team(shell).accept(luc, "$argon2id$1").id
    marie_id = team(shell).accept(marie, "$argon2id$1").id
    theirs = extensions.extensions_of(tenant.id)
    assert (theirs[luc_id], theirs[marie_id]) == (("201",), ("203",)), "202 is somebody's meanwhile"

    report = tmp_path / "report.csv"
    again = write_table(columns, "Dubois,luc@example.com,201;202", "Dubois,marie@example.com,203")
    shell.bad("tenant", "import", again, "--report", str(report))
    assert findings(report) == [("2", "extensions", "extension.taken")]
    again = write_table(
        columns,
        "Dubois,claire@example.com,204",
        "Dubois,luc@example.com,201;202",
        "Dubois,marie@example.com,203",
    )
    before = tenant_queries.log_sizes()
    assert counts(shell.good("tenant", "import", again))["person"] == {"different": 2, "unchanged": 1}
    assert tenant_queries.log_sizes() == before
    assert counts(shell.good("tenant", "import", again, "--update"))["person"] == {
        "updated": 2,
        "unchanged": 1,
    }
    theirs = extensions.extensions_of(tenant.id)
    assert sorted(theirs.values()) == [("201", "202"), ("203",), ("204",)]
    shell.good("line", "add", "--tenant", "Dubois", "+3225550102")  # the log goes on
    assert "everything is as it was written" in shell.good("audit", "run")


def test_customer_has_one_country(shell: Shell, write_table: WriteTable, tmp_path: Path) -> None:
    table = write_table("tenant,country", "Dubois,be", "DUBOIS,", "dubois,nl")
    report = tmp_path / "report.csv"
    shell.bad("tenant", "import", table, "--report", str(report))
    assert findings(report) == [("4", "country", "customer_import.contradiction")]


def test_only_fifty_mistakes_are_printed(shell: Shell, write_table: WriteTable, tmp_path: Path) -> None:
    table = write_table("tenant,number", *(f"Customer {number},x{number}" for number in range(60)))
    report = tmp_path / "report.csv"
    output = shell.bad("tenant", "import", table, "--report", str(report))
    assert output.count("line.number") == 50
    assert "… and 10 more" in output
    assert len(findings(report)) == 60


def test_control_characters_of_a_table_do_not_reach_the_terminal(
    shell: Shell, write_table: WriteTable
) -> None:
    output = shell.bad("tenant", "import", write_table("tenant,number", "Dubois,\x1b[2J"))
    assert "\x1b" not in output


def test_what_differs_is_changed_only_on_request(
    shell: Shell, write_table: WriteTable, links: Path, tmp_path: Path
) -> None:
    columns = f"{COLUMNS},language,time_zone"
    shell.good(
        "tenant", "import", "--links", str(links),
        write_table(columns, "Dubois,+3225550101,Accueil,notice,30,claire@example.com,customer_admin,,fr"),
    )  # fmt: skip
    shell.join("Dubois", "luc@example.com")
    table = write_table(
        columns,
        "Dubois,+3225550101,Front,opt-in,14,claire@example.com,auditor,,nl,Europe/Paris",
        "Dubois,,,,,luc@example.com,auditor",
    )
    report = tmp_path / "report.csv"
    same = shell.good("tenant", "import", table, "--report", str(report))
    assert counts(same) == {
        "tenant": {"different": 1},
        "number": {"different": 1},
        "person": {"different": 2},
    }
    assert sorted(column for _, column, _ in findings(report)) == [
        "keep_days", "label", "language", "mode", "role", "role", "time_zone",
    ]  # fmt: skip
    (tenant,) = tenant_queries.customers()
    (line,) = queries.lines(tenant.id)
    assert (tenant.language, tenant.time_zone) == ("fr", "Europe/Brussels")

    changed = shell("tenant", "import", table, "--update", "--report", str(report))
    assert changed.exit_code == 1, "an invitation and what is set at the beginning cannot be changed"
    assert counts(changed.output) == {
        "tenant": {"updated": 1},
        "number": {"updated": 1},
        "person": {"updated": 1, "refused": 1},
    }
    assert sorted(column for _, column, _ in findings(report)) == ["label", "role", "time_zone"]
    (tenant,) = tenant_queries.customers()
    assert (tenant.language, tenant.time_zone) == ("nl", "Europe/Brussels")
    (line,) = queries.lines(tenant.id)
    announced = {row.id: (row.mode, row.keep_days) for row in queries.announcements(tenant.id)}
    assert announced[line.announcement] == ("opt-in", 14)
    assert [each.role for each in users.users(tenant.id)] == ["auditor"]


def test_what_promises_callers_more_is_proposed(
    shell: Shell, write_table: WriteTable, tmp_path: Path
) -> None:
    rows = ("Dubois,+3225550101,,opt-in,14", "Dubois,+3225550102,,opt-in,14")
    shell.good("tenant", "import", write_table(COLUMNS, *rows))
    shell.join("Dubois", "ada@example.com", "--role", "customer_admin")
    (tenant,) = tenant_queries.customers()
    (admin,) = (each.id for each in users.users(tenant.id))
    for line in queries.lines(tenant.id):
        change = LineChange(recorded=True)
        assert change_line(tenant.id, line.id, change, who=admin, now=utc_now(), entropy=os.urandom)
    table = write_table(COLUMNS, "Dubois,+3225550101,,opt-in,90", "Dubois,+3225550102,,opt-in,7")
    report = tmp_path / "report.csv"
    before = [line.announcements for line in queries.lines(tenant.id)]
    for option in ("--check", "--update"):
        output = shell.good("tenant", "import", table, "--update", option, "--report", str(report))
        assert counts(output)["number"] == {"updated": 1, "proposed": 1}, option
        ((_, column, error),) = findings(report)
        assert (column, error) == ("keep_days", "customer_import.proposed")
        after = [line.announcements for line in queries.lines(tenant.id)]
        assert [old == new for old, new in zip(before, after, strict=True)] == [True, option == "--check"]
        assert len(find_proposals(tenant.id)) == (1 if option == "--update" else 0)


def test_equal_settings_share_announcements(shell: Shell, write_table: WriteTable) -> None:
    rows = [f"Dubois,+32255501{number:02},,opt-in,14" for number in range(5)]
    shell.good("tenant", "import", write_table(COLUMNS, *rows))
    (tenant,) = tenant_queries.customers()
    assert len({line.announcement for line in queries.lines(tenant.id)}) == 1
    assert len(queries.announcements(tenant.id)) == 2, "the shipped one, and this"


def planned(shell: Shell, table: str) -> tuple[list[CustomerSteps], OperatorOperations]:
    context = Context(config.load(None, shell.environment), None)
    context.open_catalogue()
    read, _ = entries.read_customers(read_table(Path(table))[0])
    defaults = entries.CustomerValues("", "be", "fr", ("fr",), "Europe/Brussels", plans.STARTER)
    sources = SHIPPED.cached()
    planner = Planner(known_queries.read_known_customers(), defaults, complete_with(sources))
    steps = planner.plan(read)
    assert planner.mistakes == []
    operations = OperatorOperations.of(context.keyring(), team(shell), sources, lambda links: None)
    return steps, operations


def test_refusal_costs_the_others_nothing(shell: Shell, write_table: WriteTable) -> None:
    rows = (f"Customer {number},+32255501{number:02},,,,a{number}@example.com" for number in range(5))
    steps, operations = planned(shell, write_table(COLUMNS, *rows))
    shell.good("tenant", "create", "customer 3")  # meanwhile
    outcomes = list(service.CustomerImport(operations).run(steps))
    refused = [each for each in outcomes if each.state == service.REFUSED]
    assert [(each.line, each.part) for each in refused] == [(5, "tenant"), (5, "number"), (5, "person")]
    assert [each.findings[0].error.error_id for each in refused] == [
        "tenant.name", "customer_import.customer_refused", "customer_import.customer_refused",
    ]  # fmt: skip
    assert len(outcomes) == 15
    assert sorted(names()) == ["Customer 0", "Customer 1", "Customer 2", "Customer 4", "customer 3"]
    created = [row for row in tenant_queries.customers() if row.name.startswith("Customer")]
    assert all(len(queries.lines(row.id)) == len(invitations(row.id)) == 1 for row in created)


def test_second_run_goes_on_where_the_first_was_interrupted(
    shell: Shell, write_table: WriteTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 4)
    rows = (f"Customer {number},+32255501{number:02},,,,a{number}@example.com" for number in range(5))
    table = write_table(COLUMNS, *rows)
    steps, operations = planned(shell, table)
    interrupted = service.CustomerImport(operations).run(steps)
    assert [next(interrupted).part for _ in range(4)] == ["tenant", "number", "person", "tenant"]
    interrupted.close()
    assert len(names()) == 2
    steps, operations = planned(shell, table)
    states = [each.state for each in service.CustomerImport(operations).run(steps)]
    assert states.count(service.UNCHANGED) == 4
    assert states.count(service.CREATED) == 11
    assert [len(queries.lines(row.id)) for row in tenant_queries.customers()] == [1] * 5


def test_links_are_written_before_their_invitations_are(
    shell: Shell, write_table: WriteTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, operations = planned(shell, write_table("tenant,address", "Dubois,claire@example.com"))

    def fail(links: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OperatorOperations, "write_links", lambda self, links: fail(links))
    with pytest.raises(KeyboardInterrupt):
        list(service.CustomerImport(operations).run(steps))
    assert names() == [], "the whole batch is undone"
