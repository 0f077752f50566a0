"""``accord take retry``: from quarantine to a stored recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recorder.catalogue import queries
from recorder.cli import accord
from recorder.pipeline import stages
from recorder.spool import layout
from tests.house import Bakery


def again(house: Bakery, *ids: str) -> Result:
    return CliRunner().invoke(accord, ["take", "retry", *ids], env={"ACCORD_NODE_DATA": str(house.folder)})


def put_aside(house: Bakery) -> Path:
    folder = house.take()
    stages.quarantine_take(folder, stages.ENCODER_DIED, house.clock(), house.services)
    assert not folder.exists()
    return folder


def test_takes_returned_from_quarantine_become_recordings(house: Bakery) -> None:
    folders = [put_aside(house), put_aside(house)]
    assert len(queries.not_recorded(house.tenant).rows) == 2
    result = again(house, *(folder.name for folder in folders))
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(folder) for folder in folders]
    for folder in folders:
        assert not (folder / layout.QUARANTINE_REASON).exists()
        house.work(folder)
        assert queries.recording(house.tenant, folder.name) is not None
    assert queries.not_recorded(house.tenant).rows == (), "nor is it listed as not recorded any more"


def test_take_quarantined_again_is_listed_once_and_kept(house: Bakery) -> None:
    folder = put_aside(house)
    again(house, folder.name)
    stages.quarantine_take(folder, stages.ENCODER_DIED, house.clock(), house.services)
    assert len(queries.not_recorded(house.tenant).rows) == 1
    note = json.loads((house.spool / layout.QUARANTINE / folder.name / layout.QUARANTINE_REASON).read_bytes())
    assert note["until"] is None


@pytest.mark.parametrize("name", ["", "..", ".", "../spool", "nothing", "/etc"])
def test_only_quarantined_takes_are_returned(house: Bakery, name: str) -> None:
    folder = put_aside(house)
    result = again(house, name)
    assert (result.exit_code, "no take" in result.output) == (1, True)
    assert (house.spool / layout.QUARANTINE / folder.name).is_dir()


def test_take_that_looks_like_a_live_call_stays_in_quarantine(house: Bakery) -> None:
    folder = put_aside(house)
    aside = house.spool / layout.QUARANTINE / folder.name
    (aside / layout.END).unlink()
    result = again(house, folder.name)
    assert (result.exit_code, "never ended" in result.output) == (1, True)
    assert aside.is_dir()


def test_returned_take_replaces_no_other(house: Bakery) -> None:
    folder = put_aside(house)
    folder.mkdir()
    result = again(house, folder.name)
    assert (result.exit_code, "exists already" in result.output) == (1, True)
    assert (house.spool / layout.QUARANTINE / folder.name / layout.AUDIO).exists()


def test_move_failure_has_a_hint(house: Bakery, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_aside(house)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(layout.os, "rename", refused)
    result = again(house, folder.name)
    assert result.exit_code == 1
    assert "one group" in result.output
