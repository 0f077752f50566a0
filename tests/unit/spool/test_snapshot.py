"""The snapshot of lines: read as written, shard by shard, and refused as a whole where it is malformed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.domain import line_policy, sentences
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.errors import ConfigError
from recorder.spool import snapshot

SOUND = b"sound"
SHA = hashlib.sha256(SOUND).hexdigest()
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ANNOUNCEMENT = Announcement("a", 1, "en", "text", ("agreement",), 30, SHA, 1000)
LINE = LinePolicy("t", "l", "3225550100", "notice", "before_ringing", ("opus",), ANNOUNCEMENT)
MANY = [replace(LINE, line=f"l{number}", number=f"+3225{number:06}") for number in range(3000)]


def write(folder: Path, *lines: LinePolicy, now: datetime = NOW) -> bool:
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts" / f"{SHA}.wav").write_bytes(SOUND)
    return snapshot.write_snapshot(folder, lines or [LINE], ["112"], now)


def shards(folder: Path) -> dict[str, int]:
    """The files of the lines, and their inodes."""
    return {path.name: path.stat().st_ino for path in (folder / snapshot.LINES).iterdir()}


def change_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the index; its hash is that of what it then says."""
    index = json.loads((folder / snapshot.INDEX).read_bytes())
    changed = change(index)
    if isinstance(index.get("lines"), list) and isinstance(index.get("never_record"), list):
        content = json.dumps([snapshot.FORMAT, *index["lines"], None, *index["never_record"]])
        index["sha256"] = hashlib.sha256(content.encode()).hexdigest()
    (folder / snapshot.INDEX).write_text(json.dumps(index if changed is None else changed))


def change_lines(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the lines of the only shard; each hash is that of what is there then."""
    (path,) = (folder / snapshot.LINES).iterdir()
    lines = json.loads(path.read_bytes())
    changed = change(lines)
    content = json.dumps(lines if changed is None else changed).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path.unlink()
    (folder / snapshot.LINES / f"{sha256}.json").write_bytes(content)
    change_index(folder, lambda index: index.update(lines=[sha256]))


def test_reads_the_snapshot_as_written(tmp_path: Path) -> None:
    assert write(tmp_path)
    read = snapshot.read_snapshot(tmp_path)
    assert (read.line("+3225550100"), read.never_record, read.damaged) == (LINE, {"112"}, frozenset())
    assert (read.made_at, read.prompts, read.is_whole) == ("2026-11-25T09:00:00.000Z", {SHA}, True)


def test_reads_many_lines_from_several_files(tmp_path: Path) -> None:
    write(tmp_path, *MANY)
    assert len(shards(tmp_path)) == snapshot.SHARDS
    read = snapshot.read_snapshot(tmp_path)
    assert len(read.lines) == len(MANY)
    assert all(read.line(each.number) == each for each in MANY)


def test_an_unchanged_snapshot_is_not_written(tmp_path: Path) -> None:
    write(tmp_path, *MANY)
    before = (tmp_path / snapshot.INDEX).read_bytes(), shards(tmp_path)
    assert not write(tmp_path, *MANY, now=NOW + timedelta(days=1))
    assert ((tmp_path / snapshot.INDEX).read_bytes(), shards(tmp_path)) == before
    assert snapshot.is_snapshot_of(tmp_path, MANY, ["112"])
    assert not snapshot.is_snapshot_of(tmp_path, MANY, ["112", "113"])
    assert not snapshot.is_snapshot_of(tmp_path, MANY[1:], ["112"])


def test_one_changed_line_rewrites_one_shard(tmp_path: Path) -> None:
    write(tmp_path, *MANY)
    before = shards(tmp_path)
    lines = [replace(MANY[0], beep="both"), *MANY[1:]]
    assert write(tmp_path, *lines)
    (new,) = shards(tmp_path).keys() - before.keys()
    assert before.items() <= shards(tmp_path).items()
    total = sum(path.stat().st_size for path in (tmp_path / snapshot.LINES).iterdir())
    assert (tmp_path / snapshot.LINES / new).stat().st_size < total / 100
    assert snapshot.read_snapshot(tmp_path).line(MANY[0].number) == lines[0]


def test_a_reader_reads_only_what_changed(tmp_path: Path) -> None:
    write(tmp_path, *MANY)
    known = snapshot.read_snapshot(tmp_path)
    before = shards(tmp_path)
    lines = [replace(MANY[0], beep="both"), *MANY[1:]]
    write(tmp_path, *lines)
    for name in before:
        (tmp_path / snapshot.LINES / name).unlink()
    (tmp_path / "prompts" / f"{SHA}.wav").write_bytes(b"noise")  # the same file, by its length
    read = snapshot.read_snapshot(tmp_path, known)
    assert [read.line(each.number) for each in MANY] == lines
    assert read.is_whole
    with pytest.raises(ConfigError):
        snapshot.read_snapshot(tmp_path)


def test_a_known_sound_is_read_again_once_its_file_is_another(tmp_path: Path) -> None:
    write(tmp_path)
    known = snapshot.read_snapshot(tmp_path)
    prompt = tmp_path / "prompts" / f"{SHA}.wav"
    prompt.write_bytes(b"something else")
    assert not known.is_whole
    damaged = snapshot.read_snapshot(tmp_path, known)
    assert (damaged.damaged, damaged.prompts, damaged.is_whole) == ({SHA}, {SHA}, False)
    prompt.unlink()
    assert snapshot.read_snapshot(tmp_path, damaged).damaged == {SHA}
    prompt.write_bytes(SOUND)
    assert snapshot.read_snapshot(tmp_path, damaged).is_whole


def test_a_reader_of_the_index_before_finds_its_lines(tmp_path: Path) -> None:
    """The worker may write the next one between a daemon's look at the index and at the lines."""
    write(tmp_path, LINE)
    before = (tmp_path / snapshot.INDEX).read_bytes()
    write(tmp_path, replace(LINE, beep="both"))
    after = (tmp_path / snapshot.INDEX).read_bytes()
    (tmp_path / snapshot.INDEX).write_bytes(before)
    assert snapshot.read_snapshot(tmp_path).line(LINE.number) == LINE
    (tmp_path / snapshot.INDEX).write_bytes(after)
    write(tmp_path, replace(LINE, beep="internal"))
    assert len(shards(tmp_path)) == 2, "older ones go"


def test_an_interrupted_write_leaves_the_snapshot_before(tmp_path: Path) -> None:
    write(tmp_path, *MANY)
    obstacle = tmp_path / f".{snapshot.INDEX}.tmp"
    obstacle.mkdir()  # the disk is full once the lines are there
    with pytest.raises(OSError, match="directory"):
        write(tmp_path, *MANY[1:])
    assert len(snapshot.read_snapshot(tmp_path).lines) == len(MANY)
    obstacle.rmdir()
    assert write(tmp_path, *MANY[2:])
    assert len(snapshot.read_snapshot(tmp_path).lines) == len(MANY) - 2


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-2] + b"\n]")]
)
def test_a_missing_or_changed_file_of_lines_is_reported_and_written_again(
    tmp_path: Path, harm: Callable[[Path], Any]
) -> None:
    write(tmp_path)
    (path,) = (tmp_path / snapshot.LINES).iterdir()
    harm(path)
    with pytest.raises(ConfigError, match=path.name) as failure:
        snapshot.read_snapshot(tmp_path)
    assert failure.value.error_id == "snapshot.broken"
    assert not write(tmp_path), "the index is the same"
    assert snapshot.read_snapshot(tmp_path).line(LINE.number) == LINE


def test_an_index_that_was_changed_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    index = json.loads((tmp_path / snapshot.INDEX).read_bytes())
    (tmp_path / snapshot.INDEX).write_text(json.dumps(index | {"never_record": []}))
    with pytest.raises(ConfigError, match="another index"):
        snapshot.read_snapshot(tmp_path)
    assert write(tmp_path)
    assert snapshot.read_snapshot(tmp_path).never_record == {"112"}


def test_the_plan_announces_on_answer(tmp_path: Path) -> None:
    write(tmp_path, replace(LINE, timing="at_pickup"))
    read = snapshot.read_snapshot(tmp_path)
    line = read.line("+3225550100")
    assert line is not None
    assert read.plan(line).at_pickup


def test_the_plan_announces_outbound_calls_differently(tmp_path: Path) -> None:
    line = replace(LINE, outbound="once_connected", beep="both")
    write(tmp_path, line)
    read = snapshot.read_snapshot(tmp_path)
    assert read.line("3225550100") == line
    assert [read.plan(line, each).at_pickup for each in ("inbound", "outbound")] == [False, True]
    assert [read.plan(line, each).outbound for each in ("inbound", "outbound")] == [False, True]


SENTENCE = sentences.TimedSentence("text", SHA, 1000)
CONSENT_LINE = replace(
    LINE,
    mode="opt-in",
    consent_prompt=line_policy.ConsentPrompt(SENTENCE, SENTENCE),
    transfer_notice=line_policy.TransferNotice("alone", SENTENCE, SENTENCE),
    others=(
        line_policy.Language(ANNOUNCEMENT, line_policy.ConsentPrompt(SENTENCE, SENTENCE)),
        line_policy.Language(
            ANNOUNCEMENT,
            line_policy.ConsentPrompt(SENTENCE, SENTENCE),
            transfer_notice=line_policy.TransferNotice("alone", SENTENCE, SENTENCE),
        ),
    ),
    menu=SENTENCE,
)


def test_each_language_keeps_its_own_transfer_notice(tmp_path: Path) -> None:
    line = replace(
        CONSENT_LINE,
        transfer_notice=line_policy.TransferNotice("both", SENTENCE),
        others=(),
        menu=None,
        line="m",
        number="101",
    )
    write(tmp_path, CONSENT_LINE, line)
    read = snapshot.read_snapshot(tmp_path)
    assert (read.line("3225550100"), read.line("101")) == (CONSENT_LINE, line)
    notices = [script.transfer_notice for script in read.plan(CONSENT_LINE).scripts]
    assert [notice and notice.refused is not None for notice in notices] == [True, None, True]


def test_notice_mode_has_no_transfer_question(tmp_path: Path) -> None:
    write(tmp_path, replace(LINE, transfer_notice=line_policy.TransferNotice("alone", SENTENCE, SENTENCE)))
    with pytest.raises(ConfigError):
        snapshot.read_snapshot(tmp_path)


def refuses(folder: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        snapshot.read_snapshot(folder)
    assert failure.value.error_id in ("snapshot.format", "snapshot.broken")
    assert failure.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda index: [],
        lambda index: "text",
        lambda index: index.update(format=2),
        lambda index: index.update(more=1),
        lambda index: index.pop("lines") and None,
        lambda index: index.update(lines=None),
        lambda index: index.update(lines={"a": 1}),
        lambda index: index.update(lines=[None]),
        lambda index: index.update(lines=["../../etc/passwd"]),
        lambda index: index.update(lines=["0" * 64]),
        lambda index: index.pop("never_record") and None,
        lambda index: index.update(never_record=[112]),
        lambda index: index.update(never_record=None),
        lambda index: index.pop("made_at") and None,
    ],
)
def test_a_malformed_index_has_an_error_with_a_hint(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    write(tmp_path)
    change_index(tmp_path, change)
    refuses(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: {"a": 1},
        lambda lines: 1,
        lambda lines: [None],
        lambda lines: [[]],
        lambda lines: lines[0].update(outbound="later"),
        lambda lines: lines[0].update(beep="nobody"),
        lambda lines: lines[0].update(delete={}),
        lambda lines: lines[0].update(transfer_notice=1),
        lambda lines: lines[0].update(transfer_notice={"how": "alone"}),
        lambda lines: lines[0].update(others=[{}]),
        lambda lines: lines[0].update(others=[None]),
        lambda lines: lines[0].update(colour="red"),
        lambda lines: lines[0].pop("tenant") and None,
        lambda lines: lines[0].update(tenant=1),
        lambda lines: lines[0].update(number="32; drop"),
        lambda lines: lines[0].update(number=3225550100),
        lambda lines: lines[0].update(announcement=None),
        lambda lines: lines[0].update(announcement=[]),
        lambda lines: lines[0].update(formats=None),
        lambda lines: lines[0].update(more=1),
        lambda lines: lines[0].update(timing="later"),
        lambda lines: lines[0].update(
            timing="at_pickup",
            mode="opt-in",
            consent_prompt={
                each: {"text": "t", "sha256": "0" * 64, "duration_ms": 1} for each in ("question", "declined")
            },
        ),
        lambda lines: lines[0]["announcement"].pop("sha256") and None,
        lambda lines: lines[0]["announcement"].update(sha256="../../etc/passwd"),
        lambda lines: lines[0]["announcement"].update(duration_ms="1000"),
        lambda lines: lines[0]["announcement"].update(duration_ms=0),
        lambda lines: lines[0]["announcement"].update(purposes=None),
        lambda lines: lines[0]["announcement"].update(keep_days=None),
    ],
)
def test_malformed_lines_have_an_error_with_a_hint(
    tmp_path: Path, change: Callable[[list[dict[str, Any]]], Any]
) -> None:
    write(tmp_path)
    change_lines(tmp_path, change)
    refuses(tmp_path)


def test_lines_that_are_changed_as_the_other_tests_do_are_read(tmp_path: Path) -> None:
    """Otherwise they would show nothing."""
    write(tmp_path)
    change_lines(tmp_path, lambda lines: lines[0].update(beep="both"))
    change_index(tmp_path, lambda index: index.update(never_record=[]))
    read = snapshot.read_snapshot(tmp_path)
    assert (read.line(LINE.number), read.never_record) == (replace(LINE, beep="both"), frozenset())
