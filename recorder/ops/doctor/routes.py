"""FreeSWITCH: no route in the loaded dialplan connects a call before Accord is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.domain.line_policy import OFF, LinePolicy
from recorder.errors import ConfigError
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, skipped, warning, wrong
from recorder.ops.doctor.switch import dialplan_folder, loaded_dialplan
from recorder.spool.snapshot import read_snapshot

if TYPE_CHECKING:
    from recorder.switch.dialplan_model import LoadedDialplan
    from recorder.switch.dialplan_routes import Route

_INBOUND = (
    'move Accord\'s extensions ahead of it: `<X-PRE-PROCESS cmd="include" data="../accord/inbound.xml"/>` '
    'directly after `<context name="{context}">`, and nowhere else, then reloadxml'
)
_OUTBOUND = (
    "name Accord's file so that it sorts before it (00_accord.xml), or include it before it "
    "(docs/freeswitch.md), then reloadxml"
)
_SHORT = "remove the extension if nobody needs it, or move it after Accord's, then reloadxml"


def routes(patient: Patient) -> Iterator[DoctorFinding]:
    """Calls to the lines, and from them to external numbers of every length that the dialplan routes."""
    loaded = loaded_dialplan(patient.settings.switch)
    lines: tuple[LinePolicy, ...] = ()
    try:
        lines = tuple(read_snapshot(patient.settings.node.snapshot_folder).lines.values())
    except ConfigError as error:
        yield skipped(f"routes: of no line were calls followed: {error.message}")
    folder = dialplan_folder(patient.settings.switch)
    found = [*_twice(loaded), *_inbound(loaded, lines, folder), *_outbound(loaded, lines, folder)]
    yield from found
    if not found:
        yield ok(f"routes: no route connects a call of the {len(lines)} lines before Accord is asked")


def recordings(patient: Patient) -> Iterator[DoctorFinding]:
    """Recordings by the telephone system itself: unannounced, and not stopped by a pause."""
    from recorder.switch.dialplan_lint import other_recordings

    settings = patient.settings.switch
    found, folder = list(other_recordings(loaded_dialplan(settings))), dialplan_folder(settings)
    for context, name in found:
        yield warning(
            f"recordings: {_place(folder, context, name)} records calls by itself: before the announcement, "
            "and through every pause",
            "remove it for calls of recorded lines (docs/freeswitch.md, Other recordings), then reloadxml",
        )
    if not found:
        yield ok("recordings: no extension but Accord's records calls")


def _twice(loaded: LoadedDialplan) -> Iterator[DoctorFinding]:
    contexts = [entry.context for entry in loaded.entries()]
    for context in sorted({each for each in contexts if contexts.count(each) > 1}):
        yield wrong(
            f"routes: context {context} sends each call to the daemon {contexts.count(context)} times",
            "keep one copy of Accord's extensions in it: is the file included by name and with its folder?",
        )


def _inbound(
    loaded: LoadedDialplan, lines: Iterable[LinePolicy], folder: Path | None
) -> Iterator[DoctorFinding]:
    from recorder.switch.dialplan_routes import inbound

    for context in dict.fromkeys(entry.context for entry in loaded.entries()):
        numbers_by_name: dict[str, list[str]] = {}
        for line in lines:
            digits = line.number.removeprefix("+")
            for number in (digits, f"+{digits}"):
                for name in {route.extension for route in inbound(loaded, context, number)}:
                    numbers_by_name.setdefault(name, []).append(number)
        for name, numbers in numbers_by_name.items():
            each = sorted({number.removeprefix("+") for number in numbers})
            more = f" and {len(each) - 1} more" if len(each) > 1 else ""
            yield wrong(
                f"routes: {_place(folder, context, name)} connects calls to line {each[0]}{more} "
                "before Accord is asked: they are neither announced nor recorded",
                _INBOUND.format(context=context),
            )


def _outbound(
    loaded: LoadedDialplan, lines: Iterable[LinePolicy], folder: Path | None
) -> Iterator[DoctorFinding]:
    from recorder.switch import dialplan_lint_outbound
    from recorder.switch.dialplan_routes import EXTERNAL_DIGITS, external_numbers, outbound

    recorded = [line.number for line in lines if line.outbound != OFF]
    if not recorded:
        return
    for context in dict.fromkeys(way.context for way in dialplan_lint_outbound.callee_setups(loaded)):
        numbers, unguessed = external_numbers(loaded, context)
        routes_by_name: dict[str, list[Route]] = {}
        for number in numbers:
            for route in outbound(loaded, context, number, recorded[0]):
                routes_by_name.setdefault(route.extension, []).append(route)
        for name, some in routes_by_name.items():
            by_length = sorted({route.number for route in some}, key=lambda number: (len(number), number))
            short = all(len(number) < EXTERNAL_DIGITS for number in by_length)
            lengths = ", ".join(dict.fromkeys(str(len(number.lstrip("+"))) for number in by_length))
            yield DoctorFinding(
                "warning" if short else "wrong",
                f"routes: {_place(folder, context, name)} sends calls to numbers of {lengths} digits "
                f"({by_length[0]}) on before Accord is asked: they are neither announced nor recorded",
                _SHORT if short else _OUTBOUND,
            )
        for name in unguessed:
            yield warning(
                f"routes: {_place(folder, context, name)} leads to external numbers that cannot be derived",
                "make a test call through it, and check that the call is listed",
            )


def _place(folder: Path | None, context: str, name: str) -> str:
    """The extension's name, with the files that may define it, if they can be read from here."""
    place = f"extension {name!r} of context {context!r}"
    if folder is None:
        return place
    holds = re.compile(rf"<extension\s[^>]*name=\"{re.escape(name)}\"")
    found = []
    for path in sorted(folder.rglob("*.xml")):
        try:
            if holds.search(path.read_text("utf-8", "replace")):
                found.append(str(path.relative_to(folder.parent)))
        except OSError:
            continue
    return f"{place} ({', '.join(found[:3])})" if found else place
