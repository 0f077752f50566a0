"""``accord country``, and the country's rules in other commands."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner, Result

from recorder import config
from recorder.catalogue.database import writing
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.cli import accord
from recorder.features.tenants import composition
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.ops.doctor import storage
from recorder.ops.doctor.findings import Patient, examine
from recorder.processes.services import Context
from recorder.prompts import country_file
from tests.house import Bakery
from tests.unit.cli.shell import Shell


def run(*words: str) -> Result:
    return CliRunner().invoke(accord, [*words])


def test_the_packs_are_listed_and_shown_with_their_sources() -> None:
    output = run("country", "list").output
    for code, pack in country_file.shipped_packs().items():
        assert re.search(rf"^{code} +{re.escape(pack.name)} ", output, re.MULTILINE)
        page = run("country", "show", code)
        assert page.exit_code == 0
        assert "not legal advice" in page.output
        for rule in pack.rules.values():
            assert f"- {rule.purpose}: {rule.mode}, at most {rule.longest_keep_days} days [" in page.output
            assert all(f"] {source}\n    {source.link}\n" in page.output for source in rule.sources)
    assert "one of be, de" in run("country", "show", "xx").output


def test_lines_that_fit_are_counted(dubois: Shell) -> None:
    assert "1 lines fit their tenants' countries" in dubois.good("country", "check")


def test_changed_pack_lists_each_line_with_reason_and_hint(dubois: Shell, tmp_path: Path) -> None:
    dubois.good("line", "add", "--tenant", "Dubois", "+3225550102", "--mode", "opt-in")
    path = tmp_path / "belgium-next.toml"
    body = (country_file.FOLDER / "be.toml").read_text(encoding="utf-8")
    path.write_text(
        body.replace('mode = "notice"\nlongest_keep_days = 3653', 'mode = "opt-in"\nlongest_keep_days = 60')
    )
    output = dubois("country", "check", "--pack", str(path))
    assert output.exit_code == 1
    assert "+3225550101  Dubois" in output.output
    assert "+3225550102" not in output.output
    assert "a call for agreement cannot be recorded with notice: opt-in, by Law of 13 June" in output.output
    assert "1 of 2 lines do not fit" in output.output
    (advice,) = [line.split("→ accord ")[1] for line in output.output.splitlines() if "→" in line]
    dubois.good(*advice.split())
    assert "2 lines fit" in dubois.good("country", "check", "--pack", str(path))
    assert dubois.json("line", "list", "--tenant", "Dubois")["lines"][0]["mode"] == "opt-in"
    path.write_text(body.replace("longest_keep_days = 3653", "longest_keep_days = 20"))
    output = dubois("country", "check", "--pack", str(path))
    assert output.exit_code == 1
    assert "→ an announcement that says at most 20 days, made for notice or stricter" in output.output
    assert "(accord announcement compose), then accord line set --tenant " in output.output
    path.write_text(body.replace('mode = "notice"', 'mode = "silence"', 1))
    result = dubois("country", "check", "--pack", str(path))
    assert result.exit_code == 2
    assert f"{path} cannot be used: purpose.agreement.mode" in result.output


def test_unknown_country(dubois: Shell) -> None:
    refused = dubois("tenant", "create", "Atlantis SA", "--country", "xx")
    assert refused.exit_code == 1
    assert "there is no country pack 'xx'" in refused.output
    assert "Atlantis" not in dubois.good("tenant", "list")
    dubois.good("line", "set", "--tenant", "Dubois", "+3225550101", "--mode", "opt-in")
    with writing():
        TenantTable.update(country="xx").execute()
    output = dubois.good("country", "check")
    assert "country 'xx' has no pack: the strict one applies" in output
    dubois.good("tenant", "set", "Dubois", "--country", "be")
    assert "the strict one applies" not in dubois.good("country", "check")


def test_line_laxer_than_its_country_is_refused(dubois: Shell) -> None:
    for country, mode in (("nl", "notice"), ("fr", "opt-out"), ("strict", "opt-in")):
        dubois.good("tenant", "create", country, "--country", country)
        rows = dubois.json("announcement", "list", "--tenant", country)["announcements"]
        assert [(each["name"], each["mode"]) for each in rows] == [("shipped-en", mode), ("shipped-fr", mode)]
        dubois.good("line", "add", "--tenant", country, f"+31 20 794 0{ord(country[0])}")
        (line,) = dubois.json("line", "list", "--tenant", country)["lines"]
        assert (line["mode"], line["languages"]) == (mode, ["fr"])
    refused = dubois("line", "add", "--tenant", "fr", "+33 1 99 00 00 01", "--mode", "notice")
    assert len(dubois.json("announcement", "list", "--tenant", "fr")["announcements"]) == 2
    assert refused.exit_code == 1
    assert "France: a call for agreement cannot be recorded with notice" in refused.output
    assert "opt-out or opt-in, by CNIL" in refused.output


def test_doctor_reports_lines_that_do_not_fit(house: Bakery) -> None:
    now = {"now": house.clock(), "entropy": house.entropy}
    environment = house.environment()
    patient = Patient(Context(config.load(None, environment), None), house.clock)
    (fine,) = examine(storage.lines, patient)
    assert (fine.state, fine.what) == ("ok", "lines: 1, each fits its customer's country")
    with writing():
        TenantTable.update(country="de").execute()
    (wrong,) = examine(storage.lines, patient)
    assert wrong.state == "wrong"
    assert wrong.what.startswith("lines: 1 of 1 do not fit their customers' countries: first ")
    assert "accord country check" in wrong.hint
    with writing():
        LineTable.update(mode="opt-in").execute()
    (unfit,) = examine(storage.lines, patient)
    assert unfit.state == "wrong"
    assert "1 of 1 are not recorded, because their announcement was made for another mode" in unfit.what
    options = {"language": "fr", "mode": "opt-in", "purposes": ["agreement"], "keep_days": 30}
    announcement = composition.compose(house.tenant, name="asking", **options, **now)
    assert change_line(house.tenant, house.line.id, LineChange(announcements=[announcement.id]), **now)
    assert [each.state for each in examine(storage.lines, patient)] == ["ok"]
