"""PostgreSQL's own copies of the catalogue, after its disk was lost: a dump, and a base backup with the
archived WAL up to a moment. What the log then says, and the commands that let it go on, are those of
docs/capacity.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recorder.auditlog import checkpoint
from recorder.catalogue.database import connected, database, open_catalogue
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import utc_now
from recorder.errors import AuditLogError
from recorder.store.directory import DirectoryStore
from tests.expected_errors import expect_error
from tests.postgres import QUICK, Server
from tests.processes import Installation
from tests.recovery.many import LargeInstallation

pytestmark = [pytest.mark.long, pytest.mark.postgresql, pytest.mark.timeout(900)]

COPIED = QUICK | {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "archive_mode": "on",
    "archive_command": "cp %p ../archive/%f",
}
BEFORE, AFTER = 60, 20
"""Recordings that a copy has, and those that came later."""


@dataclass
class Site:
    """An installation whose catalogue's disk is about to be lost."""

    server: Server
    url: str
    installation: LargeInstallation

    @property
    def now(self) -> datetime:
        """An hour after the last time: a log that grew is signed again."""
        self.hours += 1
        return utc_now() - timedelta(days=1) + timedelta(hours=self.hours)

    hours: int = 0

    def store(self, numbers: range) -> None:
        """Store recordings, erase some, and sign every log."""
        with ThreadPoolExecutor(4) as pool:
            self.installation.batch(numbers, pool)
        assert checkpoint.sign_due(self.installation.services, self.now)

    def accord(self, *words: str) -> tuple[int, str]:
        """Run a command; its exit code and output."""
        root = self.installation.root
        settings = {
            "ACCORD_CATALOGUE_URL": self.url,
            "ACCORD_KEYS_FOLDER": str(root / "keys"),
            "ACCORD_STORE_PATH": str(root / "bucket"),
        }
        result = Installation(root / "node", settings).accord(*words)
        return result.returncode, result.stdout + result.stderr


def dump(site: Site) -> Callable[[], None]:
    """Copy the catalogue by ``pg_dump``; returns how to restore it."""
    name = site.url.partition("@/")[2].partition("?")[0]
    options = ("-h", str(site.server.folder), "-U", "accord")
    copied = site.server.run("pg_dump", *options, "--format=custom", "--file=catalogue.dump", name)
    assert copied.returncode == 0, copied.stderr.decode()

    def restore() -> None:
        site.server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        site.server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        restored = site.server.run(
            "pg_restore", *options, f"--dbname={name}", "--exit-on-error", "catalogue.dump"
        )
        assert restored.returncode == 0, restored.stderr.decode()

    return restore


def base_backup(site: Site) -> Callable[[], None]:
    """Copy the whole server by ``pg_basebackup``, and its WAL from then on up to a restore point."""
    server = site.server
    copied = server.run(
        "pg_basebackup", "-h", str(server.folder), "-U", "accord", "-D", "base", "--wal-method=none"
    )
    assert copied.returncode == 0, copied.stderr.decode()
    site.store(range(BEFORE // 2, BEFORE))
    server.execute("SELECT pg_create_restore_point('before')")

    def restore() -> None:
        server.execute("SELECT pg_switch_wal()")
        server.stop()  # which archives the rest
        shutil.rmtree(server.folder / "data")
        (server.folder / "base").rename(server.folder / "data")
        with open(server.folder / "data" / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write("restore_command = 'cp ../archive/%f %p'\nrecovery_target_name = 'before'\n")
            file.write("recovery_target_action = 'promote'\n")
        (server.folder / "data" / "recovery.signal").touch()
        server.start()
        server.wait_until_writable()

    return restore


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = Server(COPIED)
    try:
        (server.folder / "archive").mkdir()
        shutil.copymode(server.folder, server.folder / "archive")
        owner = os.stat(server.folder)
        os.chown(server.folder / "archive", owner.st_uid, owner.st_gid)
        with server.database(empty=True) as url:
            store = DirectoryStore(tmp_path / "bucket")
            yield Site(server, url, LargeInstallation(tmp_path, store, url))
            close()
    finally:
        server.close()


def close() -> None:
    """Give up this process's connections to the catalogue."""
    getattr(database.obj, "close_all", database.obj.close)()


@pytest.mark.parametrize("copy", [dump, base_backup])
def test_log_goes_on_in_the_open_after_a_copy_was_restored(site: Site, copy) -> None:
    site.store(range(BEFORE if copy is dump else BEFORE // 2))
    restore = copy(site)
    site.store(range(BEFORE, BEFORE + AFTER))
    assert site.accord("audit", "run") == (0, "everything is as it was written\n")
    close()
    restore()

    open_catalogue(site.url)
    with connected():
        assert RecordingTable.select().count() == BEFORE
    status, output = site.accord("audit", "run")
    assert (status, "log.behind" in output) == (1, True), output
    later = replace(site.installation.services, owner="after", checkpoints_seen={})
    with expect_error(AuditLogError, "audit_log.behind"):
        checkpoint.sign_due(later, utc_now() + timedelta(days=1))
    status, output = site.accord("rebuild")
    assert (status, f"{AFTER} restored" in " ".join(output.split())) == (0, True), output
    with connected():
        assert RecordingTable.select().count() == BEFORE + AFTER
    for tenant, _key in site.installation.tenants:
        status, output = site.accord(
            "audit", "reopen", "--tenant", tenant, "--reason", "the disk of db1 broke"
        )
        assert status == 0, output
    assert site.accord("rebuild", "--confirm-holds", "--yes")[0] == 0
    status, output = site.accord("audit", "run")
    assert (status, "log.begun_again" in output) == (1, True), output
    assert checkpoint.sign_due(later, utc_now() + timedelta(days=2))
