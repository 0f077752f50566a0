"""`accord upgrade check` and `accord migrate --check`: what they say before another version."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from recorder import config
from recorder.catalogue import schema
from recorder.clock import utc_now
from recorder.errors import ConfigError
from recorder.ops import upgrade
from recorder.ops.doctor.findings import DoctorFinding, Patient
from recorder.ops.upgrade import UpgradeCheck, UpgradePackage, read_package
from recorder.processes.services import Context
from recorder.seal.signing import USES
from tests.unit.cli.shell import Shell

NEWEST = schema.newest_migration()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An installation with a customer."""
    shell = Shell(tmp_path)
    shell.good("key", "init")
    shell.good("migrate")
    shell.good("tenant", "create", "Dubois")
    (tmp_path / "spool").mkdir()
    return shell


def package_of(**changes: object) -> UpgradePackage:
    values = {"version": "9.0", "size": 1, "newest": NEWEST, "oldest": "0001_initial", "key_uses": USES}
    return UpgradePackage(**{**values, **changes})  # type: ignore[arg-type]


def findings(
    shell: Shell, package: UpgradePackage | None = None, later: timedelta = timedelta(0)
) -> dict[str, list[DoctorFinding]]:
    context = Context(config.load(None, shell.environment), None)
    found: dict[str, list[DoctorFinding]] = {}
    for check, finding in UpgradeCheck(Patient(context, lambda: utc_now() + later), package).look():
        found.setdefault(check, []).append(finding)
    return found


def state(
    shell: Shell, check: str, package: UpgradePackage | None = None, later: timedelta = timedelta(0)
) -> str:
    (finding,) = findings(shell, package, later)[check]
    return finding.state


def test_backup_of_the_last_day_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    result = shell("upgrade", "check")
    assert result.exit_code == 1
    assert "wrong   backup: none was made" in result.output
    shell.good("backup", str(tmp_path / "backup"))
    result = shell("upgrade", "check")
    assert result.exit_code == 1, "the root's key is on this machine"
    assert "ok      backup: made at " in result.output
    assert state(shell, "backup", later=timedelta(hours=23)) == "ok"
    assert state(shell, "backup", later=timedelta(hours=25)) == "wrong"


def test_without_customers_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.good("key", "init")
    shell.good("migrate")
    assert state(shell, "backup") == "ok"


def test_missing_migration_is_named(shell: Shell, tmp_path: Path) -> None:
    assert "can use" in shell.good("migrate", "--check")
    (tmp_path / "catalogue.db").unlink()
    assert "run `accord migrate`" in shell.bad("migrate", "--check")
    older = tmp_path / "migrations"
    shutil.copytree(schema.FOLDER, older)
    (older / f"{NEWEST}.py").unlink()
    schema.migrate(f"sqlite:///{tmp_path / 'catalogue.db'}", folder=older)
    assert f"lacks {NEWEST}" in shell.bad("migrate", "--check")
    result = shell("upgrade", "check")
    assert f"warning schema: the catalogue's schema lacks {NEWEST}" in result.output
    assert "nothing to lose" in result.output, "it reads the older schema"


def test_way_back_is_told_by_what_the_package_serves(shell: Shell) -> None:
    assert state(shell, "way_back", package_of(oldest=NEWEST)) == "ok"
    assert state(shell, "way_back", package_of(oldest="9999_apart")) == "warning"
    served = schema.oldest_migration_served()
    (finding,) = findings(shell)["way_back"]
    assert served in finding.what


def test_migrations_of_the_package_are_announced(shell: Shell) -> None:
    assert [each.state for each in findings(shell, package_of())["schema"]] == ["ok"]
    several = findings(shell, package_of(newest="9999_later"))["schema"]
    assert [each.state for each in several] == ["ok", "warning"]
    assert "9999_later" in several[1].what


def test_key_of_a_new_use_is_announced(shell: Shell) -> None:
    assert "key_uses" not in findings(shell, package_of())
    (finding,) = findings(shell, package_of(key_uses=(*USES, "parcel")))["key_uses"]
    assert (finding.state, "parcel" in finding.what) == ("warning", True)
    assert "accord key renew" in finding.hint


def test_disk_without_room_for_the_software(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "SOFTWARE", tmp_path)
    states = [each.state for each in findings(shell, package_of(size=1 << 62))["room"]]
    assert states == ["wrong", "ok"], "the software; a copy of the catalogue"


def test_package_is_read(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing (Debian's dpkg)")
    control = tmp_path / "root" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: accord-recorder\nVersion: 9.0\nArchitecture: all\nMaintainer: a <a@b.example>\n"
        "Installed-Size: 3\nAccord-Schema: 0099_later\nAccord-Serves: 0014_disputes\n"
        "Accord-Key-Uses: manifest,parcel\nDescription: a test\n"
    )
    path = tmp_path / "accord.deb"
    subprocess.run(["dpkg-deb", "--build", str(tmp_path / "root"), str(path)], check=True)
    assert read_package(path) == UpgradePackage(
        "9.0", 3072, "0099_later", "0014_disputes", ("manifest", "parcel")
    )
    control.write_text(control.read_text().replace("Package: accord-recorder", "Package: another"))
    subprocess.run(["dpkg-deb", "--build", str(tmp_path / "root"), str(path)], check=True)
    with pytest.raises(ConfigError, match="not a package of Accord"):
        read_package(path)


def test_another_file_is_no_package(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    result = shell("upgrade", "check", str(path))
    assert result.exit_code == 2
    assert "is not a package of Accord" in result.output
