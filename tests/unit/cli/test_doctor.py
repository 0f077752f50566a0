"""``accord doctor`` on an installation with one fault after another."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recorder import config
from recorder.catalogue.database import writing
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.line import LineTable
from recorder.cli import accord
from recorder.features.disputes.dial_in import ALL_NUMBERS
from recorder.features.fleet.service import NodeReport, report_node
from recorder.features.tenants import snapshot
from recorder.identity import throttle
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.ops.doctor import machine, node, storage
from recorder.ops.doctor import rooms as doctor_rooms
from recorder.ops.doctor.findings import DoctorFinding, Patient, examine
from recorder.ops.doctor.kernel_clock import KernelClock, kernel_clock
from recorder.processes.services import Context
from recorder.seal import signing
from recorder.spool.disk_space import Disk, measure_disk
from recorder.spool.layout import AUDIO, CALL, END, open_take
from recorder.switch.commands import SwitchCommand
from tests.house import Bakery
from tests.lost_sounds import lose_sound

AT = datetime(2026, 12, 1, tzinfo=UTC)


def doctor(house: Bakery, **more: str) -> str:
    result = CliRunner().invoke(accord, ["doctor"], env=house.environment(**more))
    assert result.exit_code == (1 if re.search("^(wrong|warning) ", result.output, re.M) else 0), (
        result.exception
    )
    assert "Traceback" not in result.output
    assert "a bug in Accord" not in result.output, result.output
    return str(result.output)


def change(folder: Path, **values: object) -> None:
    body = json.loads((folder / CALL).read_bytes())
    (folder / CALL).write_text(json.dumps(body | values))


def test_doctor_reports_a_key_that_opens_nothing(house: Bakery) -> None:
    assert "ok      customers: 1, the key-encryption key opens each one's key" in doctor(house)
    output = doctor(house, ACCORD_KEYS_KEK=base64.b64encode(b"another key-encryption key......").decode())
    assert f"wrong   customers: the key of tenant {house.tenant} is wrapped by key-encryption key" in output
    assert "give the key-encryption key that was in use then" in output
    assert "opens each one's key" not in output


def test_mail_that_waits_or_leads_nowhere_is_reported(house: Bakery) -> None:
    server = {"ACCORD_MAIL_HOST": "mail.example", "ACCORD_MAIL_SENDER": "calls@provider.example"}
    assert "mail: no server is set" in doctor(house)
    assert "[web] address is not" in doctor(house, **server)
    server["ACCORD_WEB_ADDRESS"] = "https://calls.example"
    assert "mail: sent through mail.example" in doctor(house, **server)
    message = MailMessage("invitation", "fr", {"name": "Eva", "customer": "Martin"}, "/invitation/x")
    outbox, at = Outbox(house.keyring, "https://calls.example"), house.clock()
    assert outbox.enqueue(house.tenant, "eva@example.com", message, at, house.entropy)
    assert "a mail has waited for" in doctor(house, **server)


def test_used_up_budget_of_callers_to_rooms_is_reported(house: Bakery) -> None:
    assert "dial-in" not in doctor(house)
    number = {"ACCORD_ROOMS_NUMBER": "+32 2 555 01 99"}
    assert "dial-in budget: 0% of a day's wrong codes" in doctor(house, **number)
    for _ in range(ALL_NUMBERS[1].attempts):
        assert throttle.take([ALL_NUMBERS], datetime.now(UTC)) == 0
    assert "dial-in budget: used up by wrong codes" in doctor(house, **number)


def test_nodes_to_which_callers_are_passed_on_are_asked(house: Bakery) -> None:
    """One that answers, one that does not, one that another installation has, and this one."""
    at = datetime.now(UTC)
    own = signing.key_id(house.services.root)
    for name, root in {"north": own, "east": own, "south": "another"}.items():
        report_node(NodeReport(name, at, at, "0.1.0", 0, 0, None, 0, 10, 5, root))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip, ThreadPoolExecutor(1) as thread:
        sip.bind(("127.0.0.1", 0))
        sip.settimeout(20)
        address = f"127.0.0.1:{sip.getsockname()[1]}"

        def answer() -> bytes:
            datagram, place = sip.recvfrom(2000)
            sip.sendto(b"SIP/2.0 403 Forbidden\r\n\r\n", place)
            return datagram

        datagram = thread.submit(answer)
        nodes = ["east=[::1]:1", *(f"{each}={address}" for each in ("north", "south", "west", "node1"))]
        output = doctor(house, ACCORD_NODE_NAME="node1", ACCORD_ROOMS_NODES=",".join(nodes))
        assert f"ok      room nodes: north answers at {address}" in output
        assert datagram.result().startswith(f"OPTIONS sip:{address} SIP/2.0\r\n".encode())
    assert "wrong   room nodes: east does not answer at [::1]:1" in output
    for name in ("south", "west"):
        assert f"wrong   room nodes: no node of this installation is called {name}" in output
    assert "warning room nodes: node1 is this node" in output


def test_missing_unsorted_or_outdated_list_of_breached_passwords_is_reported(
    house: Bakery, tmp_path: Path
) -> None:
    assert "ok      breached passwords: no list is set" in doctor(house)
    path = tmp_path / "pwned.txt"
    breached_list = {"ACCORD_WEB_BREACHED_PASSWORDS": str(path)}
    output = doctor(house, **breached_list)
    assert f"warning breached passwords: {path} cannot be read" in output
    assert "check the path in [web] breached_passwords" in output
    path.write_text(f"{'B' * 40}:1\n{'A' * 40}:1\n")
    assert f"warning breached passwords: {path} is not sorted by hash" in doctor(house, **breached_list)
    path.write_text(f"{'A' * 40}:1\n{'B' * 40}:1\n")
    assert f"ok      breached passwords: {path} is sorted" in doctor(house, **breached_list)
    at = datetime(2025, 10, 1, tzinfo=UTC)
    os.utime(path, (at.timestamp(), at.timestamp()))
    for days, state in ((399, "ok"), (401, "warning")):
        later = patient(house, at + timedelta(days=days), **breached_list)
        (found,) = examine(machine.breached_passwords, later)
        assert found.state == state
    assert found.what == (
        f"breached passwords: {path} dates from 01 October 2025, and passwords breached since then "
        "are accepted"
    )
    assert "download it again" in found.hint


def test_calls_in_progress_are_counted(house: Bakery) -> None:
    house.take()
    assert "ok      takes: 1 finished calls in progress: 1 to encode" in doctor(house)


def test_unfinished_calls_of_a_dead_node_are_reported(house: Bakery) -> None:
    assert "unfinished calls" not in doctor(house)
    own = open_take(house.spool, house.start(node="node1"))
    moved = open_take(house.spool, house.start(node="east"))
    output = doctor(house, ACCORD_NODE_NAME="node1")
    assert f"warning takes: 1 unfinished calls of node 'east' wait: {moved.name}" in output
    assert own.name not in output


def test_calls_that_wait_long_are_reported(house: Bakery) -> None:
    os.utime(house.take() / END, (1, 1))
    house.take()
    assert "warning takes: 1 of 2 finished calls have waited for more than 10 minutes" in doctor(house)


def test_calls_of_an_unknown_customer_are_reported(house: Bakery) -> None:
    folder = house.take()
    change(folder, tenant="01a2102b-40af-71a9-aae8-3a609be670c0")
    output = doctor(house)
    assert "wrong   takes: calls wait for customer 01a2102b-40af-71a9-aae8-3a609be670c0" in output
    assert "ok      takes" not in output


def test_calls_without_their_announcement_sound_are_reported(house: Bakery) -> None:
    house.take()
    with writing():
        LineTable.delete().execute()
        AnnouncementTable.delete().execute()
        SoundTable.delete().execute()
    output = doctor(house)
    assert f"wrong   takes: calls wait for the sound {house.announcement.sha256[:12]}" in output
    assert f"{house.announcement.sha256}.wav" in output
    assert not (house.folder / "snapshot" / "prompts").exists(), "the doctor only looks"


def test_line_without_its_sound_is_reported(house: Bakery) -> None:
    snapshot.write(house.folder / "snapshot", house.spool, (), house.clock())
    lose_sound(house.announcement.sha256)
    output = doctor(house)
    assert (
        "wrong   lines: 1 of 1 are recorded as the snapshot had them before, or not at all: first" in output
    )
    assert "accord line set --announcement" in output
    assert "ok      snapshot: the same as the catalogue says" in output, "with the line's last version"


def test_unreadable_call_is_reported(house: Bakery) -> None:
    (house.take() / CALL).write_bytes(b"{")
    assert "warning takes: 1 cannot be read" in doctor(house)


def test_missing_foreign_damaged_or_outdated_snapshot_is_reported(house: Bakery) -> None:
    folder = house.folder / "snapshot"
    assert "skipped snapshot: not checked, because there is none yet, and no worker runs" in doctor(house)
    snapshot.write(folder, house.spool, (), house.clock())
    assert "ok      snapshot: 1 lines" in doctor(house)
    for content in ("[]", '{"format": 1}', '{"format": 1, "lines": [1], "made_at": "x", "never_record": []}'):
        before = (folder / "snapshot.json").read_bytes()
        (folder / "snapshot.json").write_text(content)
        assert "wrong   snapshot:" in doctor(house), content
        (folder / "snapshot.json").write_bytes(before)
    (folder / "prompts" / f"{house.announcement.sha256}.wav").write_bytes(b"noise")
    assert "wrong   snapshot: prompt" in doctor(house)
    with writing():
        LineTable.update(until=house.clock()).execute()
    assert "wrong   snapshot: it is older than the catalogue" in doctor(house)


def test_disk_thresholds(house: Bakery) -> None:
    share = measure_disk(house.spool).share_used
    if not 0.05 < share < 0.45:
        full = share > 0.51  # full_at is more than a half
        more = {"ACCORD_NODE_FULL_AT": "0.501"} if full else {}
        assert ("wrong   disk:" in doctor(house, **more)) == full
    output = doctor(
        house, ACCORD_NODE_WARN_AT=f"{max(0.001, share - 0.001):.4f}", ACCORD_NODE_FULL_AT="0.9999"
    )
    assert "warning disk:" in output, output
    assert "hours" not in output
    assert "warn_at (0.9) is not below full_at (0.8)" in doctor(
        house, ACCORD_NODE_WARN_AT="0.9", ACCORD_NODE_FULL_AT="0.8"
    )


def test_spool_without_room_for_one_more_recording_is_reported(
    house: Bakery, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no room for one more" not in doctor(house)
    monkeypatch.setattr("recorder.ops.doctor.node.measure_disk", lambda _: Disk(24 * 1024**2, 4 * 1024**2))
    assert "wrong   disk: no room for one more recording beside the 0 in progress" in doctor(house)


def test_hours_left_on_the_disk(house: Bakery) -> None:
    folder = open_take(house.spool, house.start(started_at=datetime.now(UTC) - timedelta(seconds=100)))
    (folder / AUDIO).write_bytes(bytes(3_200_000))
    output = doctor(house)
    found = re.search(
        r"disk: .* ([0-9.]+) GB left until then: ([0-9.]+) hours of the 1 recordings that are growing", output
    )
    if found is None:
        assert "0.0 GB left until then" in output, output  # this machine's own disk is full
        return
    hours = float(found[1]) * 1e9 / 32_000 / 3600
    assert abs(float(found[2]) - hours) < hours / 20 + 2


def test_missing_or_foreign_spool_is_reported(house: Bakery) -> None:
    assert "wrong   spool: there is no folder" in doctor(house, ACCORD_NODE_SPOOL=str(house.folder / "none"))
    (house.spool / "quarantine").symlink_to("/dev/shm")
    if os.stat("/dev/shm").st_dev != os.stat(house.spool).st_dev:
        assert "is on another file system" in doctor(house)


def test_quarantined_takes_are_reported(house: Bakery) -> None:
    (house.spool / "quarantine" / "a").mkdir(parents=True)
    output = doctor(house)
    assert "warning spool: 1 takes in quarantine" in output
    assert "accord take retry" in output


def test_folders_closed_to_this_user_are_reported() -> None:
    """As another user than root, who may open everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder_name:
        spool = Path(folder_name) / "spool"
        closed = spool / "01a2102b-40af-71a9-aae8-3a609be670c0"
        closed.mkdir(parents=True)
        for each in (Path(folder_name), spool):
            each.chmod(0o777)
        closed.chmod(0)
        process = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(spool)],
            capture_output=True, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        closed.chmod(0o770)
    assert "wrong spool: 1 folders cannot be read or emptied" in process.stdout, process.stderr


def test_folders_closed_to_the_spool_s_owner_are_reported_to_root(house: Bakery) -> None:
    """Root may open everything itself."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    for each in (house.folder, *house.folder.parents):
        each.chmod(each.stat().st_mode | 0o011)
    take = house.take()
    for each in (house.spool, take, *take.iterdir()):
        os.chown(each, 65534, 65534)
    assert [each.state for each in examine(node.spool, patient(house, house.clock()))] == ["ok"]
    os.chown(take, 0, 0)
    take.chmod(0o700)
    (found,) = examine(node.spool, patient(house, house.clock()))
    assert (found.state, found.what) == ("wrong", "spool: 1 folders cannot be read or emptied")


AS_NOBODY = """
import os
import sys
from pathlib import Path
from recorder import config
from recorder.clock import utc_now
from recorder.ops.doctor import node
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
settings = config.load(None, {"ACCORD_NODE_SPOOL": sys.argv[1]})
for each in node.spool(Patient(Context(settings, None), utc_now)):
    print(each.state, each.what)
"""


def test_unreachable_foreign_older_or_locked_catalogue_is_reported(house: Bakery, tmp_path: Path) -> None:
    assert "ok      catalogue: sqlite:///" in doctor(house)
    assert "wrong   catalogue: there is no catalogue" in doctor(
        house, ACCORD_CATALOGUE_URL=f"sqlite:///{tmp_path}/none.db"
    )
    (tmp_path / "text.db").write_text("no database at all, and long enough to be looked at\n" * 50)
    assert "wrong   catalogue:" in doctor(house, ACCORD_CATALOGUE_URL=f"sqlite:///{tmp_path}/text.db")
    holder = sqlite3.connect(house.catalogue_url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert "wrong   catalogue:" in doctor(house)
    finally:
        holder.execute("ROLLBACK")
    holder.execute("DELETE FROM schema_migration WHERE name LIKE '0001%'")
    holder.close()
    assert "wrong   catalogue: the catalogue's schema lacks" in doctor(house)


def bad(output: str) -> list[str]:
    """What is wrong, or a warning, apart from the processes, which do not run here, and this machine."""
    lines = [line for line in output.splitlines() if line.startswith(("wrong", "warning"))]
    others = ("daemon:", "worker:", "panel:", "clock:", "disk:")
    return [line for line in lines if not line.partition(" ")[2].strip().startswith(others)]


def test_each_cause_is_one_finding_and_comes_first(house: Bakery, tmp_path: Path) -> None:
    before = bad(doctor(house))
    none = f"sqlite:///{tmp_path}/none.db"
    output = doctor(house, ACCORD_CATALOGUE_URL=none)
    more = [line for line in bad(output) if line not in before]
    assert [line[:40] for line in more] == ["wrong   catalogue: there is no catalogue "[:40]]
    assert output.startswith("wrong   catalogue: ")
    for name in ("customer keys", "lines", "customer plans", "logs", "takes", "snapshot age"):
        assert f"skipped {name}: not checked, because the check of catalogue failed\n" in output
    for name in ("event socket", "dialplan", "guards", "outbound", "routes", "recording"):
        assert f"skipped {name}: not checked, because the check of switch failed\n" in output
    output = doctor(house, ACCORD_NODE_SPOOL=str(tmp_path / "none"))
    assert [line for line in bad(output) if line not in before] == [
        f"wrong   spool: there is no folder {tmp_path}/none"
    ]
    assert "skipped disk: not checked, because the check of spool failed\n" in output


def test_readable_broken_foreign_or_expiring_keys_are_reported(house: Bakery) -> None:
    keys = house.folder / "keys"
    assert "ok      keys: signing key" in doctor(house)
    (keys / "kek").chmod(0o644)
    assert f"wrong   node key files: other users can read or write {keys / 'kek'}" in doctor(house)
    (keys / "kek").chmod(0o600)
    assert "wrong   keys: the key-encryption key in [keys] kek is not 32 bytes" in doctor(
        house, ACCORD_KEYS_KEK="c2hvcnQ="
    )
    near = patient(house, house.services.signer.endorsement.not_after - timedelta(days=3))
    assert any("ends in 3 days" in each.what for each in examine(storage.keys, near))
    over = patient(house, house.services.signer.endorsement.not_after + timedelta(days=3))
    assert [each.state for each in examine(storage.keys, over)] == ["wrong"]
    other = house.folder / "other"
    signing.init(other, house.clock())
    shutil.copy(other / signing.ROOT_PUBLIC, keys / signing.ROOT_PUBLIC)
    assert "wrong   keys:" in doctor(house)


def patient(house: Bakery, at: datetime, **more: str) -> Patient:
    return Patient(Context(config.load(None, house.environment(**more)), None), lambda: at)


def confirm(house: Bakery, *files: Path | str) -> Result:
    return CliRunner().invoke(accord, ["key", "verify-copy", *map(str, files)], env=house.environment())


def test_unconfirmed_key_copies_are_reported(house: Bakery, elsewhere: Path) -> None:
    output = doctor(house)
    assert "warning key copies: no copy of the key-encryption key has been confirmed" in output
    assert "warning key copies: no copy of the root's key has been confirmed" in output
    for name in ("kek", "root.key"):
        shutil.copy(house.folder / "keys" / name, elsewhere / name)
    result = confirm(house, elsewhere / "kek", elsewhere / "root.key")
    assert result.exit_code == 0, result.output
    assert "opens the keys of 1 tenants" in result.output
    assert "is the root's key" in result.output
    output = doctor(house)
    assert "ok      key copies: the key-encryption key, confirmed on" in output
    assert (
        f"{elsewhere}/root.key, on another file system; whether that is another disk cannot be seen" in output
    )
    assert "key copies: no copy" not in output
    (elsewhere / "root.key").unlink()
    assert f"{elsewhere}/root.key, which is not here now: whether it still exists was not checked" in doctor(
        house
    )
    late = patient(house, datetime.now(UTC) + timedelta(days=401))
    assert [each.state for each in examine(storage.key_copies, late)] == ["warning", "warning"]


def test_copy_on_the_disk_of_the_keys_is_refused_or_reported(house: Bakery, tmp_path: Path) -> None:
    shutil.copy(house.folder / "keys" / "kek", tmp_path / "copy")
    result = confirm(house, tmp_path / "copy")
    assert (result.exit_code, "on the disk that has the keys themselves" in result.output) == (2, True)
    assert "no copy of the key-encryption key has been confirmed" in doctor(house)
    result = confirm(house, "--same-disk", tmp_path / "copy")
    assert (result.exit_code, "is lost with it" in result.output) == (0, True)
    reported = f"warning key copies: the key-encryption key and its copy {tmp_path}/copy are on one disk"
    assert reported in doctor(house)
    (tmp_path / "copy").unlink()
    assert reported in doctor(house), "as the record says"
    assert "key copies: none are asked for" in doctor(house, ACCORD_KEYS_DISPOSABLE="true")


def test_copy_of_another_key_is_not_confirmed(house: Bakery, tmp_path: Path) -> None:
    signing.init(tmp_path / "other", house.clock())
    for name in ("kek", "root.key", "manifest.key"):
        result = confirm(house, "--same-disk", tmp_path / "other" / name)
        assert result.exit_code in (1, 2), name
        assert "accord: " in result.output
    (tmp_path / "text").write_text("no key")
    assert "is not 32 bytes in base64" in confirm(house, "--same-disk", tmp_path / "text").output
    assert "cannot be read" in confirm(house, tmp_path / "nowhere").output
    assert not (house.folder / "keys" / "copies.json").exists()


def test_check_that_hangs_is_reported_and_abandoned(house: Bakery) -> None:
    """A pipe without a writer: reading it never ends."""
    (house.folder / "snapshot").mkdir(exist_ok=True)
    os.mkfifo(house.folder / "snapshot" / "snapshot.json")
    found = list(examine(node.snapshot, patient(house, house.clock()), limit=0.3))
    assert [(each.state, each.what) for each in found] == [("wrong", "snapshot: no answer within 0.3 s")]


def test_unforeseen_error_becomes_a_finding(house: Bakery) -> None:
    def odd(_: Patient) -> list[DoctorFinding]:
        raise KeyError("odd")

    (found,) = examine(odd, patient(house, house.clock()))
    assert (found.state, found.what) == ("wrong", "odd: KeyError: 'odd'")


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (None, ("warning", "clock: the kernel does not report whether it is synchronised")),
        (
            KernelClock(datetime.now(UTC), False, timedelta(seconds=16)),
            ("warning", "clock: it is not synchronised"),
        ),
        (
            KernelClock(datetime.now(UTC), True, timedelta(microseconds=2600)),
            ("ok", "clock: synchronised, at most 3 ms off"),
        ),
    ],
)
def test_clock_finding_follows_the_kernel(
    house: Bakery, monkeypatch: pytest.MonkeyPatch, kernel: KernelClock | None, found: tuple[str, str]
) -> None:
    monkeypatch.setattr(machine, "kernel_clock", lambda: kernel)
    (finding,) = examine(machine.clock, patient(house, house.clock()))
    assert (finding.state, finding.what) == found


def test_kernel_clock_is_read() -> None:
    kernel = kernel_clock()
    if kernel is None:
        return
    assert abs(kernel.at - datetime.now(UTC)) < timedelta(seconds=10)
    assert kernel.off >= timedelta()


@pytest.mark.parametrize(
    ("is_read", "state", "text"),
    [("true", "ok", "is in memory, and the switch reads it"), ("false", "wrong", "the switch cannot read")],
)
def test_folder_for_the_sound_of_rooms_is_tried_on_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_read: str, state: str, text: str
) -> None:
    names: list[str] = []

    def ask_switch(_settings: object, question: SwitchCommand) -> list[str]:
        path = Path(question.text.removeprefix("api file_exists "))
        names.append(path.name)
        assert path.exists()
        return [is_read]

    monkeypatch.setattr(doctor_rooms, "ask_switch", ask_switch)
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-") as name:
        folder = Path(name)
        folder.chmod(0o2750)
        settings = config.validate(
            {"rooms": {"sounds": str(folder)}, "node": {"data": str(tmp_path), "spool": str(tmp_path)}}
        )
        (finding,) = examine(doctor_rooms.room_sounds, Patient(Context(settings, None), lambda: AT))
        if "swapped" in finding.what:
            pytest.skip(finding.what)
        assert (finding.state, text in finding.what) == (state, True), finding.what
        assert len(names) == 1
        assert not list(folder.iterdir())


def test_folder_on_a_disk_is_no_folder_for_the_sound_of_rooms(tmp_path: Path) -> None:
    settings = config.validate({"rooms": {"sounds": str(tmp_path)}, "node": {"data": str(tmp_path)}})
    (finding,) = examine(doctor_rooms.room_sounds, Patient(Context(settings, None), lambda: AT))
    assert finding.state == "wrong"
    assert "not in memory" in finding.what
    assert "mount -t tmpfs -o noswap" in finding.hint
    number = config.validate({"rooms": {"number": "+3225550199"}})
    (finding,) = examine(doctor_rooms.room_sounds, Patient(Context(number, None), lambda: AT))
    assert "nothing can be heard" in finding.what
    none = Patient(Context(config.validate({}), None), lambda: AT)
    assert examine(doctor_rooms.room_sounds, none) == []
