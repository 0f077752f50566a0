"""Country packs are read strictly, and a stricter setting is never refused."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.domain.call_plan import MODES
from recorder.errors import ConfigError
from recorder.prompts import country_file, purposes
from recorder.prompts.country_rules import OTHER, STRICT, Pack, Rule, RuleSource, stricter_rules
from tests.expected_errors import expect_error

PACKS = country_file.shipped_packs()

PURPOSES = (*purposes.standard(), "their-own")

SOURCE = RuleSource("A law", "art. 1", "https://example.com", "text", date(2026, 11, 25))

rules = st.fixed_dictionaries(
    {
        code: st.builds(Rule, st.just(code), st.sampled_from(MODES), st.integers(1, 400), st.just((SOURCE,)))
        for code in (*purposes.standard(), OTHER)
    }
)
packs = rules.map(lambda each: Pack("xx", "Somewhere", MappingProxyType(each), (), (), (), ()))
some_purposes = st.lists(st.sampled_from(PURPOSES), min_size=1, unique=True)


def test_lists_countries_with_strict_last() -> None:
    assert list(PACKS) == ["be", "de", "fr", "lu", "nl", STRICT]
    for pack in PACKS.values():
        assert set(pack.rules) == {*purposes.standard(), OTHER}
        assert {duty.what for duty in pack.tell} == {"external", "colleagues"}


def test_rules_of_the_shipped_packs() -> None:
    def laxest(code: str, *purposes: str) -> str:
        return PACKS[code].laxest_mode(purposes)

    assert laxest("be", "agreement") == "notice"
    assert PACKS["be"].rule("quality").longest_keep_days == 30
    assert laxest("be", "agreement", "training") == laxest("be", "their-own") == "opt-in"
    assert laxest("fr", *purposes.standard()) == "opt-out"
    assert PACKS["fr"].rule("agreement").longest_keep_days == 180
    assert {laxest("de", each) for each in PURPOSES} == {"opt-in"}
    assert {laxest(STRICT, each) for each in PURPOSES} == {"opt-in"}
    assert PACKS["be"].laxest_mode([]) == "opt-in"


def test_stricter_rules_of_two_countries() -> None:
    both = stricter_rules(PACKS["be"], PACKS["fr"])
    assert (both.code, both.codes, both.name) == ("be+fr", ("be", "fr"), "Belgium and France")
    for code in (*purposes.standard(), OTHER):
        rules = [PACKS[each].rule(code) for each in both.codes]
        assert both.rule(code).modes == min((each.modes for each in rules), key=len)
        assert both.rule(code).longest_keep_days == min(each.longest_keep_days for each in rules)
    (objection,) = both.objections(["training"], keep_days=1, mode="opt-out")
    assert "`accord country show be` and `accord country show fr`" in objection.hint
    assert (
        stricter_rules(PACKS["be"], PACKS["de"]).code == stricter_rules(PACKS["de"], PACKS["be"]).code == "de"
    )
    assert {stricter_rules(pack, PACKS[STRICT]).code for pack in PACKS.values()} == {STRICT}


def test_packs_lie_between_the_purposes_and_strict() -> None:
    for pack in PACKS.values():
        for code, purpose in purposes.standard().items():
            assert pack.rule(code).longest_keep_days <= purpose.longest_keep_days
        for code, strict in PACKS[STRICT].rules.items():
            assert MODES.index(strict.mode) >= MODES.index(pack.rules[code].mode)
            assert strict.longest_keep_days <= pack.rules[code].longest_keep_days


def test_every_rule_has_a_source() -> None:
    for pack in PACKS.values():
        rules = [*pack.rules.values(), *pack.say, *pack.ask, *pack.tell, *pack.notes]
        for source in (source for each in rules for source in each.sources):
            assert source.law
            assert source.link.startswith("http")
            assert ("not checked" in str(source)) == (source.checked is None)
        words = " ".join(duty.text for duty in (*pack.say, *pack.ask, *pack.tell, *pack.notes))
        assert not re.search(r"proof|evidence|against", words)


def test_objection_names_rule_and_source() -> None:
    (mode,) = PACKS["de"].objections(["agreement"], keep_days=30, mode="notice")
    assert (mode.kind, mode.rule.purpose) == ("mode", "agreement")
    assert mode.message == "Germany: a call for agreement cannot be recorded with notice"
    assert mode.hint.startswith("opt-in, by Strafgesetzbuch, § 201 (its own text, read 2026-11-25)")
    (days,) = PACKS["be"].objections(["agreement", "quality"], keep_days=31, mode="opt-in")
    assert (days.kind, days.rule.purpose) == ("keep_days", "quality")
    assert "at most 30 days, by Law of 13 June 2005" in days.hint
    assert "art. 128 al. 3" in days.hint


@given(packs, some_purposes, st.data())
def test_stricter_settings_are_never_refused(
    pack: Pack, laxer_purposes: list[str], data: st.DataObject
) -> None:
    """Stricter: no laxer mode, no longer retention, no additional purpose."""
    lax_mode = data.draw(st.sampled_from(MODES))
    lax_days = data.draw(st.integers(1, 400))
    strict_mode = data.draw(st.sampled_from(MODES[MODES.index(lax_mode) :]))
    strict_days = data.draw(st.integers(1, lax_days))
    fewer = data.draw(st.lists(st.sampled_from(laxer_purposes), min_size=1, unique=True))
    if not pack.objections(laxer_purposes, keep_days=lax_days, mode=lax_mode):
        assert not pack.objections(fewer, keep_days=strict_days, mode=strict_mode)


@given(packs, some_purposes, st.integers(1, 400), st.sampled_from(MODES))
def test_setting_complies_if_every_rule_does(pack: Pack, codes: list[str], days: int, mode: str) -> None:
    fits = all(
        MODES.index(mode) >= MODES.index(pack.rule(each).mode) and days <= pack.rule(each).longest_keep_days
        for each in codes
    )
    assert fits == (not pack.objections(codes, keep_days=days, mode=mode))
    laxest = pack.laxest_mode(codes)
    longest = min(pack.rule(each).longest_keep_days for each in codes)
    assert not pack.objections(codes, keep_days=longest, mode=laxest)
    for laxer in MODES[: MODES.index(laxest)]:
        assert pack.objections(codes, keep_days=longest, mode=laxer)


@given(st.sampled_from(sorted(PACKS)), some_purposes, st.integers(1, 4000), st.sampled_from(MODES))
def test_every_country_allows_what_strict_allows(code: str, codes: list[str], days: int, mode: str) -> None:
    if not PACKS[STRICT].objections(codes, keep_days=days, mode=mode):
        assert not PACKS[code].objections(codes, keep_days=days, mode=mode)


def test_unknown_country_has_the_strict_pack() -> None:
    assert country_file.pack_for("BE").code == "be"
    assert country_file.pack_for("xx").code == country_file.pack_for("").code == STRICT


GOOD = (country_file.FOLDER / "be.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('name = "Belgium"', 'name = "Belgium"\nflag = "be"', "pack.flag: there is no such field"),
        ('name = "Belgium"', 'name = " "', "pack.name"),
        ('code = "be"', 'code = "B E"', "pack.code"),
        ('mode = "notice"', 'mode = "silent"', "purpose.agreement.mode"),
        ("longest_keep_days = 30\n", "", "purpose.quality.longest_keep_days: it is missing"),
        ("longest_keep_days = 30\n", "longest_keep_days = 31\n", "purpose.quality.longest_keep_days: 31 is"),
        ("longest_keep_days = 30\n", "longest_keep_days = 0\n", "purpose.quality.longest_keep_days"),
        ("longest_keep_days = 30\n", "longest_keep_days = true\n", "purpose.quality.longest_keep_days"),
        ("longest_keep_days = 30\n", 'longest_keep_days = "30"\n', "purpose.quality.longest_keep_days"),
        ("[purpose.other]", "[purpose.others]", "purpose.others: there is no such purpose"),
        ('sources = ["art-128-3"]\n\n[purpose.tr', "\n[purpose.tr", "purpose.quality.sources: it is missing"),
        ('sources = ["art-128-3"]\n\n[purp', "sources = []\n\n[purp", "purpose.quality.sources"),
        (
            'sources = ["art-128-3"]\n\n[purp',
            'sources = ["x"]\n\n[purp',
            "purpose.quality.sources: there is no",
        ),
        ("[source.penal-344]", "[source.penal-345]", "note.3.sources: there is no source 'penal-344'"),
        ('sources = ["penal-344"]', 'sources = ["penal-342"]', "source.penal-344: no rule refers to it"),
        ('sure = "general"\n', "", "source.limitation.sure: it is missing"),
        ('sure = "general"\n', 'sure = "text"\n', "source.limitation.checked"),
        ('sure = "general"\n', 'sure = "certain"\n', "source.limitation.sure"),
        ("checked = 2026-11-25\n", "", "source.art-128-1.checked"),
        ("checked = 2026-11-25\n", 'checked = "today"\n', "source.art-128-1.checked"),
        ('link = "https', 'link = "file', "source.art-128-1.link"),
        ('what = "keeping-time"', 'what = "price"', "say.2.what"),
        ('what = "keeping-time"', 'what = "purposes"', "say: no entry says keeping-time"),
        ('what = "consent"', 'what = "objection"', "ask: purpose.training is opt-in, but no entry asks for"),
        ('who = "colleagues"', 'who = "external"', "tell: external and colleagues"),
        (
            'where = ["in the call"]',
            'where = ["in the panel"]',
            "tell: the external party is informed during the call",
        ),
        ('where = ["in the call"]', 'where = ["by post"]', "tell.0.where.0"),
        ("[pack]", "[pack", "be.toml cannot be used"),
    ],
)
def test_names_the_field_of_a_broken_pack(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    path = tmp_path / "be.toml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with expect_error(ConfigError, "pack.broken") as failure:
        country_file.load_pack(path)
    assert str(path) in failure.value.message
    assert field in failure.value.message


def test_names_a_missing_purpose(tmp_path: Path) -> None:
    start, end = GOOD.index("[purpose.training]"), GOOD.index("[purpose.legal-duty]")
    path = tmp_path / "be.toml"
    path.write_text(GOOD[:start] + GOOD[end:], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"purpose\.training: it is missing"):
        country_file.load_pack(path)


def test_pack_code_equals_the_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country_file, "FOLDER", tmp_path)
    read = country_file.shipped_packs.__wrapped__
    (tmp_path / "fr.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match="'be' is not the file's name"):
        read()
    (tmp_path / "fr.toml").unlink()
    with expect_error(ConfigError, "pack.missing"):
        read()


def test_agreement_covers_listening_together() -> None:
    agreement = purposes.standard()["agreement"]
    words = {"en": ("later", "together"), "fr": ("plus tard", "ensemble")}
    words |= {"nl": ("Later", "samen"), "de": ("Später", "gemeinsam")}
    for language in purposes.LANGUAGES:
        assert all(word in agreement.explanation(language) for word in words[language])


def test_law_page_matches_the_packs() -> None:
    docs = Path(__file__).parents[3] / "docs"
    page = (docs / "reference" / "countries.md").read_text(encoding="utf-8")
    for pack in PACKS.values():
        section = page.split(f"## {pack.name} (`{pack.code}`)\n")[1].split("\n## ")[0]
        for rule in pack.rules.values():
            assert f"| `{rule.purpose}` | {rule.mode} | {rule.longest_keep_days} | [" in section
        duties = [*pack.say, *pack.ask, *pack.tell, *pack.notes]
        assert all(duty.text in section for duty in duties)
        for source in {source for each in (*pack.rules.values(), *duties) for source in each.sources}:
            read = f"{source.sure}, {source.checked}" if source.checked else source.sure
            assert f"[{source.name}]({source.link}) ({read})" in section
    law = (docs / "law.md").read_text(encoding="utf-8")
    for code, purpose in purposes.standard().items():
        assert f"{code.replace('-', ' ')} {purpose.longest_keep_days}" in law.replace("\n", " ")
