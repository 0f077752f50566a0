"""``accord doctor`` on an installation in which one thing after another is wrong."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.catalogue.models import Announcement, Line, Sound, writing
from recorder.cli import accord
from recorder.take.spool import CALL, END
from tests.conftest import Clock, House


@pytest.fixture
def clock() -> Clock:
    """In the past: the command looks at the machine's own clock."""
    return Clock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


def doctor(house: House, **more: str) -> str:
    environment = {
        "ACCORD_NODE_DATA": str(house.root),
        "ACCORD_CATALOGUE_URL": house.catalogue_url,
        "ACCORD_STORE_KIND": "directory",
        **more,
    }
    return str(CliRunner().invoke(accord, ["doctor"], env=environment).output)


def change(folder: Path, **values: object) -> None:
    body = json.loads((folder / CALL).read_bytes())
    (folder / CALL).write_text(json.dumps(body | values))


def test_the_key_that_opens_nothing_is_named(house: House) -> None:
    assert "ok    customers: 1, the key-encryption key opens the key of each" in doctor(house)
    said = doctor(house, ACCORD_KEYS_KEK=base64.b64encode(b"another key-encryption key......").decode())
    assert f"wrong customers: the key of tenant {house.tenant} is wrapped by key-encryption key" in said
    assert "give the key-encryption key that was in use then" in said
    assert "opens the key of each" not in said


def test_calls_on_their_way_are_counted(house: House) -> None:
    house.take()
    assert "ok    takes: 1 finished calls on their way" in doctor(house)


def test_calls_that_wait_long_are_named(house: House) -> None:
    os.utime(house.take() / END, (1, 1))
    house.take()
    assert "look  takes: 1 of 2 finished calls wait for more than 10 minutes" in doctor(house)


def test_calls_of_a_customer_that_nobody_knows_are_named(house: House) -> None:
    folder = house.take()
    change(folder, tenant="01a2102b-40af-71a9-aae8-3a609be670c0")
    said = doctor(house)
    assert "wrong takes: calls wait for customer 01a2102b-40af-71a9-aae8-3a609be670c0" in said
    assert "ok    takes" not in said


def test_calls_whose_sound_is_nowhere_are_named(house: House) -> None:
    house.take()
    with writing():
        Line.delete().execute()
        Announcement.delete().execute()
        Sound.delete().execute()
    said = doctor(house)
    assert f"wrong takes: calls wait for the sound {house.announcement.sha256[:12]}" in said
    assert f"{house.announcement.sha256}.wav" in said
    assert not (house.root / "snapshot" / "prompts").exists(), "the doctor only looks"


def test_a_call_that_cannot_be_read_is_named(house: House) -> None:
    (house.take() / CALL).write_bytes(b"{")
    assert "look  takes: 1 cannot be read" in doctor(house)
