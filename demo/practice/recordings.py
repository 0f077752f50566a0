"""Recordings of a call, started and stopped with the real switch's events and variables."""

from __future__ import annotations

from pathlib import Path

import structlog

from demo.practice.call import CallLegs
from demo.practice.sound import RATE, Tape
from demo.practice.wire import Header

log = structlog.get_logger()


def start(call: CallLegs, path: Path, variables: str) -> bool:
    """Start a recording with its own variables (``{name=value,…}``); no effect if it is running. ``False`` if
    it cannot be written."""
    if str(path) in call.media.tapes:
        return True
    pairs = dict(pair.partition("=")[::2] for pair in variables.strip("{} ").split(",") if pair)
    buffered = pairs.get("enable_file_write_buffering") != "false"
    try:
        tape = Tape(path, pairs, buffered=buffered)
    except OSError as error:
        log.warning("practice.cannot_record", path=str(path), error=str(error))
        return False
    call.media.tapes[str(path)] = tape
    call.media.start()
    call.emit("RECORD_START", last=_headers(tape))
    return True


def stop(call: CallLegs, path: str) -> bool:
    """Stop one recording, or ``all``; ``False`` if there was none."""
    paths = list(call.media.tapes) if path == "all" else [path]
    stopped = [tape for name in paths if (tape := call.media.tapes.pop(name, None))]
    for tape in stopped:
        _close(call, tape, "success-silence" if call.leg.cause else "success-maxtime")
    return bool(stopped)


def mask(call: CallLegs, path: str, masked: bool) -> bool:
    """Mask or unmask both channels of a recording from now on; ``False`` if there is none."""
    tape = call.media.tapes.get(path)
    if tape is not None:
        tape.masked = masked
    return tape is not None


def _close(call: CallLegs, tape: Tape, cause: str) -> None:
    try:
        tape.close()
    except OSError:
        tape.failed = True
    if tape.failed:
        cause = "uri-failure"
    call.leg.variables |= {
        "record_file_size": str(tape.length_on_disk()),
        "record_samples": str(tape.samples),
        "record_seconds": str(tape.samples // RATE),
        "record_ms": str(tape.samples * 1000 // RATE),
        "record_completion_cause": cause,
    }
    call.emit("RECORD_STOP", last=[*_headers(tape), ("Record-Completion-Cause", cause)])


def _headers(tape: Tape) -> list[Header]:
    return [
        ("Record-File-Path", str(tape.path)),
        *((f"Recording-Variable-{name}", value) for name, value in tape.variables.items()),
    ]
