"""The practice switch's events compared with the real switch's in the same scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from gevent.pool import Pool

from tests.scenarios.at_pickup import AT_PICKUP
from tests.scenarios.codes import CODES
from tests.scenarios.compare import by_leg, daemon_messages, names, ours, settled, shape, switch_messages
from tests.scenarios.definitions import SCENARIOS, Scenario
from tests.scenarios.practice_driver import PracticeDriver
from tests.scenarios.questions import BEFORE, IN_TALK
from tests.scenarios.run import play
from tests.scenarios.transcript import CLOSED, SUFFIX, TRANSCRIPTS, Block, frames, read, transcript_names

ALL = (*SCENARIOS, *BEFORE, *IN_TALK, *AT_PICKUP, *CODES)
CAPTURED = transcript_names()


@pytest.fixture(scope="module")
def practice_transcripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Block]]:
    """Every captured scenario, played on the practice switch, eight at a time."""

    def one(scenario: Scenario) -> list[Block]:
        captured: list[tuple[str, bytes]] = []
        driver = PracticeDriver(tmp_path_factory.mktemp(scenario.name), captured)
        try:
            play(scenario, driver)
        finally:
            driver.close()
        return frames(captured)

    pool = Pool(6)
    scenarios = [scenario for scenario in ALL if scenario.name in CAPTURED]
    played = pool.map(one, scenarios)
    return {scenario.name: blocks for scenario, blocks in zip(scenarios, played, strict=True)}


def test_transcripts_exist() -> None:
    assert {"normal", "daemon_stalled_before_the_call", "forged_name"} <= set(CAPTURED)
    assert set(CAPTURED) <= {scenario.name for scenario in ALL}


@pytest.mark.parametrize("connection", ["standing", "call"])
@pytest.mark.parametrize("name", CAPTURED)
def test_the_events_are_the_same_in_name_order_and_substance(
    name: str, connection: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    real = by_leg(switch_messages(read(TRANSCRIPTS / f"{name}{SUFFIX}"), connection))
    ours_ = by_leg(switch_messages(practice_transcripts[name], connection))
    for leg in real:
        assert [shape(block) for block in settled(ours_[leg], connection)] == [
            shape(block) for block in settled(real[leg], connection)
        ]


@pytest.mark.parametrize("connection", ["standing", "call"])
@pytest.mark.parametrize("name", CAPTURED)
def test_the_events_have_the_same_headers(
    name: str, connection: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    real = by_leg(switch_messages(read(TRANSCRIPTS / f"{name}{SUFFIX}"), connection))
    ours_ = by_leg(switch_messages(practice_transcripts[name], connection))
    for leg in real:
        pairs = zip(settled(ours_[leg], connection), settled(real[leg], connection), strict=True)
        for mine, theirs in pairs:
            assert names(mine) == names(theirs), theirs.event
            assert ours(mine) == ours(theirs), theirs.event


@pytest.mark.parametrize("name", CAPTURED)
def test_a_call_is_handed_over_with_the_same_headers(
    name: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    def first(blocks: list[Block]) -> list[Block]:
        return [block for block in switch_messages(blocks, "call") if block.event == "CHANNEL_DATA"]

    real, mine = first(read(TRANSCRIPTS / f"{name}{SUFFIX}")), first(practice_transcripts[name])
    assert len(real) == len(mine)
    for theirs, own in zip(real, mine, strict=True):
        assert names(own) == names(theirs)
        for header in ("Reply-Text", "Socket-Mode", "Control", "Answer-State", "Content-Type",
                       "variable_accord_state", "variable_direction", "variable_socket_resume",
                       "Caller-Privacy-Hide-Number", "Caller-Context"):  # fmt: skip
            assert own.headers().get(header) == theirs.headers().get(header), header


def answers(blocks: list[Block], connection: str) -> dict[str, set[str]]:
    """The form of the answers to each kind of command; commands are answered in the order sent."""
    commands = [
        block.text for block in blocks if block.who == f"daemon {connection}" and block.text != CLOSED
    ]
    found: dict[str, set[str]] = {}
    replies = []
    for block in switch_messages(blocks, connection):
        headers = block.headers()
        if block.event == "CHANNEL_DATA":
            replies.append("CHANNEL_DATA")
        elif not block.event and headers.get("Content-Type") in {"command/reply", "api/response"}:
            replies.append(f"{headers['Content-Type']} {headers.get('Reply-Text', '')}".split("[")[0])
    for command, reply in zip(commands, replies, strict=False):
        words = command.split()
        kind = " ".join(words[:2]) if words[0] in {"api", "sendmsg", "event"} else words[0]
        found.setdefault(kind, set()).add(reply)
    return found


@pytest.mark.parametrize("connection", ["standing", "call"])
@pytest.mark.parametrize("name", CAPTURED)
def test_commands_are_answered_alike(
    name: str, connection: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    real = answers(read(TRANSCRIPTS / f"{name}{SUFFIX}"), connection)
    mine = answers(practice_transcripts[name], connection)
    assert set(real) & set(mine)
    for kind in set(real) & set(mine):
        assert mine[kind] == real[kind], kind


@pytest.mark.parametrize("name", CAPTURED)
def test_daemon_sends_each_call_the_same_as_to_the_real_switch(
    name: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    """Each command and each execution, in order."""
    messages = daemon_messages(practice_transcripts[name], "call")
    assert messages
    assert messages == daemon_messages(read(TRANSCRIPTS / f"{name}{SUFFIX}"), "call")


def test_forged_name_arrives_as_from_the_real_switch(practice_transcripts: dict[str, list[Block]]) -> None:
    def names_in(blocks: list[Block]) -> set[str]:
        return {block.headers()["Caller-Caller-ID-Name"] for block in by_leg(blocks)["inbound"]}

    real = names_in(switch_messages(read(TRANSCRIPTS / f"forged_name{SUFFIX}"), "call"))
    assert real == names_in(switch_messages(practice_transcripts["forged_name"], "call"))
    assert all("%0AUnique-ID%3A%20evil" in value for value in real)


def test_encoding_matches_the_real_switch() -> None:
    """Every value in the transcripts is a fixed point: encoding what was decoded gives the same bytes."""
    from urllib.parse import unquote

    from demo.practice.wire import encode

    checked = 0
    for path in Path(TRANSCRIPTS).glob(f"*{SUFFIX}"):
        for block in read(path):
            if block.event and "forged" not in path.name:
                for name, value in block.headers().items():
                    if value != "_undef_" and name not in {"Content-Type", "Reply-Text"}:
                        assert encode(unquote(value, errors="surrogateescape")).decode() == value, name
                        checked += 1
    assert checked > 5000
