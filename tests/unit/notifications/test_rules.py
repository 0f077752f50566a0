"""When a line's notification begins, goes on and ends, and when it is mailed."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, timedelta

import pytest

from recorder.features.notifications import rules
from recorder.features.notifications.rules import (
    CAUSES,
    DONE,
    HOLD,
    KINDS,
    LINE_STOPPED,
    NOT_RECORDED,
    RECORDED_AGAIN,
    RECORDER_AWAY,
    REVIEW,
    SWITCHED_OFF,
    SWITCHED_ON,
    WORK,
    LineFailure,
    Notification,
    NotificationEnd,
    Occasion,
    ReadMarks,
    compare_calls,
    due_for_mail,
    find_ends,
    switch_off_times,
)
from recorder.features.notifications.sentences import explain_cause, load_sentences
from recorder.mail.message import FOLDER
from recorder.prompts.purposes import LANGUAGES
from recorder.spool.layout import REASONS

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LINES = {"line-a", "line-b"}


def ago(**by: float) -> datetime:
    return NOW - timedelta(**by)


def row(line: str = "line-a", cause: str = "daemon_away", **more) -> Notification:
    values = {"kind": NOT_RECORDED, "key": f"{cause}/{line}", "since": ago(hours=1)} | more
    return Notification("n", cause=cause, line=line, **{"changed_at": values["since"]} | values)


def compare(failures=(), rows=(), lines=LINES, recorded=()):
    """``recorded`` are the starts of recorded calls of each line."""

    def after(line: str, at: datetime) -> datetime | None:
        return min((each for name, each in recorded if name == line and each > at), default=None)

    return compare_calls(failures, rows, lines, after, NOW)


def failure(line: str = "line-a", cause: str = "daemon_away", **by: float) -> LineFailure:
    return LineFailure(line, cause, ago(**by or {"minutes": 5}))


# --- reasons and sentences


def test_every_reason_is_a_fault_or_listed_as_ordinary():
    faults, ordinary = set(rules.FAULTS), set(rules.ORDINARY_REASONS)
    assert faults | ordinary == REASONS
    assert not faults & ordinary


@pytest.mark.parametrize("cause", [cause for causes in CAUSES.values() for cause in causes])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cause_says_why_and_what_to_do(cause, language):
    words = load_sentences()[cause]
    assert {*words[language]} == {"why", "what_to_do"}
    for name, text in words[language].items():
        assert len(text) > 15
        assert re.findall(r"\{\w*\}", text) == re.findall(r"\{\w*\}", words["en"][name])
        assert language == "en" or text != words["en"][name]
        assert language != "fr" or not re.search("[ \u00a0][;?!]|[ \u202f]:", text), text


def test_sentences_and_causes_are_the_same_list():
    assert {*load_sentences()} == {cause for causes in CAUSES.values() for cause in causes} | {"phrases"}
    phrases = load_sentences()["phrases"]
    assert all({*phrases[language]} == {*phrases["en"]} for language in LANGUAGES)


@pytest.mark.parametrize("kind", [*KINDS, "recorded_again"])
def test_every_kind_has_a_mail_in_every_language(kind):
    words = tomllib.loads((FOLDER / f"{kind}.toml").read_text("utf-8"))
    assert {*words} == {*LANGUAGES}
    assert all({*each} == {"subject", "text", "action", "after"} for each in words.values())


def test_values_are_written_as_people_read_them():
    data = {"imported": 1200, "failed": 0, "until": "2026-12-31T23:30:00.000Z"}
    words = explain_cause("import", data, "de", "Europe/Brussels")
    assert "Importiert: 1.200. Nicht importiert: 0." in words.why
    assert "Was am 1. Januar 2027 keinen Zweck hat" in words.what_to_do
    request = explain_cause("request", {"due_on": date(2026, 12, 1).isoformat()}, "fr", "UTC")
    assert "avant le 1er décembre 2026" in request.why


def test_row_written_by_hand_puts_no_text_into_a_sentence():
    data = {"imported": "call +44 20 7946 0000", "failed": [], "until": "soon", "why": "x"}
    words = explain_cause("import", data, "en", "UTC")
    assert "Imported: –. Not imported: –." in words.why
    assert "by – is destroyed" in words.what_to_do


# --- calls


def test_first_failure_begins_and_further_ones_change_nothing():
    first = failure(minutes=5)
    assert compare([first]).starts == (first,)
    assert compare([first], [row(since=ago(hours=1))]) == rules.CallChanges((), (), ())


def test_each_line_and_each_cause_has_its_own():
    other_cause, other_line = failure(cause="full_disk"), failure("line-b")
    assert compare([failure(), other_cause, other_line], [row()]).starts == (other_cause, other_line)


def test_failure_before_a_recorded_call_is_no_news():
    assert compare([failure(minutes=5)], recorded=[("line-a", ago(minutes=4))]).starts == ()
    assert compare([failure(minutes=5)], recorded=[("line-a", ago(minutes=6))]).starts != ()
    assert compare([failure(minutes=5)], recorded=[("line-b", ago(minutes=4))]).starts != ()


def test_next_recorded_call_ends_it():
    open_, again = row(since=ago(hours=3)), ago(minutes=30)
    changes = compare([failure(hours=1)], [open_], recorded=[("line-a", again), ("line-a", ago(hours=2))])
    assert changes.ends == (NotificationEnd(open_, again, RECORDED_AGAIN),)
    assert changes.starts == changes.reopenings == ()


def test_recorded_call_between_two_failures_does_not_end_it():
    changes = compare([failure(minutes=5)], [row(since=ago(hours=3))], recorded=[("line-a", ago(hours=2))])
    assert changes == rules.CallChanges((), (), ())


def test_it_ends_long_after_its_last_failure():
    open_ = row(since=ago(days=20))
    assert compare([], [open_]).ends == ()
    assert compare([], [open_], recorded=[("line-a", ago(hours=1))]).ends[0].at == ago(hours=1)


def test_line_that_fails_by_turns_has_one_notification():
    ended = row(since=ago(hours=5), ended_at=ago(hours=4), outcome=RECORDED_AGAIN)
    assert compare([failure(minutes=5)], [ended]).reopenings == (ended,)
    long_ago = row(since=ago(hours=50), ended_at=ago(hours=40), outcome=RECORDED_AGAIN)
    assert compare([failure(minutes=5)], [long_ago]).starts == (failure(minutes=5),)
    assert compare([failure(minutes=5)], [long_ago, ended]).reopenings == (ended,)


def test_call_that_is_listed_late_reopens_nothing():
    ended = row(since=ago(hours=5), ended_at=ago(hours=1), outcome=RECORDED_AGAIN)
    assert compare([failure(hours=2)], [ended]) == rules.CallChanges((), (), ())


def test_line_that_is_switched_off_is_no_longer_failing():
    assert compare([failure()], lines={"line-b"}).starts == ()
    assert compare([], [row()], lines={"line-b"}).ends == (NotificationEnd(row(), NOW, LINE_STOPPED),)


# --- everything else


def test_notification_ends_with_its_occasion():
    due = Occasion(REVIEW, HOLD, "hold/r/1", ago(days=1), recording="r")
    notification = Notification("n", REVIEW, HOLD, "hold/r/1", ago(days=1), ago(days=1), recording="r")
    assert find_ends([notification], [due], LINES, LINES, NOW) == ()
    assert find_ends([notification], [], LINES, LINES, NOW) == (NotificationEnd(notification, NOW, DONE),)
    off = row(cause=SWITCHED_OFF)
    assert find_ends([off], [], LINES, LINES, NOW)[0].outcome == SWITCHED_ON
    assert find_ends([off], [], LINES, set(), NOW)[0].outcome == LINE_STOPPED
    assert find_ends([row(), row(cause=SWITCHED_OFF, ended_at=NOW)], [], LINES, LINES, NOW) == ()


@pytest.mark.parametrize(
    ("watches", "since"),
    [
        ([], None),
        ([(1, 1)], None),
        ([(10, 1)], None),
        ([(11, 1)], 11),
        ([(11, 1), (9, 1)], None),
        ([(11, 1), (30, 10)], 11),
        ([(11, 1), (9, 11)], 11),
        ([(11, 11)], None),
        ([(11, -11)], None),
    ],
)
def test_recorder_is_away_if_no_node_that_reports_watches_its_switch(watches, since):
    """Minutes since each node's daemon watched its switch, and since its worker said so."""
    found = rules.away_since([(ago(minutes=at), ago(minutes=reported)) for at, reported in watches], NOW)
    assert found == (None if since is None else ago(minutes=since))


def test_line_has_one_notification_as_long_as_the_recorder_is_away():
    assert rules.away_occasions([], LINES, None) == []
    first, second = rules.away_occasions([], LINES, ago(minutes=11))
    assert (first.line, second.line, first.since) == ("line-a", "line-b", ago(minutes=11))
    open_ = row(cause=RECORDER_AWAY, key=first.key)
    later = rules.away_occasions([open_], LINES, ago(minutes=9))
    assert later[0].key == first.key, "another node is away, too"
    assert later[1].key != second.key
    assert find_ends([open_], later, LINES, LINES, NOW) == ()
    assert find_ends([open_], [], LINES, LINES, NOW) == (NotificationEnd(open_, NOW, RECORDED_AGAIN),)
    assert find_ends([open_], [], set(), LINES, NOW) == (NotificationEnd(open_, NOW, LINE_STOPPED),)
    over = row(cause=RECORDER_AWAY, key=first.key, ended_at=NOW)
    assert rules.away_occasions([over], LINES, ago(minutes=9))[0].key != first.key


def test_line_that_was_never_on_was_not_switched_off():
    modes = [("a", "off", ago(days=9)), ("b", "notice", ago(days=8)), ("b", "off", ago(days=7))]
    assert switch_off_times(modes) == {"b": ago(days=7)}
    assert switch_off_times([*modes, ("b", "off", ago(days=6))]) == {"b": ago(days=7)}
    assert switch_off_times([*modes, ("b", "opt-in", ago(days=6))]) == {}


# --- what an admin has read


def test_single_marks_hold_for_the_change_they_were_made_at():
    marks = ReadMarks(ago(hours=2), {"a": (ago(hours=1), True), "b": (ago(hours=3), False)})
    assert marks.is_read("a", ago(hours=1))
    assert not marks.is_read("a", ago(minutes=1)), "it has changed since"
    assert not marks.is_read("b", ago(hours=3)), "it was marked as unread"
    assert marks.is_read("b", ago(hours=2)), "it changed before everything was marked as read"
    assert marks.is_read("c", ago(hours=2))
    assert not marks.is_read("c", ago(hours=1))
    assert not ReadMarks().is_read("a", ago(hours=9))


# --- mail


def test_line_is_mailed_once_it_has_lasted_and_once_for_each_state():
    young, old = row(since=ago(minutes=4)), row("line-b", since=ago(minutes=5))
    assert due_for_mail(NOT_RECORDED, [young, old], None, NOW) == (old,)
    assert due_for_mail(NOT_RECORDED, [row(mailed="open")], None, NOW) == ()
    again = row(mailed="open", ended_at=ago(minutes=30), changed_at=ago(minutes=30))
    assert due_for_mail(NOT_RECORDED, [again], None, NOW) == (again,)
    assert due_for_mail(NOT_RECORDED, [row(mailed="ended", ended_at=ago(minutes=30))], None, NOW) == ()


def test_lines_are_mailed_at_most_once_an_hour():
    assert due_for_mail(NOT_RECORDED, [row()], ago(minutes=59), NOW) == ()
    assert due_for_mail(NOT_RECORDED, [row()], ago(minutes=60), NOW) == (row(),)
    assert due_for_mail(NOT_RECORDED, [row()], NOW + timedelta(days=1), NOW) == (row(),), "a clock set back"


def test_work_is_mailed_at_once_and_a_review_that_was_done_never():
    work = Notification("n", WORK, "import", "k", NOW, NOW, ended_at=NOW)
    assert due_for_mail(WORK, [work], NOW, NOW) == (work,)
    review = Notification("n", REVIEW, HOLD, "k", NOW, NOW, ended_at=NOW, outcome=DONE)
    assert due_for_mail(REVIEW, [review], None, NOW) == ()
