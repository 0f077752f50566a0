"""The access log's pages: who may read them, what they say, and how an entry is checked."""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from recorder.audit.leaf_schema import STATEMENTS
from recorder.auditlog import checkpoint, inclusion_proof
from recorder.auditlog.append import commitment, leaf_hash, leaf_text
from recorder.auditlog.kinds import FIELDS, GROUPS, HIDDEN, KINDS, UNLISTED
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.cli import accord
from recorder.clock import to_iso
from recorder.features.access_log import service
from recorder.features.access_log.rules import LogFilter
from recorder.features.tenants import service as tenants
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users
from recorder.lifecycle import expiry
from recorder.playback.interface import Actor
from recorder.prompts.purposes import standard
from recorder.seal.amendment import By
from tests.amendments import amend
from web.text import log_details
from web.text.sentences import SENTENCES


def test_every_kind_of_leaf_that_an_audit_knows_is_declared() -> None:
    assert {*STATEMENTS} <= KINDS.keys()
    assert {kind.group for kind in KINDS.values()} == {*GROUPS}


def test_every_field_of_a_leaf_is_shown_or_left_out_on_purpose() -> None:
    fields = {
        name.removesuffix(log_details.WAS)
        for kind in KINDS.values()
        for name in (*kind.fields, *kind.optional)
    }
    assert fields == {*FIELDS} | UNLISTED
    assert not {*FIELDS} & UNLISTED


def test_every_field_that_is_shown_has_a_writer() -> None:
    types = {each.type for each in FIELDS.values()}
    types |= {each for kind in KINDS.values() for each in kind.types.values()}
    assert types - {HIDDEN} == {*log_details.WRITERS}
    for kind in KINDS.values():
        assert kind.types.keys() <= {*kind.fields, *kind.optional} & FIELDS.keys()


@pytest.fixture
def time_and_entropy(house, clock) -> dict:
    return {"now": clock(), "entropy": house.entropy}


@pytest.fixture
def heard_recording(house, bakery) -> str:
    """A recording that Claire played for six seconds."""
    recording = house.call(bakery)
    person = bakery.people["claire"]
    who = Actor(person.id, bakery.id, person.role, "fr")
    grant = house.gate.grant(who, recording, "agreement")
    list(house.gate.open(who, grant.id, "audio.opus", "p").read(0, 10))
    house.gate.played(who, grant.id, "p", "0-4000,3000-6000")
    house.gate.close(who, grant.id, "p")
    return recording


def entries(page: str) -> list[str]:
    """The text of each entry in a list."""
    found = re.findall(r'<li class="log-entry.*?</li>', page, re.DOTALL)
    return [" ".join(re.sub("<[^>]+>", " ", each).split()) for each in found]


def in_english(page) -> object:
    page.send("/language", language="en")
    return page


def number_of(tenant: str, kind: str) -> int:
    (found,) = service.list_entries(tenant, LogFilter(kinds=[kind]), limit=1).entries
    return found.number


def sign(house) -> None:
    house.clock.forward(hours=1)
    checkpoint.sign_due(replace(house.services, checkpoints_seen={}), house.clock())


def test_says_who_listened_for_how_long_and_what_for(browser, bakery, heard_recording) -> None:
    rows = entries(in_english(browser("audit")).get("/access-log?kind=listening").text)
    closed, opened, granted = (each.replace("\u00a0", " ") for each in rows)
    assert "Claire Martin listened to a recording. Call +32 470 12 34 56, 25 November 2026, 10:00" in opened
    assert f"Heard 6 seconds Purpose {standard()['agreement'].label('en')}" in opened
    assert "Claire Martin stopped listening." in closed
    assert "Claire Martin opened a recording." in granted


def test_auditor_meets_no_button_that_refuses(browser, bakery, heard_recording) -> None:
    auditor = browser("audit")
    page = auditor.get("/access-log").text
    links = {html.unescape(each) for each in re.findall(r'href="(/[^"]*)"', page) if "static" not in each}
    assert len(links) > 10
    assert {auditor.get(each, follow_redirects=True).status_code for each in links} == {200}


def test_settings_are_rows_before_and_after(browser, bakery, time_and_entropy) -> None:
    tenants.set_tenant(bakery.id, name="Martin & fils", language="nl", **time_and_entropy)
    tenants.set_tenant_country(bakery.id, "nl", **time_and_entropy)
    rows = entries(in_english(browser("paul")).get("/access-log?kind=settings").text)
    assert "Your provider changed the country whose rules apply. Country Belgium → Netherlands" in rows[0]
    assert "Name Boulangerie Martin → Martin &amp; fils Language Français → Nederlands" in rows[1]
    change_line(bakery.id, bakery.line.id, LineChange(recorded=False), **time_and_entropy)
    rows = entries(in_english(browser("paul")).get("/access-log?kind=settings").text)
    assert "How callers are told Callers are told → Off" in rows[0]


def test_log_ins_and_wrong_passwords_are_shown(browser, bakery, house, time_and_entropy) -> None:
    assert users.note_refused_log_in(bakery.people["claire"], **time_and_entropy)
    house.clock.forward(seconds=1)
    rows = entries(in_english(browser("paul")).get("/access-log?kind=log-ins").text)
    assert [each.partition(" Check")[0].partition(" ")[2] for each in rows] == [
        "Paul Martin logged in.", "A log-in as Claire Martin failed: wrong password.",
    ]  # fmt: skip


def test_erased_entries_say_so(house, browser, bakery, heard_recording) -> None:
    by = By("user", bakery.people["paul"].id)
    amend(house.office().delete, bakery.id, heard_recording, by, reason="Not needed.")
    assert expiry.destroy_due(house.services, house.clock.forward(minutes=5)) == 1
    text = in_english(browser("paul")).get(f"/access-log?recording={heard_recording}").text
    erased, *rest = entries(text)
    assert "A recording was deleted." in erased
    assert SENTENCES["erasure_reason"]["deleted"]["en"] in erased
    assert len(rest) == 5
    assert all("Erased with its recording." in each for each in rest)
    assert "Claire" not in " ".join(rest)
    assert "Somebody listened to a recording." in " ".join(rest)
    page = browser("paul").get(f"/access-log/{number_of(bakery.id, 'listen.opened')}")
    assert page.status_code == 200


def test_changed_entry_says_so_and_cannot_be_checked(house, browser, bakery, time_and_entropy) -> None:
    tenants.set_tenant_country(bakery.id, "nl", **time_and_entropy)
    number = number_of(bakery.id, "tenant.country_changed")
    sign(house)
    with writing():
        mine = (LeafTable.tenant == bakery.id) & (LeafTable.number == number)
        LeafTable.update(body='{"country":"de","country_was":"be"}').where(mine).execute()
    auditor = in_english(browser("audit"))
    (row,) = entries(auditor.get("/access-log?kind=settings&from=2026-11-25").text)[:1]
    assert "This entry was changed in the database" in row
    assert "Germany" not in row
    assert "could not be checked" in auditor.get(f"/access-log/{number}").text
    assert auditor.get(f"/access-log/{number}.json").status_code == 404


def test_rewritten_log_is_not_confirmed(house, browser, bakery, time_and_entropy) -> None:
    """Somebody with the database can write a leaf that is right in itself, but not into what was signed."""
    tenants.set_tenant_country(bakery.id, "nl", **time_and_entropy)
    number = number_of(bakery.id, "tenant.country_changed")
    sign(house)
    body, salt = b'{"country":"de","country_was":"be","tenant":"x"}', b"s" * 32
    with writing():
        mine = (LeafTable.tenant == bakery.id) & (LeafTable.number == number)
        row = LeafTable.get(mine)
        leaf = leaf_text(bakery.id, number, row.kind, to_iso(row.at), commitment(salt, body))
        LeafTable.update(body=body.decode(), salt=salt, leaf=leaf, leaf_hash=leaf_hash(leaf.encode())).where(
            mine
        ).execute()
    auditor = in_english(browser("audit"))
    assert "could not be checked" in auditor.get(f"/access-log/{number}").text


def test_entry_is_checked_with_the_file_alone(house, browser, bakery, time_and_entropy, tmp_path) -> None:
    tenants.set_tenant(bakery.id, name="L’Été", language="fr", **time_and_entropy)
    number = number_of(bakery.id, "tenant.changed")
    auditor = in_english(browser("audit"))
    assert "not signed yet" in auditor.get(f"/access-log/{number}").text
    assert auditor.get(f"/access-log/{number}.json").status_code == 404
    sign(house)
    page = auditor.get(f"/access-log/{number}").text
    assert "Checked just now: this entry is in checkpoint 1" in page
    answer = auditor.get(f"/access-log/{number}.json")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="entry-{number}.json"'
    file = tmp_path / f"entry-{number}.json"
    file.write_bytes(answer.data)
    proof = inclusion_proof.verify_proof(answer.data.rstrip(b"\n"), house.root_public)
    assert proof.leaf["number"] == number
    assert proof.body is not None
    assert proof.body["name"] == "L’Été"
    checked = CliRunner().invoke(
        accord, ["audit", "verify-proof", str(file), "--root", str(house.folder / "keys" / "root.pub")]
    )
    assert checked.exit_code == 0, checked.output
    assert "included in checkpoint 1" in checked.output


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("openssl")), reason="jq and openssl")
def test_the_steps_without_accord_give_what_the_page_says(house, browser, bakery, tmp_path) -> None:
    number = number_of(bakery.id, "user.created")
    sign(house)
    auditor = in_english(browser("audit"))
    page = html.unescape(auditor.get(f"/access-log/{number}").text)
    (tmp_path / f"entry-{number}.json").write_bytes(auditor.get(f"/access-log/{number}.json").data)
    steps = re.findall(r"<code>([^<]*jq[^<]*)</code></pre>\s*It must be: <code>(\w+)</code>", page)
    assert len(steps) == 2
    for command, expected in steps:
        ran = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert expected in ran.stdout


def test_other_tenants_entries_are_not_there(house, browser, bakery, rival, time_and_entropy) -> None:
    for name in ("Martin", "Martin & fils", "Martin"):
        tenants.set_tenant(bakery.id, name=name, language="fr", **time_and_entropy)
    house.person(rival, "chief", "Ann Chief", role="customer_admin")
    sign(house)
    chief = browser("chief")
    last = service.list_entries(bakery.id, limit=1).entries[0].number
    theirs = service.list_entries(rival.id, limit=1).entries[0].number
    assert last > theirs
    for address in (f"/access-log/{last}", f"/access-log/{last}.json"):
        assert chief.get(address).status_code == 404
    assert "Martin" not in chief.get("/access-log").text + chief.get("/access-log.csv").text
    assert "Martin" not in chief.get(f"/access-log?person={bakery.people['claire'].id}").text


def test_filter_keeps_its_input_and_names_what_is_wrong(browser, bakery) -> None:
    page = in_english(browser("paul"))
    text = page.get("/access-log?kind=nonsense&from=yesterday&to=2026-11-25&after=x").text
    assert "Part of this could not be read and was left out." in text
    assert 'value="2026-11-25"' in text
    claire = bakery.people["claire"].id
    text = page.get(f"/access-log?person={claire}&kind=people").text
    assert f'<option value="{claire}" selected>' in text
    assert [each.split(" ", 1)[1] for each in entries(text)] == [
        "Your provider gave Claire Martin access. Role Colleague Check – entry 3"
    ]
    assert "No matching entries." in page.get("/access-log?person=nobody").text
    assert page.get("/access-log?recording=%25&person=%27").status_code == 200


def test_pages_follow_each_other(browser, bakery, time_and_entropy) -> None:
    for each in range(service.PAGE + 5):
        tenants.set_tenant(bakery.id, name=f"Martin {each}", language="fr", **time_and_entropy)
    page = in_english(browser("paul"))
    first = page.get("/access-log?kind=settings").text
    (rest,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = page.get(html.unescape(rest)).text
    assert (len(entries(first)), len(entries(second))) == (service.PAGE, 5 + 3)
    assert "Latest entries" in second
    assert "Earlier entries" not in second
    assert not {*entries(first)} & {*entries(second)}


def read_csv(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_csv_has_every_entry_in_both_times_and_no_formula(
    house, browser, bakery, heard_recording, time_and_entropy
) -> None:
    tenants.set_tenant(bakery.id, name="=HYPERLINK(1)", language="fr", **time_and_entropy)
    answer = in_english(browser("paul")).get("/access-log.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="access-log-2026-11-25.csv"'
    rows = read_csv(answer)
    assert len(rows) == len(service.list_entries(bakery.id, limit=1000).entries)
    opened = next(each for each in rows if each["Event"].endswith("listened to a recording."))
    assert opened["Time (Europe/Brussels)"] == "2026-11-25 10:00:00"
    assert opened["Time (UTC)"] == "2026-11-25T09:00:00.000Z"
    assert (opened["Person"], opened["Seconds heard"], opened["Recording"]) == (
        "Claire Martin",
        "6",
        heard_recording,
    )
    with connected():
        hashes = {row.leaf_hash for row in LeafTable.select().where(LeafTable.tenant == bakery.id)}
    assert {each["Leaf hash"] for each in rows} == hashes
    named_row = next(each for each in rows if "HYPERLINK" in each["Details"])
    assert "Name: Boulangerie Martin → =HYPERLINK(1)" in named_row["Details"]
    assert not [cell for each in rows for cell in each.values() if cell[:1] in set("=+-@")]


def test_csv_is_made_thirty_times_an_hour_by_each_person(house, browser, bakery) -> None:
    house.person(bakery, "eva", "Eva Martin", role="auditor")
    paul, eva = browser("paul"), browser("eva")
    codes = [paul.get(f"/access-log.csv?page={number}").status_code for number in range(31)]
    assert codes == [200] * 30 + [429]
    refused = in_english(paul).get("/access-log.csv")
    assert int(refused.headers["Retry-After"]) > 3000
    assert "then try again" in refused.text
    assert (paul.get("/access-log").status_code, eva.get("/access-log.csv").status_code) == (200, 200)


def test_csv_follows_the_filter(browser, bakery) -> None:
    rows = read_csv(in_english(browser("paul")).get("/access-log.csv?kind=people"))
    assert {each["Kind"] for each in rows} == {"People and access"}
    assert read_csv(browser("paul").get("/access-log.csv?kind=copies")) == []
