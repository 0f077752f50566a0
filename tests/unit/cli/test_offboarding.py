"""``accord offboarding``, ``line move`` and ``recording bring-in``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import recorder
from recorder.catalogue import offboarding_progress, queries, tenant_queries
from recorder.features.notifications import queries as notifications
from recorder.features.subject_requests import call_erasure, service
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties as Duties
from tests.clock import Clock
from tests.house import Bakery
from tests.identity_proof import vouch
from tests.unit.cli.shell import Shell

NAME = "Boulangerie Martin"
MINE = ("--tenant", NAME)
SOURCE = str(Path(recorder.__file__).parents[1])


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))


@pytest.fixture
def shell(house: Bakery, shell: Shell) -> Shell:
    house.work(house.take(talk_ms=300, formats=("wav",)))  # a store that has been used
    return shell


def a_minute(house: Bakery) -> None:
    """One round of the worker's duties."""
    now = Clock(datetime.now(UTC))
    services = replace(house.services, now=now, checkpoints_seen={})
    keeper = ClockGuard(house.folder / ".clock", {}, now)
    Duties(services, CheckpointWitnesses(), keeper).keep()


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_a_customer_leaves(shell: Shell, house: Bakery, tmp_path) -> None:
    folder = house.take(talk_ms=300)
    house.work(folder)
    assert "does not leave" in shell.bad("offboarding", "show", NAME)
    assert "that day is in the past" in shell.bad("offboarding", "start", NAME, "--until", day(-2), "--yes")
    shell.good("offboarding", "start", NAME, "--until", day(30), "--yes")
    assert "leaves: nothing more" in shell.bad("line", "add", *MINE, "+3225550177")
    assert "2 recordings" in shell.good("offboarding", "export", NAME)
    assert "--early" in shell.bad("offboarding", "erase", NAME, "--yes")
    assert "not everything is erased" in shell.bad("offboarding", "receipt", NAME)
    shell.join(NAME, "claire@example.com")
    hold = ("hold", "set", folder.name, "--review", day(20), "--reason", "contested order")
    shell.good(*hold, "--owner", "claire@example.com")
    refused = shell.bad("offboarding", "erase", NAME, "--yes", "--early", "By letter")
    assert f"{folder.name} (hold 1: contested order)" in refused
    (hold_record,) = shell.json("offboarding", "show", NAME)["holds"]
    assert (hold_record["recording"], hold_record["number"]) == (folder.name, 1)
    shell.good("hold", "lift", folder.name, "1", "--reason", "settled", "--yes")
    shell.good("offboarding", "erase", NAME, "--yes", "--early", "By letter")
    progress = shell.json("offboarding", "show", NAME)
    assert (progress["state"], progress["recordings_left"]) == ("erasing", 2)
    a_minute(house)
    assert queries.recording(house.tenant, folder.name).erasure_reason == "deleted"
    file = tmp_path / "receipt.json"
    assert "complete from" in shell.good("offboarding", "receipt", NAME, "-o", str(file))
    assert json.loads(file.read_text("utf-8"))["body"]["recordings_erased"] == {"deleted": 2}
    assert shell.json("offboarding", "show", NAME)["state"] == "erased"


def test_older_backup_of_an_erased_customer(shell: Shell, house: Bakery) -> None:
    """A rebuild reports its changes and proposes the rest, which a command does."""
    file = str(house.folder / "accord.backup")
    shell.good("backup", file)
    shell.good("offboarding", "start", NAME, "--until", day(30), "--yes")
    shell.good("offboarding", "erase", NAME, "--yes", "--early", "By letter", "--without-export")
    a_minute(house)
    shell.lose_the_catalogue()
    shell.good("restore", file, "--yes")
    output = shell.good("rebuild")
    assert "is leaving, by a signed statement: 1 lines were ended" in output
    assert "was erased, by a signed statement. Nothing of it was destroyed now" in output
    assert "0 recordings, 0 calls without one, 0 log-ins, a key" in output
    assert f"`accord offboarding erase-again {house.tenant}`" in output
    assert "Nothing was changed" not in output
    complete = ("offboarding", "erase-again", NAME)
    assert "holds are not confirmed" in shell.bad(*complete, "--yes")
    shell.good("rebuild", "--confirm-holds", "--yes")
    assert "accord audit reopen" in shell.bad(*complete, "--yes")
    shell.good("audit", "reopen", "--tenant", NAME, "--reason", "An older backup was restored")
    assert "offboarding erase-again" in shell.good("rebuild")
    refused = shell(*complete)
    assert (refused.exit_code, "by a signed receipt" in refused.output) == (2, True)
    assert "by a signed receipt" in shell.json(*complete, "--dry-run")["reason"]
    assert tenant_queries.tenant_wrapped_key(house.tenant) is not None
    shell.good(*complete, "--yes")
    a_minute(house)
    assert tenant_queries.tenant_wrapped_key(house.tenant) is None
    assert shell.json("offboarding", "show", NAME)["state"] == "erased"
    assert "knows it already" in shell.bad(*complete, "--yes")
    output = shell.good("rebuild")
    assert "erase-again" not in output
    assert "Nothing was changed" in output


def test_calls_erased_for_a_person_are_erased_again(shell: Shell, house: Bakery) -> None:
    missed = house.unrecorded()
    house.work(missed)
    file = str(house.folder / "accord.backup")
    shell.good("backup", file)
    number = queries.not_recorded(house.tenant).rows[0].external_party.value
    request = shell.good("subject-request", "add", number, *MINE, "--wants", "erasure").strip()
    vouch(house.tenant, request, house.clock(), house.entropy, house.services.signer)
    erasure = service.find_erasure_request(house.tenant, request, house.clock())
    assert call_erasure.erase_calls(house.office(), erasure, "u").erased == 1
    shell.lose_the_catalogue()
    shell.good("restore", file, "--yes")
    again = ("subject-request", "erase-again", *MINE)
    assert f"`accord subject-request erase-again --tenant {house.tenant}`" in shell.good("rebuild")
    assert "holds are not confirmed" in shell.bad(*again, "--yes")
    shell.good("rebuild", "--confirm-holds", "--yes")
    assert shell(*again).exit_code == 2
    assert shell.json(*again, "--dry-run")["requests"][0]["calls"] == 1
    assert len(queries.not_recorded(house.tenant).rows) == 1
    assert "1 calls erased" in shell.good(*again, "--yes")
    assert queries.not_recorded(house.tenant).rows == ()
    assert "There is nothing to erase again" in shell.good(*again)


@pytest.mark.long
def test_a_customer_stays_after_all(shell: Shell, house: Bakery) -> None:
    shell.good("offboarding", "start", NAME, "--until", day(30), "--yes")
    assert "stays" in shell.good("offboarding", "cancel", NAME)
    assert offboarding_progress.find_offboarding(house.tenant) is None
    shell.good("line", "add", *MINE, "+3225550100")


def test_a_number_moves(shell: Shell, house: Bakery) -> None:
    shell.good("tenant", "create", "Van Dyck NV", "--language", "nl", "--speaks", "nl")
    move = ("line", "move", *MINE, "+3225550100", "--to")
    assert "there is no tenant" in shell.bad(*move, "Nobody")
    assert "already" in shell.bad(*move, NAME)
    line = shell.good(*move, "Van Dyck NV", "--label", "Winkel").strip()
    (new,) = shell.json("line", "list", "--tenant", "Van Dyck NV")["lines"]
    assert (new["id"], new["mode"], new["label"]) == (line, "off", "Winkel"), "until it is set up"
    assert shell.json("line", "list", *MINE) == {"lines": []}
    assert "has no line" in shell.bad(*move, "Van Dyck NV")
    back = ("line", "move", "--tenant", "Van Dyck NV", "+3225550100", "--to", NAME, "--on")
    assert shell.json(*back)["mode"] == "notice"


def test_recordings_are_imported(shell: Shell, house: Bakery, tmp_path, tone) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "one.wav").write_bytes(tone(500, channels=2))
    (folder / "recordings.csv").write_text(
        "file,began_at,number\none.wav,2026-03-01T10:00:00,+32470123456\ntwo.wav,2026-03-01T11:00:00,\n",
        "utf-8",
    )
    bring = ("recording", "import", str(folder), *MINE, "--until")
    assert "within 366 days" in shell.bad(*bring, day(400))
    wrong = tmp_path / "wrong.csv"
    output = shell.bad(*bring, day(60), "--report", str(wrong))
    assert "1  imported" in output
    assert "line 3, two.wav: line 3: there is no file two.wav" in output
    assert "two.wav" in wrong.read_text("utf-8")
    (row,) = (row for row in queries.recordings(house.tenant, party="470123456").rows if row.import_sha256)
    assert (row.import_sha256 is not None, row.usable) == (True, False)
    (folder / "two.wav").write_bytes(tone(700, channels=1))
    output = shell.good(*bring, day(60))
    assert "1  imported" in output
    assert "1  already imported" in output
    shell.good(*bring, day(60))
    results = [
        (each.data["imported"], each.data["failed"]) for each in notifications.notifications(house.tenant)
    ]
    assert sorted(results) == [(1, 1), (2, 0)], "once for each result"
    agree = ("recording", "add-consent", row.id, "--purpose", "agreement", "--reason", "on paper")
    shell.good(*agree, "--days", "1000")
    assert queries.recording(house.tenant, row.id).usable


@pytest.mark.long
def test_interrupted_import_continues_in_a_real_process(shell: Shell, house: Bakery, tmp_path, tone) -> None:
    """The command is killed in the middle, and run again."""
    folder = tmp_path / "old"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.wav").write_bytes(tone(300 + number))
    rows = [f"{number}.wav,2026-03-01T10:0{number}:00" for number in range(6)]
    (folder / "recordings.csv").write_text("\n".join(["file,began_at", *rows, ""]), "utf-8")
    argv = [sys.executable, "-m", "recorder", "recording", "import", str(folder), *MINE]
    argv += ["--until", day(60)]
    environment = {**os.environ, **shell.environment, "PYTHONPATH": SOURCE}
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None and len(queries.recordings(house.tenant).rows) < 2:
        time.sleep(0.01)
    process.kill()
    process.wait()
    result = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0, result.stderr
    assert len(queries.recordings(house.tenant).rows) == 1 + 6
    mine = [key for key in house.objects() if not key.endswith("tenant.json")]
    assert len(mine) == 4 + 6 * 4, "each once"
