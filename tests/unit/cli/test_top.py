"""What ``accord top`` reads from a spool and makes of it, without a terminal."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from recorder import config
from recorder.cli.top.picture import Watcher
from recorder.cli.top.screen import View, clean, draw, everything, fit, length
from recorder.pipeline import stages
from recorder.spool.layout import AUDIO, Mark, append_mark, open_take
from tests.house import Bakery


def watcher(house: Bakery) -> Watcher:
    settings = config.load(
        None,
        {
            "ACCORD_NODE_DATA": str(house.folder),
            "ACCORD_METRICS_DAEMON_PORT": "0",
            "ACCORD_METRICS_WORKER_PORT": "0",
            "ACCORD_METRICS_WEB_PORT": "0",
        },
    )
    return Watcher(settings, house.clock)


def live(house: Bakery, *kinds: str, **changes: object) -> Path:
    folder = open_take(house.spool, house.start(**changes))
    for kind in kinds:
        append_mark(folder, Mark(house.clock(), kind, {}))
    (folder / AUDIO).write_bytes(b"." * 32_000)
    return folder


def test_a_call_s_state_is_what_was_written_down_of_it(house: Bakery) -> None:
    told = ("recording_started", "announcement_started", "announcement_finished")
    states = {
        live(house).name: "arriving",
        live(house, *told[:2]).name: "announcing",
        live(house, *told).name: "ringing",
        live(house, *told, "bridged").name: "connected",
        live(house, *told, "bridged", "hold").name: "on hold",
        live(house, *told, "bridged", "hold", "unhold").name: "connected",
        live(house, *told, "bridged", "unbridged", "joined_room").name: "connected",
        live(house, *told, "bridged", "unbridged", "joined_room", "left_room").name: "ringing",
        live(house, *told, "recording_stopped").name: "stopped",
        live(house, announcement=None, tenant=None, line=None).name: "no line",
    }
    found = {call.recording: call.state for call in watcher(house).look().calls}
    assert found == states


def test_what_grows_and_what_stands(house: Bakery) -> None:
    grows, stands = live(house, "recording_started"), live(house, "recording_started")
    looking = watcher(house)
    assert {call.grows for call in looking.look().calls} == {None}
    with open(grows / AUDIO, "ab") as file:
        file.write(b"." * 100)
    found = {call.recording: call.grows for call in looking.look().calls}
    assert found == {grows.name: True, stands.name: False}
    first = everything(looking.look(), View())
    assert any("stands" in line.text and line.style == "bad" for line in first)


def test_the_spool_by_customer_and_stage(house: Bakery) -> None:
    done = house.take()
    stages.step(done, house.clock(), house.means)
    house.take()
    house.unrecorded()
    (house.spool / "quarantine" / "a").mkdir(parents=True)
    house.clock.forward(minutes=5)
    picture = watcher(house).look()
    (waiting,) = picture.waiting
    assert dict(waiting.stages) == {"seal": 1, "encode": 1, "note": 1}
    assert picture.quarantine == 1
    text = "\n".join(line.text for line in everything(picture, View(names={house.tenant: "Dubois"})))
    assert "SPOOL  3 finished calls" in text
    assert "1 in quarantine" in text
    assert "Dubois" in text


def test_thousands_are_looked_at_quickly(house: Bakery) -> None:
    for number in range(2000):
        folder = house.spool / f"01a2102b-0000-7000-8000-{number:012}"
        folder.mkdir()
        for name in ("call.json", "take.json", "encoded.json"):
            (folder / name).write_bytes(b"{}")
    looking = watcher(house)
    looking.look()
    began = time.process_time()
    picture = looking.look()
    assert time.process_time() - began < 2
    assert draw(picture, View(), 80, 24)


def test_it_fits_any_terminal(house: Bakery) -> None:
    for number in range(40):
        live(house, "recording_started", started_at=house.clock() - timedelta(seconds=number))
        house.take()
    picture = watcher(house).look()
    for width, height in ((20, 4), (40, 10), (80, 24), (100, 30), (200, 60)):
        lines = draw(picture, View(numbers=True), width, height)
        assert len(lines) <= height, (width, height)
        assert all(len(line.text) <= width for line in lines)
        assert lines[-1].text == "q ends it"[:width]


def test_a_name_cannot_command_the_terminal() -> None:
    assert clean("a\x1b[2Jb\r\n\u202ec") == "a?[2Jb???c"
    assert fit("日本語", 5) == "日本"
    assert length(3723.9) == "1:02:03"
    assert length(-5) == "00:00"
