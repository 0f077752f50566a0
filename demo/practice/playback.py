"""Prompts: the events about one that plays to a leg, and the variables that it leaves."""

from __future__ import annotations

from pathlib import Path

import structlog

from demo.practice.call import CallLegs
from demo.practice.leg import Leg
from demo.practice.sound import RATE, Player, load
from recorder.errors import SwitchError

log = structlog.get_logger()

RESPONSE = "current_application_response"


def prepare(leg: Leg, path: str) -> Player | None:
    """The sound, ready to play; ``None`` if it cannot be, with the leg's response set accordingly."""
    try:
        return Player(load(Path(path)))
    except SwitchError as error:
        log.warning("practice.sound_missing", path=path, error=error.message)
        leg.variables[RESPONSE] = "FILE NOT FOUND"
        return None


def report_start(call: CallLegs, leg: Leg, path: str) -> None:
    """It starts to play."""
    call.emit("PLAYBACK_START", leg=leg, last=[("Playback-File-Path", path)])


def report_end(call: CallLegs, leg: Leg, path: str, player: Player, *, away: bool) -> None:
    """It is over: at its end, cut, or because the leg was called ``away``.

    As in the real switch, the status is ``done`` even if the leg was called away in the middle, and the
    response ``FILE PLAYED`` even if a key cut it (transcripts: killed, hangup, question_cut_by_keys).
    """
    status = "done" if away or player.at_end else "break"
    leg.variables |= {
        "playback_last_offset_pos": str(player.at),
        "playback_seconds": str(player.at // RATE),
        "playback_ms": str(player.at * 1000 // RATE),
        "playback_samples": str(player.at),
    }
    call.emit("PLAYBACK_STOP", leg=leg, last=[("Playback-File-Path", path), ("Playback-Status", status)])
    leg.variables[RESPONSE] = "PLAYBACK ERROR" if away else "FILE PLAYED"


def ends(leg: Leg, digit: str) -> bool:
    """Whether a key ends what is playing to a leg (``playback_terminators``); notes which key did."""
    terminators = leg.variables.get("playback_terminators", "*")
    if terminators == "none" or (terminators != "any" and digit not in terminators):
        return False
    leg.variables["playback_terminator_used"] = digit
    return True
