"""A snapshot of the wrong shape is told as such: a call must not find out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.domain import line_policy
from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.errors import ConfigError

SHA = hashlib.sha256(b"sound").hexdigest()
TOLD = Announcement("a", 1, "en", "text", ("agreement",), 30, SHA, 1000)
LINE = LinePolicy("t", "l", "3225550100", "notice", "before_ringing", ("opus",), TOLD)


def write(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts" / f"{SHA}.wav").write_bytes(b"sound")
    body = json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [LINE], ["112"]))
    changed = change(body)
    (folder / "snapshot.json").write_text(json.dumps(body if changed is None else changed))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, lambda body: None)
    read = line_policy.read(tmp_path)
    assert (read.line("+3225550100"), read.never_record, read.damaged) == (LINE, {"112"}, frozenset())


def test_a_line_that_announces_at_pick_up_says_so_in_its_plan(tmp_path: Path) -> None:
    write(tmp_path, lambda body: body["lines"][0].update(timing="at_pickup"))
    read = line_policy.read(tmp_path)
    line = read.line("+3225550100")
    assert line is not None
    assert read.plan(line).at_pickup


def test_what_a_line_does_with_its_outbound_calls_costs_an_older_daemon_nothing(tmp_path: Path) -> None:
    line = replace(LINE, outbound="once_connected")
    body = json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [line], []))
    before = json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [LINE], []))
    assert body["lines"] == before["lines"], "it reads every field of a line, and no other"
    write(tmp_path, lambda _: body)
    read = line_policy.read(tmp_path)
    found = read.line("3225550100")
    assert found == line
    assert [read.plan(line, each).at_pickup for each in ("inbound", "outbound")] == [False, True]
    assert [read.plan(line, each).outbound for each in ("inbound", "outbound")] == [False, True]


def newer(body: dict[str, Any], **more: Any) -> None:
    said = {"outbound": "off", "delete": None, "transfer_notice": None, "beep": "", "others": []}
    body["newer"] = {body["lines"][0]["line"]: {**said, **more}}


def test_what_an_accord_of_before_does_not_know_stands_apart(tmp_path: Path) -> None:
    def look(body: dict[str, Any]) -> None:
        assert not {"outbound", "delete", "transfer_notice", "beep"} & set(body["lines"][0])
        newer(body, beep="both", outbound="once_connected")

    write(tmp_path, look)
    line = line_policy.read(tmp_path).line("3225550100")
    assert line is not None
    assert (line.beep, line.outbound) == ("both", "once_connected")


SAID = line_policy.PromptSound("text", SHA, 1000)
ASKING = replace(
    LINE,
    mode="opt-in",
    consent_prompt=line_policy.ConsentPrompt(SAID, SAID),
    transfer_notice=line_policy.TransferNotice("alone", SAID, SAID),
    others=(
        line_policy.Language(TOLD, line_policy.ConsentPrompt(SAID, SAID)),
        line_policy.Language(
            TOLD,
            line_policy.ConsentPrompt(SAID, SAID),
            transfer_notice=line_policy.TransferNotice("alone", SAID, SAID),
        ),
    ),
    menu=SAID,
)


def test_what_is_asked_of_who_joins_is_nothing_to_an_older_daemon(tmp_path: Path) -> None:
    """It could not listen for the answer: it tells nobody, and goes on with the rest."""
    told = replace(
        ASKING, transfer_notice=line_policy.TransferNotice("both", SAID), others=(), menu=None, line="m", number="101"
    )
    body = json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [ASKING, told], []))
    assert [*body["newer"]] == ["m"]
    assert body["newer"]["m"]["transfer_notice"] == {"how": "both", "sound": body["newer"]["m"]["transfer_notice"]["sound"]}
    write(tmp_path, lambda _: body)
    read = line_policy.read(tmp_path)
    assert (read.line("3225550100"), read.line("101")) == (ASKING, told)
    asks = [script.transfer_notice and script.transfer_notice.refused is not None for script in read.plan(ASKING).scripts]
    assert asks == [True, None, True]
    assert "joiners_asked" not in json.loads(
        line_policy.to_json("2026-11-25T09:00:00.000Z", [told, LINE], [])
    )


@pytest.mark.parametrize("wrong", [1, [], [None], [{"how": "alone"}, None, None]])
def test_what_is_asked_in_another_shape_is_told_as_such(tmp_path: Path, wrong: object) -> None:
    body = json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [ASKING], []))
    write(tmp_path, lambda _: body | {"joiners_asked": {"l": wrong}})
    with pytest.raises(ConfigError) as broken:
        line_policy.read(tmp_path)
    assert broken.value.error_id == "snapshot.broken"


def test_a_line_that_only_announces_asks_nobody_who_joins(tmp_path: Path) -> None:
    line = replace(LINE, transfer_notice=line_policy.TransferNotice("alone", SAID, SAID))
    write(tmp_path, lambda _: json.loads(line_policy.to_json("2026-11-25T09:00:00.000Z", [line], [])))
    with pytest.raises(ConfigError):
        line_policy.read(tmp_path)


def test_a_snapshot_of_an_older_worker_records_no_outbound_call(tmp_path: Path) -> None:
    write(tmp_path, lambda body: body.__delitem__("newer"))
    line = line_policy.read(tmp_path).line("3225550100")
    assert line is not None
    assert line.outbound == "off"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: newer(body, outbound="later"),
        lambda body: newer(body, beep="nobody"),
        lambda body: newer(body, delete={}),
        lambda body: newer(body, transfer_notice=1),
        lambda body: newer(body, others=[{}]),
        lambda body: newer(body, colour="red"),
        lambda body: body.update(newer={body["lines"][0]["line"]: {}}),
        lambda body: body.update(newer=[]),
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
def test_a_snapshot_of_another_shape_is_an_error_that_says_what_to_do(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    write(tmp_path, change)
    with pytest.raises(ConfigError) as refused:
        line_policy.read(tmp_path)
    assert refused.value.error_id in ("snapshot.format", "snapshot.broken")
    assert refused.value.hint
