"""The practice switch's treatment of keys and sounds played into a call, compared with the real one's."""

from __future__ import annotations

import pytest
from gevent.pool import Pool

from demo.practice.switch import CONF
from tests.scenarios.compare import by_leg, names, ours, settled, shape, switch_messages
from tests.scenarios.manual_client import ManualClient
from tests.scenarios.mechanics import MECHANICS, Mechanic, write_configuration, write_sounds
from tests.scenarios.practice_driver import PASSWORD, PracticeDriver
from tests.scenarios.transcript import SUFFIX, TRANSCRIPTS, Block, frames, read, transcript_names

REAL = TRANSCRIPTS / "mechanics"


@pytest.fixture(scope="module")
def practice_transcripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Block]]:
    """Every mechanic, carried out on the practice switch, four at a time."""

    def one(mechanic: Mechanic) -> list[Block]:
        folder = tmp_path_factory.mktemp(mechanic.name)
        driver = PracticeDriver(folder, conf=write_configuration(folder, CONF))
        hand = ManualClient(driver, driver.switch.event_port, driver.port, PASSWORD, write_sounds(folder))
        try:
            hand.play(mechanic)
        finally:
            hand.close()
            driver.close()
        return frames(hand.wire_log)

    played = Pool(4).map(one, MECHANICS)
    return {mechanic.name: blocks for mechanic, blocks in zip(MECHANICS, played, strict=True)}


def pairs(
    name: str, practice_transcripts: dict[str, list[Block]]
) -> list[tuple[str, str, list[Block], list[Block]]]:
    """For each connection and leg: the real switch's messages, and the practice switch's."""
    connections = ["standing"]
    if next(mechanic for mechanic in MECHANICS if mechanic.name == name).call:
        connections.append("call")
    found = []
    for connection in connections:
        real = by_leg(switch_messages(read(REAL / f"{name}{SUFFIX}"), connection))
        mine = by_leg(switch_messages(practice_transcripts[name], connection))
        found += [
            (connection, leg, settled(real[leg], connection), settled(mine[leg], connection)) for leg in real
        ]
    return found


NAMES = [mechanic.name for mechanic in MECHANICS]


def test_each_mechanic_has_a_transcript() -> None:
    assert set(transcript_names(REAL)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_events_are_the_same_in_name_order_and_substance(
    name: str, practice_transcripts: dict[str, list[Block]]
) -> None:
    for connection, leg, real, mine in pairs(name, practice_transcripts):
        assert [shape(block) for block in mine] == [shape(block) for block in real], (connection, leg)


@pytest.mark.parametrize("name", NAMES)
def test_the_events_have_the_same_headers(name: str, practice_transcripts: dict[str, list[Block]]) -> None:
    for _, _, real, mine in pairs(name, practice_transcripts):
        for own, theirs in zip(mine, real, strict=True):
            assert names(own) == names(theirs), theirs.event
            assert ours(own) == ours(theirs), theirs.event


def answers(blocks: list[Block]) -> list[str]:
    """The bodies of the answers to API commands."""
    return [
        block.text.partition("\n\n")[2] for block in switch_messages(blocks, "standing")
        if block.headers().get("Content-Type") == "api/response"
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_answered_alike(name: str, practice_transcripts: dict[str, list[Block]]) -> None:
    assert answers(practice_transcripts[name]) == answers(read(REAL / f"{name}{SUFFIX}"))


def test_dialplan_event_begins_with_its_subclass(practice_transcripts: dict[str, list[Block]]) -> None:
    def first(blocks: list[Block]) -> list[str]:
        custom_events = [block for block in switch_messages(blocks, "standing") if block.event == "CUSTOM"]
        return [line.partition(": ")[0] for line in custom_events[0].text.split("\n")]

    mine, real = first(practice_transcripts["codes"]), first(read(REAL / f"codes{SUFFIX}"))
    at = real.index("Unique-ID")
    assert mine[:at] == real[:at]
    assert real[0] == "Event-Subclass"
