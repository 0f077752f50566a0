"""Writes two tables, which a test compares: the length of each prompt (docs/reference/prompt-lengths.md), and
what a country requires beside the sentence that says it (docs/law.md).

    python -m tests.unit.prompts.lengths     writes both
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recorder.prompts import composer
from recorder.prompts.composer import Rendered, RoomPeople
from recorder.prompts.country_file import shipped_packs
from recorder.prompts.country_rules import STRICT
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import LONG, SHORT, Wording, clip_text

DOCS = Path(__file__).parents[3] / "docs"

RETENTION_DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730, 1095, 1826, 2557, 3653)
"""Every shipped retention period, in days."""


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """The maximum length of each prompt in the short wording (``limits.toml``), in seconds."""

    announcement_s: float
    further_purpose_s: float
    refusal_s: float
    opt_in_s: float
    keep_question_s: float
    keep_result_s: float
    code_call_s: float
    room_question_s: float
    room_keys_s: float


@cache
def limits() -> LengthLimits:
    return LengthLimits(**tomllib.loads(Path(__file__).with_name("limits.toml").read_text(encoding="utf-8")))


Make = Callable[[str, Wording], Rendered]


def announced(mode: str, *purposes: str, days: int = 30) -> Make:
    return lambda language, wording: composer.announcement(
        language,
        mode=mode,  # type: ignore[arg-type]
        purposes=purposes,
        keep_days=days,
        wording=wording,
    )


def question(*purposes: str, days: int = 30) -> Make:
    return lambda language, wording: composer.opt_in_question(
        language, purposes=purposes, keep_days=days, wording=wording
    )


def keep_result(days: int) -> Make:
    return lambda language, wording: composer.agreed(language, keep_days=days, wording=wording)


def code_call(opening: str) -> Make:
    return lambda language, _: composer.verification_code(language, "271830", opening)


def room_question(*, first: bool) -> Make:
    return lambda language, _: composer.room_question(
        language, people=RoomPeople(company=2, helpers=int(first)), helpers=first, first=first
    )


def room_keys(language: str, _: Wording) -> Rendered:
    return composer.room_sentence("enter", [language])


def answered(make: Callable[..., Rendered], *, destroyed: bool) -> Make:
    return lambda language, wording: make(language, destroyed=destroyed, wording=wording)


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt: its length in seconds before the short wording existed, by language, and its limit in the
    short one. ``before`` is ``None`` for a prompt that has one wording."""

    name: str
    make: Make
    before: tuple[float, ...] | None
    limit: float | None = None


def rows() -> list[Row]:
    of = limits()
    total = of.announcement_s + of.further_purpose_s
    return [
        Row("announcement, `notice` and `opt-in`", announced("notice", "agreement"), (10.4, 12.8, 12.9, 10.7),
            of.announcement_s),
        Row("the same, kept 180 days", announced("notice", "agreement", days=180), (10.8, 13.2, 13.2, 11.3),
            of.announcement_s),
        Row("the same, for quality, too", announced("notice", "agreement", "quality"),
            (14.6, 17.4, 17.5, 14.0), total),
        Row("announcement, `opt-out`", announced("opt-out", "agreement"), (13.0, 16.2, 16.6, 13.0),
            of.announcement_s + of.refusal_s),
        Row("`opt-in` question", question("agreement"), (15.9, 19.5, 20.4, 16.5)),
        Row("`*5` question", lambda each, wording: composer.keep_question(each, wording=wording),
            (8.3, 9.8, 10.4, 7.1), of.keep_question_s),
        Row("`*5`: yes, kept a year", keep_result(365), (9.6, 12.5, 11.5, 9.5), of.keep_result_s),
        Row("`*5`: no", answered(composer.declined, destroyed=False), (5.6, 5.6, 6.8, 4.8), of.keep_result_s),
        Row("`*5`: no, and destroyed", answered(composer.declined, destroyed=True), (6.1, 6.5, 6.7, 5.4),
            of.keep_result_s),
        Row("`*5`: no answer", answered(composer.unanswered, destroyed=False), (4.1, 4.5, 4.6, 3.5),
            of.keep_result_s),
        Row("`*5`: no answer, and destroyed", answered(composer.unanswered, destroyed=True),
            (4.6, 5.4, 4.5, 4.1), of.keep_result_s),
        Row("wrong key, `opt-out`", lambda each, wording: composer.wrong_key(each, wording=wording),
            (4.4, 5.2, 5.5, 4.2)),
        Row("not recorded", lambda each, _: composer.not_recorded(each), (1.7, 2.3, 2.3, 1.8)),
        Row("transfer notice", lambda each, _: composer.transfer_notice(each), (1.5, 1.9, 2.0, 1.9)),
        Row("transfer notice, asking in `opt-out`",
            lambda each, _: composer.transfer_question(each, mode="opt-out"), (4.2, 5.3, 5.7, 4.2)),
        Row("transfer notice, asking in `opt-in`",
            lambda each, _: composer.transfer_question(each, mode="opt-in"), (6.4, 8.1, 9.1, 7.6)),
        Row("call with a code, for a person's request", code_call("somebody-asked"), None, of.code_call_s),
        Row("call with a code, to add a number", code_call("number-proof"), None, of.code_call_s),
        Row("call with a code, to listen together", code_call("somebody-listens"), None, of.code_call_s),
        Row("room by telephone: the keys, on entering", room_keys, None, of.room_keys_s),
        Row("room by telephone: before the yes", room_question(first=False), None, of.room_question_s),
        Row("the same, for the first time and with helpers", room_question(first=True), None,
            of.room_question_s * 2),
    ]  # fmt: skip


def opt_in(language: str, wording: Wording, purpose: str = "agreement", days: int = 30) -> float:
    """The length of question and announcement together, in seconds."""
    both = (question(purpose, days=days), announced("opt-in", purpose, days=days))
    return sum(make(language, wording).duration_ms for make in both) / 1000


def table() -> str:
    lines = [
        "| Seconds | " + " | ".join(LANGUAGES) + " | limit |",
        "|---|" + "---|" * (len(LANGUAGES) + 1),
    ]
    for row in rows():
        cells = [
            _cell(before, *(row.make(language, each).duration_ms / 1000 for each in (SHORT, LONG)))
            for language, before in zip(LANGUAGES, row.before or (None,) * len(LANGUAGES), strict=True)
        ]
        lines.append(f"| {row.name} | {' | '.join(cells)} | {row.limit or ''} |")
    before = (26.2, 32.3, 33.3, 27.2)
    cells = [
        _cell(was, opt_in(language, SHORT), opt_in(language, LONG))
        for language, was in zip(LANGUAGES, before, strict=True)
    ]
    lines.append(f"| `opt-in`, question and announcement | {' | '.join(cells)} | {limits().opt_in_s} |")
    return "\n".join(lines) + "\n"


def _cell(before: float | None, short: float, long: float) -> str:
    earlier = "" if before is None else f"{before:.1f} → "
    more = "" if abs(long - short) < 0.05 else f" ({long:.1f})"
    return f"{earlier}**{short:.1f}**{more}"


def _sentences(clips: dict[str, str]) -> Iterator[str]:
    for language in LANGUAGES:
        parts = []
        for name, value in clips.items():
            days = 30 if value == "time" else None
            parts.append(clip_text(name, language, keep_days=days).text)
        yield f"{language}: {' '.join(parts)}"


SAYS = {
    "recorded": ("that it is recorded", {"recorded-for-agreement": ""}),
    "purposes": ("what for", {"recorded-for-agreement": "", "and-quality": ""}),
    "keeping-time": ("how long it is kept", {"it-is-kept": "time"}),
    "right-to-object": ("that one can refuse, and how (`opt-out`)", {"refuse": ""}),
    "consent": ("whether they agree (`opt-in`)", {"may-we-record-for-agreement": "", "yes-or-no": ""}),
}


def countries_requiring(what: str) -> str:
    """The countries that require it."""
    found = [
        pack.code
        for pack in shipped_packs().values()
        if any(duty.what == what for duty in (*pack.say, *pack.ask))
    ]
    return ", ".join(f"`{code}`" for code in sorted(found, key=lambda code: (code == STRICT, code)))


def law() -> str:
    lines = ["| Asked by | What | Said as |", "|---|---|---|"]
    for what, (name, clips) in SAYS.items():
        lines.append(f"| {countries_requiring(what)} | {name} | {'<br>'.join(_sentences(clips))} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "reference/prompt-lengths.md": ("<!-- lengths:begin -->\n", "<!-- lengths:end -->\n", table),
    "law.md": ("<!-- said:begin -->\n", "<!-- said:end -->\n", law),
}


def table_in(page: str) -> str:
    """The table in a page."""
    begin, end, _ = PAGES[page]
    return (DOCS / page).read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]


def main() -> None:
    for page, (begin, end, make) in PAGES.items():
        path = DOCS / page
        before, _, rest = path.read_text(encoding="utf-8").partition(begin)
        after = rest.partition(end)[2]
        path.write_text(before + begin + make() + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
