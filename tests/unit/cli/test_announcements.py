"""``accord announcement`` and ``accord line`` in each country, mode and language."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.line import LineTable
from recorder.clock import utc_now
from recorder.features.tenants import line_policies, snapshot
from recorder.lifecycle import line_rules
from recorder.prompts import composer, country_file
from recorder.spool.snapshot import Snapshot, read_snapshot
from tests.announcements import announcement_in
from tests.unit.cli.shell import Shell

DUBOIS = ("--tenant", "Dubois")


@pytest.fixture
def wav(tmp_path: Path) -> str:
    """A recorded sentence."""
    path = tmp_path / "welcome.wav"
    path.write_bytes(announcement_in("fr").path.read_bytes())
    return str(path)


def node(shell: Shell) -> Snapshot:
    """What the daemon reads."""
    folder = shell.folder / "node"
    snapshot.write(folder, shell.folder / "spool", [], utc_now())
    found = read_snapshot(folder)
    assert found.damaged == frozenset()
    return found


def lines(shell: Shell) -> list[dict[str, Any]]:
    return list(shell.json("line", "list", *DUBOIS)["lines"])


def announcements(shell: Shell, *tenant: str) -> list[dict[str, Any]]:
    return list(shell.json("announcement", "list", *(tenant or DUBOIS))["announcements"])


@pytest.mark.parametrize(
    ("country", "mode"), [("be", "notice"), ("fr", "opt-out"), ("de", "opt-in"), ("strict", "opt-in")]
)
def test_line_without_options_follows_its_country(new_shell: Shell, country: str, mode: str) -> None:
    speaks = {"de": ("--speaks", "de", "--speaks", "fr")}.get(country, ())
    new_shell.good("tenant", "create", "Dubois", "--country", country, *speaks)
    languages = ["de", "fr"] if speaks else ["en", "fr"]
    names = ("name", "version", "language", "purposes", "keep_days", "mode", "source")
    assert [tuple(row[name] for name in names) for row in announcements(new_shell)] == [
        (f"shipped-{each}", 1, each, ["agreement"], 30, mode, "composed") for each in languages
    ]
    new_shell.good("line", "add", *DUBOIS, "+3225550101")
    assert len(announcements(new_shell)) == 2, "none is made again"
    snap = node(new_shell)
    line = snap.line("3225550101")
    assert (line.mode, line.announcement.language) == (mode, "fr")
    (script,) = snap.plan(line).scripts
    assert (script.question is None) == (script.declined is None) == (mode == "notice")
    sentence = composer.announcement("fr", mode=line.mode, purposes=["agreement"], keep_days=30)
    assert (line.announcement.text, line.announcement.sha256) == (sentence.text, sentence.sha256)
    if mode == "opt-in":
        question = composer.opt_in_question("fr", purposes=["agreement"], keep_days=30)
        assert (line.consent_prompt.question.text, line.consent_prompt.question.sha256) == (
            question.text,
            question.sha256,
        )
    elif mode == "opt-out":
        assert line.consent_prompt.question.text == composer.wrong_key("fr").text
        assert "tapez 2" in line.announcement.text


def test_lines_default_to_their_customers_language(new_shell: Shell) -> None:
    new_shell.good("tenant", "create", "Dubois", "--speaks", "nl", "--speaks", "de")
    new_shell.good("line", "add", *DUBOIS, "+3225550101")
    new_shell.good("line", "add", *DUBOIS, "+3225550102", "--language", "de")
    assert [row["languages"] for row in lines(new_shell)] == [["nl"], ["de"]]


def test_announcement_stricter_than_its_country_is_composed(dubois: Shell) -> None:
    dubois.good("line", "add", *DUBOIS, "+3225550102", "--mode", "opt-in")
    dubois.good("line", "add", *DUBOIS, "+3225550103", "--mode", "opt-in")
    first, second, third = lines(dubois)
    assert [each["mode"] for each in (first, second, third)] == ["notice", "opt-in", "opt-in"]
    assert second["announcements"] == third["announcements"], "what is there is used again"
    assert node(dubois).line("3225550103").consent_prompt is not None


def test_mode_change_composes_a_matching_announcement(dubois: Shell) -> None:
    for mode in ("opt-in", "opt-out", "notice"):
        dubois.good("line", "set", *DUBOIS, "+3225550101", "--mode", mode)
        found = node(dubois).line("3225550101")
        assert (found.mode, found.consent_prompt is None) == (mode, mode == "notice")


def test_a_line_announces_at_pick_up(dubois: Shell) -> None:
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--timing", "at-pickup")
    assert lines(dubois)[0]["timing"] == "at-pickup"
    snap = node(dubois)
    assert snap.plan(snap.line("3225550101")).at_pickup
    for change in (("--mode", "opt-in"), ("--language", "fr", "--language", "nl")):
        refused = dubois("line", "set", *DUBOIS, "+3225550101", *change)
        output = refused.output
        assert refused.exit_code != 0
        assert "the colleague would have to wait" in output
        assert "before-ringing" in output
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--timing", "before-ringing")
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--mode", "opt-in")
    refused = dubois("line", "set", *DUBOIS, "+3225550101", "--timing", "at-pickup")
    assert "at pick-up, only notice" in refused.output


def test_line_records_its_outbound_calls(dubois: Shell) -> None:
    assert lines(dubois)[0]["outbound"] == "off"
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--outbound", "once-connected")
    assert lines(dubois)[0]["outbound"] == "once-connected"
    snap = node(dubois)
    assert snap.plan(snap.line("3225550101"), "outbound").at_pickup
    assert not snap.plan(snap.line("3225550101")).at_pickup
    refused = dubois("line", "set", *DUBOIS, "+3225550101", "--mode", "opt-in")
    assert refused.exit_code != 0
    assert "before-connected" in refused.output
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--outbound", "before-connected")
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--mode", "opt-in")
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--outbound", "off")
    assert node(dubois).line("3225550101").outbound == "off"


def test_languages_come_with_a_menu(dubois: Shell) -> None:
    row = dubois.json(
        "line", "set", *DUBOIS, "+3225550101", "--language", "fr", "--language", "nl", "--language", "en"
    )
    assert [row] == lines(dubois)
    names = {each["id"]: each["name"] for each in announcements(dubois)}
    ids = row["announcements"]
    assert [names[each] for each in ids] == ["shipped-fr", "shipped-nl-notice", "shipped-en"]
    assert row["languages"] == ["fr", "nl", "en"]
    snap = node(dubois)
    assert snap.line("3225550101").menu.text == composer.language_menu(["fr", "nl", "en"]).text
    assert len(snap.plan(snap.line("3225550101")).scripts) == 3
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--language", "en")
    found = node(dubois).line("3225550101")
    assert (found.announcement.language, found.others, found.menu) == ("en", (), None)
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--announcement", ids[1], "--announcement", ids[0])
    found = node(dubois).line("3225550101")
    assert [one.announcement.id for one in found.languages] == [ids[1], ids[0]]
    assert found.menu.text == composer.language_menu(["nl", "fr"]).text


def test_announcement_is_composed_with_a_greeting(dubois: Shell, wav: str) -> None:
    greeting = ("--greeting", wav, "--greeting-text", "Bienvenue.")
    words = ("announcement", "compose", *DUBOIS, "--language", "fr", "--purpose", "quality")
    result = dubois(*words, "welcome", *greeting)
    assert result.exit_code == 0, result.output
    identity = result.stdout.splitlines()[0]
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--announcement", identity)
    found = node(dubois).line("3225550101").announcement
    assert found.id == identity
    assert found.text.startswith("Bienvenue. Cet appel est enregistré pour améliorer notre service. ")
    assert (found.purposes, found.keep_days) == (("quality",), 30)
    with_question = dubois(*words, "asked", "--mode", "opt-in", *greeting)
    assert "Bienvenue. Pouvons-nous" in with_question.output
    alone = dubois(*words, "alone", *greeting, "--greeting-says-all")
    assert "notice: Bienvenue.\n" in alone.output
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--announcement", alone.stdout.splitlines()[0])
    refused = dubois("line", "set", *DUBOIS, "+3225550101", "--mode", "opt-out")
    assert refused.exit_code == 1
    assert "says everything itself" in refused.output
    assert "accord announcement compose --mode opt-out" in refused.output


def test_own_sound_asks_in_its_own_words(dubois: Shell, wav: str) -> None:
    words = ("announcement", "add", *DUBOIS, "own", "--wav", wav, "--text", "Enregistré.", "--language", "fr")
    notice = dubois.good(*words).strip()
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--announcement", notice)
    refused = dubois("line", "set", *DUBOIS, "+3225550101", "--mode", "opt-in")
    assert refused.exit_code == 1
    assert "is your own sound, made for notice" in refused.output
    assert "accord announcement add --mode opt-in" in refused.output
    refused = dubois(*words, "--mode", "opt-in")
    assert "an announcement for opt-in needs its question" in refused.output
    beside = (
        "--question",
        wav,
        "--question-text",
        "D'accord ?",
        "--declined",
        wav,
        "--declined-text",
        "Non.",
    )
    announcement = dubois.good(*words, "--mode", "opt-in", *beside).strip()
    dubois.good("line", "set", *DUBOIS, "+3225550101", "--announcement", announcement)
    found = node(dubois).line("3225550101")
    assert (found.mode, found.consent_prompt.question.text, found.consent_prompt.declined.text) == (
        "opt-in",
        "D'accord ?",
        "Non.",
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("announcement", "compose", "x", "--language", "fr", "--purpose", "marketing"), "known: "),
        (("announcement", "compose", "x", "--language", "fr", "--keep-days", "0"), "1 to 3653 days"),
        (("announcement", "compose", "x", "--language", "fr", "--greeting-text", "Hi"), "--greeting WAV"),
        (("announcement", "compose", "x", "--language", "fr", "--own", "school"), "CODE=SENTENCE"),
        (("line", "set", "+3225550101", "--language", "fr", "--language", "fr"), "each once"),
        (("line", "set", "+3225550199", "--language", "fr"), "accord line list"),
        (
            ("line", "set", "+3225550101", "--announcement", "x", "--announcement", "x"),
            "accord announcement list",
        ),
        (("line", "add", "+3225550102", "--announcement", "nobody's"), "accord announcement list"),
    ],
)
def test_unfit_settings_are_refused_with_a_hint(dubois: Shell, words: tuple, reason: str) -> None:
    def everything() -> list[str]:
        return [dubois.good(noun, "list", *DUBOIS) for noun in ("announcement", "line")]

    before = everything()
    noun, verb, *more = words
    assert reason in dubois.bad(noun, verb, *DUBOIS, *more)
    assert everything() == before


def test_another_customers_announcement_is_refused(dubois: Shell) -> None:
    dubois.good("tenant", "create", "Martin")
    theirs = announcements(dubois, "--tenant", "Martin")[0]["id"]
    before = lines(dubois)
    for words in (
        ("line", "set", *DUBOIS, "+3225550101", "--announcement", theirs),
        ("line", "add", *DUBOIS, "+3225550102", "--announcement", theirs),
        ("line", "set", "--tenant", "Martin", "+3225550101", "--language", "fr", "--language", "en"),
        ("line", "set", "--tenant", "Martin", "+3225550101", "--mode", "opt-in"),
    ):
        assert dubois(*words).exit_code == 1
    assert lines(dubois) == before


def test_adopted_customer_gets_announcements_for_its_country(dubois: Shell) -> None:
    with writing():
        LineTable.delete().execute()
        AnnouncementTable.delete().execute()
    dubois.good("tenant", "adopt", "Dubois", "Dubois", "--country", "de")
    assert [row["mode"] for row in announcements(dubois)] == ["opt-in", "opt-in"]


def test_keep_question_options(dubois: Shell) -> None:
    """With shipped sentences, within the country's limits; --off removes it."""
    keep = ("line", "set-keep-question", "--tenant", "Dubois", "+3225550101")
    dubois.good(*keep, "--days", "365", "--destroy")
    owner = next(row for row in tenant_queries.all_tenants() if row.name == "Dubois")
    (row,) = queries.lines(owner.id)
    assert row.keep == KeepOptions(keep_days=365, destroy=True)
    dubois.good("line", "set", "--tenant", "Dubois", "+3225550101", "--language", "fr", "--language", "nl")
    keep_by_language = {
        one.announcement.language: one.keep for one in line_policies.policies().lines[0].languages
    }
    assert {language: keep and keep.no.text for language, keep in keep_by_language.items()} == {
        language: composer.declined(language, destroyed=True).text for language in ("fr", "nl")
    }
    refused = dubois(*keep, "--days", "4000")
    assert refused.exit_code != 0
    assert "4000 days" in refused.output
    assert dubois(*keep).exit_code == 2
    assert dubois(*keep, "--days", "3", "--off").exit_code == 2
    assert queries.lines(owner.id)[0].keep == KeepOptions(keep_days=365, destroy=True)
    dubois.good(*keep, "--off")
    assert queries.lines(owner.id)[0].keep is None


def test_transfer_target_is_notified_if_the_line_requires_it(dubois: Shell) -> None:
    command = ("line", "set", *DUBOIS, "+3225550101", "--join-notice")

    def notice_mode() -> str | None:
        owner = next(row for row in tenant_queries.all_tenants() if row.name == "Dubois")
        (row,) = queries.lines(owner.id)
        return None if row.transfer_notice is None else row.transfer_notice.how

    assert notice_mode() is None
    dubois.good(*command, "both")
    assert notice_mode() == "both"
    dubois.good("line", "set", "--tenant", "Dubois", "+3225550101", "--language", "de", "--language", "en")
    sentences = {
        one.announcement.language: one.transfer_notice for one in line_policies.policies().lines[0].languages
    }
    assert {language: one and one.sound.text for language, one in sentences.items()} == {
        language: composer.transfer_notice(language).text for language in ("de", "en")
    }
    assert dubois(*command, "loudly").exit_code == 2
    dubois.good(*command, "off")
    assert notice_mode() is None


def test_transfer_target_is_asked_if_the_line_says_so(dubois: Shell) -> None:
    command = ("line", "set", *DUBOIS, "+3225550101", "--join-notice")
    refused = dubois(*command, "alone", "--join-question")
    assert refused.exit_code != 0
    assert "accord line set --mode" in refused.output
    assert dubois(*command, "off", "--join-question").exit_code == 2
    dubois.good("line", "set", "--tenant", "Dubois", "+3225550101", "--mode", "opt-in")
    dubois.good(*command, "alone", "--join-question")
    (line,) = line_policies.policies().lines
    assert line.transfer_notice is not None
    assert line.transfer_notice.refused is not None
    dubois.good(*command, "alone")
    (line,) = line_policies.policies().lines
    assert line.transfer_notice is not None
    assert line.transfer_notice.refused is None


def test_country_can_require_a_transfer_notice(dubois: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shipped pack does: this one is changed as an operator might."""
    pack = country_file.shipped_packs()["be"]
    tell = tuple(
        replace(each, where=("in the call",)) if each.what == "colleagues" else each for each in pack.tell
    )
    monkeypatch.setattr(line_rules, "pack_for", lambda _country, _packs=None: replace(pack, tell=tell))
    dubois.good("line", "add", "--tenant", "Dubois", "+3225550102")
    owner = next(row for row in tenant_queries.all_tenants() if row.name == "Dubois")
    notices = {row.number: row.transfer_notice and row.transfer_notice.how for row in queries.lines(owner.id)}
    assert notices == {"+3225550101": None, "+3225550102": "alone"}
