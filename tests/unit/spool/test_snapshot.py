"""The snapshot of lines: read as written, and refused as a whole where it is malformed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.domain import line_policy, sentences
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.errors import ConfigError
from recorder.spool.snapshot import read_snapshot, to_json

SHA = hashlib.sha256(b"sound").hexdigest()
ANNOUNCEMENT = Announcement("a", 1, "en", "text", ("agreement",), 30, SHA, 1000)
LINE = LinePolicy("t", "l", "3225550100", "notice", "before_ringing", ("opus",), ANNOUNCEMENT)


def write(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts" / f"{SHA}.wav").write_bytes(b"sound")
    body = json.loads(to_json("2026-11-25T09:00:00.000Z", [LINE], ["112"]))
    changed = change(body)
    (folder / "snapshot.json").write_text(json.dumps(body if changed is None else changed))


def test_reads_the_snapshot_as_written(tmp_path: Path) -> None:
    write(tmp_path, lambda body: None)
    read = read_snapshot(tmp_path)
    assert (read.line("+3225550100"), read.never_record, read.damaged) == (LINE, {"112"}, frozenset())


def test_the_plan_announces_on_answer(tmp_path: Path) -> None:
    write(tmp_path, lambda body: body["lines"][0].update(timing="at_pickup"))
    read = read_snapshot(tmp_path)
    line = read.line("+3225550100")
    assert line is not None
    assert read.plan(line).at_pickup


def test_the_plan_announces_outbound_calls_differently(tmp_path: Path) -> None:
    line = replace(LINE, outbound="once_connected", beep="both")
    write(tmp_path, lambda _: json.loads(to_json("2026-11-25T09:00:00.000Z", [line], [])))
    read = read_snapshot(tmp_path)
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
    body = json.loads(to_json("2026-11-25T09:00:00.000Z", [CONSENT_LINE, line], []))
    write(tmp_path, lambda _: body)
    read = read_snapshot(tmp_path)
    assert (read.line("3225550100"), read.line("101")) == (CONSENT_LINE, line)
    notices = [script.transfer_notice for script in read.plan(CONSENT_LINE).scripts]
    assert [notice and notice.refused is not None for notice in notices] == [True, None, True]


def test_notice_mode_has_no_transfer_question(tmp_path: Path) -> None:
    line = replace(LINE, transfer_notice=line_policy.TransferNotice("alone", SENTENCE, SENTENCE))
    write(tmp_path, lambda _: json.loads(to_json("2026-11-25T09:00:00.000Z", [line], [])))
    with pytest.raises(ConfigError):
        read_snapshot(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["lines"][0].update(outbound="later"),
        lambda body: body["lines"][0].update(beep="nobody"),
        lambda body: body["lines"][0].update(delete={}),
        lambda body: body["lines"][0].update(transfer_notice=1),
        lambda body: body["lines"][0].update(transfer_notice={"how": "alone"}),
        lambda body: body["lines"][0].update(others=[{}]),
        lambda body: body["lines"][0].update(others=[None]),
        lambda body: body["lines"][0].update(colour="red"),
        lambda body: [],
        lambda body: "text",
        lambda body: body.pop("lines") and None,
        lambda body: body.update(lines=None),
        lambda body: body.update(lines={"a": 1}),
        lambda body: body.update(lines=[None]),
        lambda body: body.update(lines=[[]]),
        lambda body: body.pop("never_record") and None,
        lambda body: body.update(never_record=[112]),
        lambda body: body.update(never_record=None),
        lambda body: body.pop("made_at") and None,
        lambda body: body["lines"][0].pop("tenant") and None,
        lambda body: body["lines"][0].update(tenant=1),
        lambda body: body["lines"][0].update(number="32; drop"),
        lambda body: body["lines"][0].update(number=3225550100),
        lambda body: body["lines"][0].update(announcement=None),
        lambda body: body["lines"][0].update(announcement=[]),
        lambda body: body["lines"][0].update(formats=None),
        lambda body: body["lines"][0].update(more=1),
        lambda body: body["lines"][0].update(timing="later"),
        lambda body: body["lines"][0].update(
            timing="at_pickup",
            mode="opt-in",
            consent_prompt={
                each: {"text": "t", "sha256": "0" * 64, "duration_ms": 1} for each in ("question", "declined")
            },
        ),
        lambda body: body["lines"][0]["announcement"].pop("sha256") and None,
        lambda body: body["lines"][0]["announcement"].update(sha256="../../etc/passwd"),
        lambda body: body["lines"][0]["announcement"].update(duration_ms="1000"),
        lambda body: body["lines"][0]["announcement"].update(duration_ms=0),
        lambda body: body["lines"][0]["announcement"].update(purposes=None),
        lambda body: body["lines"][0]["announcement"].update(keep_days=None),
    ],
)
def test_a_malformed_snapshot_has_an_error_with_a_hint(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    write(tmp_path, change)
    with pytest.raises(ConfigError) as failure:
        read_snapshot(tmp_path)
    assert failure.value.error_id in ("snapshot.format", "snapshot.broken")
    assert failure.value.hint
