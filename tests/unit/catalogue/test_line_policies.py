"""Line policies in the snapshot: modes, languages and menus, as the daemon reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.catalogue import change_counter, prompt_files, queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.line import LineTable
from recorder.domain.call_plan import MODES
from recorder.domain.parties import Party
from recorder.errors import CatalogueError
from recorder.features.tenants import (
    announcements,
    composition,
    line_policies,
    lines,
    snapshot,
)
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.line_policies import NodePolicies, PolicyCache, policies
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.lifecycle import line_history
from recorder.prompts import composer
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.spool.snapshot import Snapshot, read_snapshot
from tests.expected_errors import expect_error


@pytest.fixture
def now(clock, entropy) -> dict[str, object]:
    return {"now": clock(), "entropy": entropy}


@pytest.fixture
def line(tenants, now) -> Callable[..., LineRow]:
    """Creates a line with a composed announcement, in further ``languages`` if there are any."""

    def make(number: str = "100", mode: str = "notice", *languages: str, tenant: str = tenants[0]) -> LineRow:
        options = {"language": "fr", "mode": mode, "purposes": ["agreement"], "keep_days": 30}
        announcement = composition.compose(tenant, name=f"told-{number}", **options, **now)
        row = lines.create_line(tenant, number=number, announcement=announcement.id, **now)
        if languages:
            assert change_line(tenant, row.id, LineChange(languages=["fr", *languages]), **now)
        return queries.line(tenant, row.id)

    return make


@pytest.fixture
def read(tmp_path, clock) -> Callable[[], Snapshot]:
    """Writes the snapshot and reads it as the daemon does."""

    def make() -> Snapshot:
        snapshot.write(tmp_path / "snapshot", tmp_path / "spool", [], clock())
        assert snapshot.is_current(tmp_path / "snapshot", [])
        found = read_snapshot(tmp_path / "snapshot")
        assert found.damaged == frozenset()
        return found

    return make


@pytest.mark.parametrize("mode", MODES)
def test_snapshot_has_each_modes_prompts(tenants, line, read, mode) -> None:
    row = line("+3225550100", mode, "en", "nl")
    snap = read()
    found = snap.line("3225550100")
    assert (found.mode, found.menu.text) == (mode, composer.language_menu(["fr", "en", "nl"]).text)
    plan = snap.plan(found)
    assert len(plan.scripts) == 3
    assert plan.menu is not None
    for one, script, announcement_id in zip(found.languages, plan.scripts, row.announcements, strict=True):
        announcement = queries.announcement(tenants[0], announcement_id)
        assert one.announcement.id == announcement_id
        assert (one.consent_prompt is None) == (script.question is None) == (script.declined is None)
        assert (script.question is None) == (mode == "notice")
        if one.consent_prompt is not None:
            for sound, saved in (
                (one.consent_prompt.question, announcement.question),
                (one.consent_prompt.declined, announcement.declined),
            ):
                assert (sound.text, sound.sha256) == (saved.text, saved.sha256)
    for sha256 in found.sounds:
        assert prompt_files.is_intact(snap.prompt(sha256), sha256)
    assert len(found.sounds) == (4 if mode == "notice" else 10)


def test_cached_policies_are_those_of_all_lines_whatever_changes(tenants, line, now, monkeypatch) -> None:
    cache, first, second = PolicyCache(), line("+3225550100"), line("+3225550101", tenant=tenants[1])
    reads: list[list[str]] = []

    def read(names: Collection[str] | None = None) -> NodePolicies:
        reads.append(sorted(names or ()))
        return policies(names)

    monkeypatch.setattr(line_policies, "policies", read)
    assert cache.read() == policies()
    assert len(cache.read().lines) == 2
    assert reads == [[], []], "everything, and nothing again"
    reads.clear()
    changes: dict[str, Callable[[], object]] = {
        "beep": lambda: change_line(tenants[0], first.id, LineChange(beep="both"), **now),
        "off": lambda: change_line(tenants[0], first.id, LineChange(recorded=False), **now),
        "another": lambda: line("+3225550102"),
        "moved": lambda: lines.move_line(
            tenants[0], first.id, tenants[1], announcement=second.announcements[0], **now
        ),
        "ended": lambda: line_history.end_line(tenants[1], second.id, **now),
    }
    for what, change in changes.items():
        assert change(), what
        assert cache.read() == policies(), what
        expected = [tenants[1]] if what == "ended" else [*tenants] if what == "moved" else [tenants[0]]
        assert reads.pop() == sorted(expected), what
    assert reads == []


def test_cache_follows_a_version_that_does_not_say_whose_lines_changed(tenants, line) -> None:
    """While nodes and panels are upgraded one after another. Another change follows at once."""
    cache, row = PolicyCache(), line("+3225550100")
    assert [each.beep for each in cache.read().lines] == [""]
    with writing():
        LineTable.update(beep="both").where(LineTable.id == row.id).execute()
        change_counter.increment(change_counter.LINES)
    line("+3225550101", tenant=tenants[1])
    assert [each.beep for each in cache.read().lines] == ["both", ""]


def test_cache_reads_rows_that_were_changed_without_the_log_when_it_is_cleared(tenants, line) -> None:
    cache, row = PolicyCache(), line("+3225550100")
    assert [each.number for each in cache.read().lines] == [row.number]
    with writing():
        LineTable.update(number="+3225550109", digits="3225550109").execute()
    assert [each.number for each in cache.read().lines] == [row.number]
    cache.clear()
    found = cache.read()
    assert (found.lines, [each.id for each in found.unlogged]) == ([], [row.id])


@pytest.mark.parametrize(
    "column", ["tenant", "number", "until", "announcement", "sound", "text", "purposes", "keep_days"]
)
def test_forged_line_row_is_left_out(tenants, line, read, now, column) -> None:
    """A row that names another customer or number, revives an ended line, or has another's announcement or
    changed sentences."""
    mine, another = line("+3225550100"), line("+3225550101", tenant=tenants[1])
    theirs = another.announcements[0]
    if column == "until":
        assert lines.move_line(
            tenants[0], mine.id, tenants[1], announcement=theirs, **now
        )  # and the row is brought back
    with writing():
        if column == "until":
            LineTable.update(until=now["now"]).where(
                LineTable.number == mine.number, LineTable.until.is_null()
            ).execute()
        change = {"tenant": tenants[1], "number": "+3225550102", "until": None, "announcement": theirs}
        if column in change:
            LineTable.update(**{column: change[column]}).where(LineTable.id == mine.id).execute()
        else:
            silence = queries.announcement(tenants[1], theirs).sound
            other = {"sound": silence[::-1], "text": "Bonjour.", "purposes": ["training"], "keep_days": 9}
            if column == "sound":
                SoundTable.create(sha256=other["sound"], wav=b"", duration_ms=10, created_at=now["now"])
            AnnouncementTable.update(**{column: other[column]}).where(
                AnnouncementTable.id == mine.announcements[0]
            ).execute()
    with capture_logs() as logs:
        snap = read()
    assert [each for each in ("3225550100", "3225550102") if snap.line(each)] == []
    assert snap.line("3225550101").tenant == tenants[1], "the others go on"
    assert [each["line"] for each in logs if each["event"] == "line.not_in_log"] == [mine.id]


def test_line_in_one_language_has_no_menu(line, read) -> None:
    line("100", "opt-in", "en")
    row = line("101", "opt-out")
    snap = read()
    assert snap.line("100").menu is not None
    found = snap.line("101")
    assert (found.others, found.menu, found.announcement.id) == ((), None, row.announcement)
    assert snap.plan(found).scripts[0].question is not None


def test_mode_and_language_changes_reach_the_snapshot(tenants, line, read, now) -> None:
    row = line("100")
    lines_seen = [read().line("100")]
    before = change_counter.revision(change_counter.LINES)
    for count, change in enumerate(
        (
            lambda: change_line(tenants[0], row.id, LineChange(mode="opt-out"), **now),
            lambda: change_line(tenants[0], row.id, LineChange(languages=["fr", "en"]), **now),
            lambda: change_line(tenants[0], row.id, LineChange(languages=["en", "fr"]), **now),
        ),
        start=1,
    ):
        assert change()
        assert change_counter.revision(change_counter.LINES) == before + count
        lines_seen.append(read().line("100"))
    assert [each.mode for each in lines_seen] == ["notice", "opt-out", "opt-out", "opt-out"]
    assert [[one.announcement.language for one in each.languages] for each in lines_seen] == [
        ["fr"],
        ["fr"],
        ["fr", "en"],
        ["en", "fr"],
    ]
    assert lines_seen[2].menu != lines_seen[3].menu


@pytest.mark.parametrize("kind", ["mode", "announcement"])
def test_inconsistent_line_affects_no_other_line(tenants, line, read, now, kind) -> None:
    """An older version may change a line's mode or announcement separately."""
    row, _ = line("100", "notice", "en"), line("101", "opt-in")
    read()
    with writing():
        if kind == "mode":
            LineTable.update(mode="opt-in").where(LineTable.id == row.id).execute()
        else:
            AnnouncementTable.update(mode="opt-out").where(AnnouncementTable.id == row.others[0]).execute()
    with capture_logs() as logged:
        snap = read()
    assert snap.line("100") is None
    assert snap.line("101") is not None
    event = "line.unfit" if kind == "mode" else "line.not_in_log"
    assert [(each["event"], each["line"]) for each in logged] == [(event, row.id)]
    with capture_logs() as logged:
        read()
    assert logged == [], "told once, not every minute"
    if kind == "mode":
        assert change_line(tenants[0], row.id, LineChange(mode="opt-in"), **now)
        assert read().line("100").mode == "opt-in"


def test_old_question_stays_while_a_take_uses_it(tenants, line, read, tmp_path, clock, now) -> None:
    """The recording does not contain the refusal and the menu."""
    row = line("100", "opt-out", "en")
    snap = read()
    found = snap.line("100")
    start = CallStart(
        recording="01930000-0000-7000-8000-000000000001",
        tenant=tenants[0],
        line=row.id,
        number="100",
        direction="inbound",
        node="node1",
        channel="c",
        external_party=Party("withheld", ""),
        started_at=clock(),
        formats=("opus",),
        announcement=found.announcement,
        mode="opt-out",
        question=found.consent_prompt.question,
    )
    folder = layout.open_take(tmp_path / "spool", start)
    line_history.end_line(tenants[0], row.id, **now)
    clock.forward(days=3)
    read()
    left = {path.stem for path in (tmp_path / "snapshot" / "prompts").iterdir()}
    assert left == {found.announcement.sha256, found.consent_prompt.question.sha256}
    layout.remove_take(layout.RemovableTake(folder))
    read()
    assert os.listdir(tmp_path / "snapshot" / "prompts") == []


def test_prompts_stay_while_the_line_is_recorded(tenants, line, read, clock) -> None:
    line("100", "opt-in", "en")
    for _ in range(3):
        clock.forward(days=3)
        assert read().line("100") is not None


def test_more_announcements_than_query_parameters(line, read, monkeypatch) -> None:
    monkeypatch.setattr("recorder.features.tenants.line_policies.PAGE", 2)
    line("100", "opt-in", "en", "nl")
    line("101", "notice")
    assert sorted(read().lines) == ["100", "101"]


KEEP_OPTIONS = KeepOptions(keep_days=365)


def test_snapshot_has_the_keep_question(tenants, line, read, now) -> None:
    row = line("100", "opt-out", "nl")
    assert change_line(tenants[0], row.id, LineChange(keep=KEEP_OPTIONS), **now)
    snap = read()
    found = snap.line("100")
    for one, language in zip(found.languages, ("fr", "nl"), strict=True):
        assert one.keep is not None
        assert (one.keep.purpose, one.keep.keep_days) == ("agreement", 365)
        assert one.keep.question is not None
        assert one.keep.question.text == composer.keep_question(language).text
        assert one.keep.yes.text == composer.agreed(language, keep_days=365).text
    script = snap.plan(found).scripts[1].keep
    assert script is not None
    assert script.no.path.endswith(f"{composer.declined('nl', destroyed=False).sha256}.wav")
    assert change_line(tenants[0], row.id, LineChange(keep=None), **now)
    assert read().line("100").keep is None


def test_own_words_keep_question_has_only_confirmations(tenants, line, read, now) -> None:
    row = line()
    keep = KeepOptions(keep_days=30, own_words=True, destroy=True, at_start=False)
    assert change_line(tenants[0], row.id, LineChange(keep=keep), **now)
    found = read().line("100").keep
    assert (found.question, found.destroy) == (None, True)
    assert found.no.text == composer.declined("fr", destroyed=True).text


def test_excessive_keep_days_are_refused(tenants, line, read, now) -> None:
    row = line()
    change_line(tenants[0], row.id, LineChange(keep=KEEP_OPTIONS), **now)
    for keep, error in (
        (KeepOptions(keep_days=10_000), "announcement.keep_days"),
        (KeepOptions(keep_days=30, purpose="curiosity"), "announcement.purposes"),
        (KeepOptions(keep_days=31, purpose="quality"), "announcement.keep_days"),
    ):
        with expect_error(CatalogueError, error):
            change_line(tenants[0], row.id, LineChange(keep=keep), **now)
    assert read().line("100").keep.keep_days == 365


def test_line_of_another_customer_is_not_found(tenants, line, now) -> None:
    assert not change_line(tenants[1], line().id, LineChange(keep=KEEP_OPTIONS), **now)


@pytest.fixture
def info_prompts(read, tmp_path) -> Callable[[], dict[str, bytes]]:
    """The info prompts for internal parties, by number, once the snapshot is written."""

    def make() -> dict[str, bytes]:
        read()
        place = tmp_path / "snapshot" / "info_prompts"
        return {path.stem: path.read_bytes() for path in place.glob("*.wav")}

    return make


def test_info_prompt_names_purposes_in_each_language(line, info_prompts) -> None:
    line("+3225550100", "opt-in", "nl")
    line("101")
    found = info_prompts()
    options = {"purposes": ["agreement"], "keep_days": 30}
    assert found == {
        "3225550100": composer.line_sentence([("fr", {}), ("nl", {})], **options).wav,
        "101": composer.line_sentence([("fr", {})], **options).wav,
    }


def test_equal_info_prompts_share_a_sound(line, info_prompts, tmp_path, now) -> None:
    first, second, _ = line("100"), line("101"), line("102", "notice", "nl")
    found = info_prompts()
    assert found["100"] == found["101"] != found["102"]
    sounds = tmp_path / "snapshot" / "info_prompts" / "sounds"
    assert len(list(sounds.iterdir())) == 2
    for row in (first, second):
        line_history.end_line(row.tenant, row.id, **now)
    assert set(info_prompts()) == {"102"}
    assert len(list(sounds.iterdir())) == 1


def test_info_prompt_without_sound_uses_the_announcement(tenants, info_prompts, tone, now) -> None:
    options = {"language": "fr", "text": "Enregistré.", "purposes": ["agreement"], "wav": tone(1000)}
    row = announcements.create_announcement(tenants[0], name="own", keep_days=29, **options, **now)
    lines.create_line(tenants[0], number="100", announcement=row.id, **now)
    with capture_logs() as logs:
        assert info_prompts() == {"100": tone(1000)}
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["line.notice_failed"]
    with capture_logs() as logs:
        info_prompts()
    assert logs == [], "said once"


@pytest.mark.parametrize("how", ["alone", "both"])
def test_snapshot_has_the_transfer_notice(tenants, line, read, now, how: str) -> None:
    row = line("100", "opt-out", "nl")
    assert read().line("100").transfer_notice is None, "nobody is told by default"
    assert change_line(tenants[0], row.id, LineChange(notice=NoticeChoice(how)), **now)
    snap = read()
    found = snap.line("100")
    for one, language in zip(found.languages, ("fr", "nl"), strict=True):
        assert one.transfer_notice is not None
        assert (one.transfer_notice.how, one.transfer_notice.sound.text) == (
            how,
            composer.transfer_notice(language).text,
        )
        assert one.transfer_notice.sound.sha256 in one.sounds
    script = snap.plan(found).scripts[1].transfer_notice
    assert script is not None
    assert (script.how, Path(script.sound.path).read_bytes()) == (how, composer.transfer_notice("nl").wav)
    before = change_counter.revision(change_counter.LINES)
    assert change_line(tenants[0], row.id, LineChange(notice=NoticeChoice(how)), **now)
    assert change_counter.revision(change_counter.LINES) == before, "nothing has changed"
    assert change_line(tenants[0], row.id, LineChange(notice=None), **now)
    assert read().line("100").transfer_notice is None


@pytest.mark.parametrize("mode", ["opt-out", "opt-in"])
def test_snapshot_has_the_transfer_question(tenants, line, read, now, mode: str) -> None:
    row = line("100", mode, "nl")
    assert change_line(tenants[0], row.id, LineChange(notice=NoticeChoice("alone", True)), **now)
    snap = read()
    found = snap.line("100")
    for one, language in zip(found.languages, ("fr", "nl"), strict=True):
        assert one.transfer_notice is not None
        assert one.transfer_notice.sound.text == composer.transfer_question(language, mode=mode).text
        assert one.transfer_notice.refused.text == composer.not_recorded(language).text
        assert one.transfer_notice.sounds <= one.sounds
    script = snap.plan(found).scripts[1].transfer_notice
    assert Path(script.refused.path).read_bytes() == composer.not_recorded("nl").wav
    other = {"opt-out": "opt-in", "opt-in": "opt-out"}[mode]
    assert change_line(tenants[0], row.id, LineChange(mode=other), **now)
    notice = read().line("100").transfer_notice
    assert notice.sound.text == composer.transfer_question("fr", mode=other).text, "it asks as the line does"
    assert change_line(tenants[0], row.id, LineChange(mode="notice"), **now)
    notice = read().line("100").transfer_notice
    assert (notice.sound.text, notice.refused) == (composer.transfer_notice("fr").text, None)
    assert change_line(tenants[0], row.id, LineChange(notice=NoticeChoice("alone")), **now)
    assert queries.line(tenants[0], row.id).transfer_notice.questions == {}


def test_notice_line_asks_no_transfer_target(tenants, line, now) -> None:
    with expect_error(CatalogueError, "line.settings"):
        change_line(tenants[0], line().id, LineChange(notice=NoticeChoice("alone", True)), **now)


def test_missing_translation_does_not_skip_the_question(tenants, line, now) -> None:
    row = line("100", "opt-in")
    assert change_line(tenants[0], row.id, LineChange(notice=NoticeChoice("both", True)), **now)
    question, refused = queries.line(tenants[0], row.id).transfer_notice.say("opt-in", "it")
    assert (question.text, refused.text) == (
        composer.transfer_question("en", mode="opt-in").text, composer.not_recorded("en").text,
    )  # fmt: skip


def test_unknown_way_of_transfer_notice_is_refused(tenants, line, now) -> None:
    with expect_error(CatalogueError, "line.settings"):
        change_line(tenants[0], line().id, LineChange(notice=NoticeChoice("loudly")), **now)
    assert not change_line(tenants[1], line("101").id, LineChange(notice=NoticeChoice("alone")), **now)
