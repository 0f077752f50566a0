"""The files of a take and a node's snapshot with anything in them: read as written, or refused with the
declared error, so that a broken file costs its own call and no other."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from recorder.audio.encoded_take import ENCODED, Encoded, read_encoded, write_encoded
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.domain.markers import Marker
from recorder.errors import ConfigError, TakeError
from recorder.pipeline import stages, unrecorded_call
from recorder.spool import layout
from recorder.spool.layout import Take
from recorder.spool.snapshot import INDEX, LINES, _hash_of, read_snapshot, write_snapshot
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_bytes, mutate_document, scratch
from tests.unit.seal.recording import ANNOUNCEMENT, NOW, make_encoded

INSTRUMENT = ("recorder.audio", "recorder.domain.line_policy", "recorder.strict_json", "recorder.clock")
LONGEST = 160

_root = scratch()


def _genuine_files() -> dict[str, bytes]:
    encoded = make_encoded(_root / "made")
    folder = layout.open_take(_root, encoded.take.start)
    for marker in encoded.take.markers:
        layout.append_marker(folder, marker)
    layout.close_take(folder, encoded.take.end)
    for sound in encoded.sounds:
        os.link(sound.path, folder / sound.name)
    write_encoded(
        Encoded(**{name: getattr(encoded, name) for name in ENCODED_FIELDS} | {"take": _at(encoded, folder)})
    )
    line = LinePolicy("t", "l", "+3225550100", "notice", "before_ringing", ("opus",), ANNOUNCEMENT)
    files = {name: (folder / name).read_bytes() for name in (*FILES, layout.EVENTS)}
    write_snapshot(_root, [line, line], ["112"], NOW)
    (shard,) = (_root / LINES).iterdir()
    return files | {INDEX: (_root / INDEX).read_bytes(), LINES: shard.read_bytes()}


ENCODED_FIELDS = (
    "duration_ms",
    "sample_rate",
    "announced",
    "gaps",
    "markers",
    "drift_ms",
    "sounds",
    "prompts",
)
FILES = (layout.CALL, layout.END, ENCODED)


def _at(encoded: Encoded, folder: Path) -> Take:
    return Take(folder, encoded.take.start, encoded.take.markers, encoded.take.end)


GENUINE = _genuine_files()
FOLDER = _root / json.loads(GENUINE[layout.CALL])["recording"]


def check(data: bytes) -> None:
    choices = Choices(data)
    name = choices.pick(sorted(GENUINE))
    content = _changed(name, choices)
    if name in (INDEX, LINES):
        a_snapshot(*((content, GENUINE[LINES]) if name == INDEX else (GENUINE[INDEX], content)))
        return
    (FOLDER / name).write_bytes(content)
    try:
        a_folder()
    finally:
        (FOLDER / name).write_bytes(GENUINE[name])


def _changed(name: str, choices: Choices) -> bytes:
    content = GENUINE[name]
    if choices.below(4) == 3:
        return mutate_bytes(content, choices)
    if choices.below(16) == 15:
        return choices.rest()
    if name == layout.EVENTS:
        lines = [json.loads(line) for line in content.splitlines()]
        lines = [mutate_document(line, choices, lines) if choices.below(3) == 2 else line for line in lines]
        return b"\n".join(json.dumps(line, ensure_ascii=True).encode() for line in lines) + choices.pick(
            (b"\n", b"", b"\n[]", b'\n{"at":', b"\n\xff\n")
        )
    document = json.loads(content)
    for _ in range(choices.below(3)):
        document = mutate_document(
            document, choices, [json.loads(each) for each in (content, GENUINE[layout.CALL])]
        )
    return mutate_bytes(json.dumps(document, ensure_ascii=True).encode(), choices)


def a_folder() -> None:
    stage = stages.next_stage(FOLDER)
    assert stage in ("note", "encode", "seal")
    start, end = unrecorded_call.salvage_call(FOLDER, NOW)
    assert layout.parse_start(layout.start_body(start)) == start
    assert layout.parse_end(layout.end_body(end)) == end
    if start.started_at != NOW:
        assert datetime(1, 1, 1, tzinfo=UTC) <= start.started_at
    try:
        take = layout.read_take(FOLDER)
    except TakeError as error:
        assert error.error_id == "spool.broken"
        assert len(str(error)) < 20_000
        return
    for marker in take.markers:
        assert isinstance(marker, Marker)
        json.dumps(dict(marker.data)).encode()
    unrecorded_call.reason_not_kept(take)
    try:
        encoded = read_encoded(FOLDER)
    except TakeError as error:
        assert error.error_id == "take.encoded"
        return
    for sound in encoded.sounds:
        assert sound.path.parent == FOLDER, "a sound from outside the take's folder"
    json.dumps(layout.start_body(take.start)).encode()


def a_snapshot(index: bytes, lines: bytes) -> None:
    """Each with the hash of what it says, as far as it says anything."""
    sha256 = hashlib.sha256(lines).hexdigest()
    path = _root / LINES / f"{sha256}.json"
    path.write_bytes(lines)
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        body = json.loads(index)
        if lines != GENUINE[LINES]:
            body["lines"] = [sha256]
        index = json.dumps(body | {"sha256": _hash_of(body["lines"], body["never_record"])}).encode()
    (_root / INDEX).write_bytes(index)
    try:
        check_snapshot()
    finally:
        if lines != GENUINE[LINES]:
            path.unlink()


def check_snapshot() -> None:
    try:
        read = read_snapshot(_root)
    except ConfigError as error:
        assert error.error_id in ("snapshot.broken", "snapshot.format")
        return
    for number, line in read.lines.items():
        assert number == line.number.removeprefix("+")
        assert read.line(number) is line
        announcement = line.announcement
        assert isinstance(announcement, Announcement)
        assert read.prompt(announcement.sha256).parent == _root / "prompts"
        assert announcement.sha256 in read.damaged, "there are no sounds here at all"
    assert read.line("32 255") is read.lines.get("32255"), "a space is no prefix and no pattern"
    for number in ("", "x", "+", "٣٢٢٥٥٥٠١٠٠", "3225550100\n", "+3225550100;x"):
        assert read.line(number) is None


SEEDS = tuple(
    bytes([name, way, 0, 1 + n % 2, n, n * 7 % 256, n * 13 % 256, n % 8, n % 45, 0, n % 7])
    for name in range(len(GENUINE))
    for way in (0, 3)
    for n in range(8)
)
