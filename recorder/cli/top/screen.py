"""The picture as lines of text, for a terminal of any size and for no terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from recorder.cli.top.picture import STAGES, LiveCall, Picture, Waiting
from recorder.spool.disk_space import Room

Style = Literal["", "bold", "dim", "bad", "warn"]

BYTES_A_SECOND = 8000 * 2 * 2
WIDE = 100
"""Columns from which there is room for a call's customer."""

SMALLEST = 12
"""Lines below which there is no room for a table."""


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    style: Style = ""


@dataclass(frozen=True, slots=True)
class View:
    """How to show it.  ``numbers``: who calls whom, too; ``names`` of tenants by their ids."""

    numbers: bool = False
    names: Mapping[str, str] | None = None

    def tenant(self, identity: str) -> str:
        return clean((self.names or {}).get(identity, identity))


def draw(picture: Picture, view: View, width: int, height: int) -> list[Line]:
    """At most ``height`` lines of at most ``width`` columns."""
    head = _head(picture, width)
    spool = _spool(picture, view, width)
    foot = [Line(fit("q ends it", width), "dim")]
    room = height - len(head) - len(foot)
    if height >= SMALLEST:
        spool = _shorten(spool, max(4, room // 3), width)
    calls = _shorten(_calls(picture, view, width), room - len(spool), width)
    lines = [*head, *calls, *spool]
    return [*lines[: height - 1], *foot]


def everything(picture: Picture, view: View) -> list[Line]:
    """All of it, for no terminal."""
    return [*_head(picture, 120), *_calls(picture, view, 120), *_spool(picture, view, 120)]


def _head(picture: Picture, width: int) -> list[Line]:
    at = f"{picture.at:%Y-%m-%d %H:%M:%S} UTC"
    title = fit(f"Accord {picture.node}", max(0, width - len(at) - 1))
    lines = [Line(f"{title:<{max(0, width - len(at))}}{at}"[:width], "bold")]
    if picture.daemon is None:
        lines.append(
            Line("daemon: away. Calls go on unrecorded; what follows is what lies on the disk", "bad")
        )
    elif picture.daemon.stopped:
        lines.append(Line(f"daemon: process {picture.daemon.pid} is stopped", "bad"))
    elif not picture.watches:
        lines.append(Line(f"daemon: process {picture.daemon.pid} does not watch the switch", "bad"))
    if picture.worker is None:
        lines.append(Line("worker: away. Finished calls stay in the spool", "bad"))
    elif picture.worker.stopped:
        lines.append(Line(f"worker: process {picture.worker.pid} is stopped", "bad"))
    running = [
        f"{name} {process.pid}"
        for name, process in (("daemon", picture.daemon), ("worker", picture.worker))
        if process is not None
    ]
    well = [name for name, trouble in picture.said.items() if not trouble]
    lines.append(Line("  ".join([*running, *(f"{name} ok" for name in well)]) or "nothing runs here"))
    lines += [Line(f"{name}: {clean(trouble)}", "bad") for name, trouble in picture.said.items() if trouble]
    if picture.disk is not None:
        style: Style = {Room.OK: "", Room.WARN: "warn", Room.FULL: "bad"}[picture.room]  # type: ignore[assignment]
        note = {Room.OK: "", Room.WARN: ": make room", Room.FULL: ": no new recording starts"}[picture.room]
        lines.append(
            Line(f"disk {picture.disk.used:.0%} in use, {picture.disk.free / 1e9:.1f} GB free{note}", style)
        )
    if picture.trouble:
        lines.append(Line(f"spool: {clean(picture.trouble)}", "bad"))
    return [Line(fit(line.text, width), line.style) for line in lines]


def _calls(picture: Picture, view: View, width: int) -> list[Line]:
    by_state: dict[str, int] = {}
    for call in picture.calls:
        by_state[call.state] = by_state.get(call.state, 0) + 1
    each = ", ".join(f"{count} {state}" for state, count in sorted(by_state.items()))
    lines = [
        Line(""),
        Line(fit(f"LIVE CALLS  {len(picture.calls)}" + (f": {each}" if each else ""), width), "bold"),
    ]
    if not picture.calls:
        return lines
    parties = f"{'FROM':<17}{'TO':<17}" if view.numbers else ""
    if width >= WIDE:
        parties = f"{'CUSTOMER':<20}{parties}"
    lines.append(
        Line(fit(f"{'SINCE':>9}  {'STATE':<11}{'SOUND':>9} {'':<7}{parties}RECORDING", width), "dim")
    )
    for call in sorted(picture.calls, key=lambda call: (not _stands(call), call.seconds)):
        who = f"{fit(clean(call.outside), 16):<17}{fit(clean(call.number), 16):<17}" if view.numbers else ""
        if width >= WIDE:
            who = f"{fit(view.tenant(call.tenant), 19):<20}{who}"
        grows = {None: "", True: "grows", False: "stands"}[call.grows] if call.size else ""
        text = (
            f"{length(call.seconds):>9}  {call.state:<11}{length(call.size / BYTES_A_SECOND):>9} "
            f"{grows:<7}{who}{call.recording}"
        )
        lines.append(Line(fit(text, width), "bad" if _stands(call) else ""))
    return lines


def _stands(call: LiveCall) -> bool:
    return call.grows is False and call.size > 0 and call.state in {"announcing", "connected", "ringing"}


def _spool(picture: Picture, view: View, width: int) -> list[Line]:
    total = sum(each.stages.total() for each in picture.waiting)
    oldest = max((each.oldest for each in picture.waiting), default=None)
    said = [f"SPOOL  {total} finished calls"]
    if oldest is not None:
        said.append(f"the oldest for {length(oldest)}")
    if picture.arrived_a_minute is not None and picture.done_a_minute is not None:
        said.append(f"{picture.arrived_a_minute:.1f} in and {picture.done_a_minute:.1f} out a minute")
    if picture.quarantine:
        said.append(f"{picture.quarantine} in quarantine")
    lines = [Line(""), Line(fit(", ".join(said), width), "bold")]
    if picture.waiting:
        heads = "".join(f"{stage:>10}" for stage in STAGES)
        lines.append(Line(fit(f"{'CUSTOMER':<20}{heads}{'OLDEST':>10}", width), "dim"))
    lines += [_waiting(each, view, width) for each in picture.waiting]
    return lines


def _waiting(waiting: Waiting, view: View, width: int) -> Line:
    counts = "".join(f"{waiting.stages[stage] or '-':>10}" for stage in STAGES)
    return Line(fit(f"{fit(view.tenant(waiting.tenant), 19):<20}{counts}{length(waiting.oldest):>10}", width))


def _shorten(lines: list[Line], height: int, width: int) -> list[Line]:
    if len(lines) <= height:
        return lines
    kept = lines[: max(0, height - 1)]
    return [*kept, Line(fit(f"... and {len(lines) - len(kept)} more", width), "dim")]


def length(seconds: float) -> str:
    """``1:02:03`` or ``02:03``."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def clean(text: str) -> str:
    """Without what a terminal would obey: a caller's name may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def fit(text: str, width: int) -> str:
    """Cut to so many columns; wide letters take two, and those that combine none."""
    used, out = 0, []
    for letter in text:
        wide = 2 if unicodedata.east_asian_width(letter) in "WF" else not unicodedata.combining(letter)
        if used + wide > width:
            break
        used += wide
        out.append(letter)
    return "".join(out)
