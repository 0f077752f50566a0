"""Checks before another version is installed, and before its ``accord migrate``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from recorder import __version__
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import kind_of, open_catalogue, sqlite_path
from recorder.catalogue.schema import check_schema, newest_migration, oldest_migration_served
from recorder.clock import to_iso
from recorder.errors import CatalogueError, ConfigError
from recorder.features.recovery.dump import last_backup
from recorder.ops.doctor import node, storage
from recorder.ops.doctor.checks import look
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong

BACKUP_GOOD_FOR: Final = timedelta(days=1)

SOFTWARE: Final = Path("/opt/accord")
"""Where the package installs the software."""

FIELDS: Final = (
    "Package", "Version", "Installed-Size", "Accord-Schema", "Accord-Serves", "Accord-Key-Uses",
)  # fmt: skip
"""Of a package's description: beside Debian's own the newest migration, the oldest one whose version can use
the schema, and what the signing key must be endorsed for."""


@dataclass(frozen=True, slots=True)
class UpgradePackage:
    """A version's package, before it is installed. ``size``: bytes on the disk; ``newest`` and ``oldest``:
    names of migrations."""

    version: str
    size: int
    newest: str
    oldest: str
    key_uses: tuple[str, ...]


def read_package(path: Path) -> UpgradePackage:
    """Read the description in a package's file. Raises :class:`ConfigError` (``upgrade.package``)."""
    refusal = ConfigError(
        "upgrade.package",
        f"{path} is not a package of Accord that can be read",
        "give the path of accord-recorder_VERSION_ARCH.deb; dpkg-deb must be installed",
    )
    try:
        text = subprocess.run(
            ["dpkg-deb", "--field", str(path), *FIELDS], check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise refusal from error
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if set(fields) != set(FIELDS) or fields["Package"] != "accord-recorder":
        raise refusal
    return UpgradePackage(
        version=fields["Version"],
        size=int(fields["Installed-Size"]) * 1024,
        newest=fields["Accord-Schema"],
        oldest=fields["Accord-Serves"],
        key_uses=tuple(fields["Accord-Key-Uses"].split(",")),
    )


class UpgradeCheck:
    """The checks of this installation, for a package or, without one, for the version that is installed."""

    def __init__(self, patient: Patient, package: UpgradePackage | None) -> None:
        self._patient = patient
        self._package = package

    def look(self) -> Iterator[tuple[str, DoctorFinding]]:
        """Run every check; yield each finding with its check's name, as it is made."""
        return look(
            self._patient,
            (self.schema, self.way_back, self.backup, storage.keys, self.key_uses, node.disk, self.room),
        )

    def schema(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The catalogue has the schema that the version needs, or what it lacks is known."""
        try:
            check_schema(patient.settings.catalogue_url)
        except CatalogueError as error:
            if error.error_id != "catalogue.older":
                raise
            yield warning(f"schema: {error.message}", error.hint)
            return
        yield ok(f"schema: version {__version__} can use it")
        if self._package is not None and self._package.newest > newest_migration():
            yield warning(
                f"schema: version {self._package.version} needs it up to {self._package.newest}; its worker "
                "and panel wait for that",
                "after the installation run `accord migrate`, then restart worker and panel",
            )

    def way_back(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The version that is installed now can be installed again after the migration."""
        oldest = oldest_migration_served() if self._package is None else self._package.oldest
        if self._package is None:
            yield ok(f"way back: versions whose newest migration is {oldest} or later can use the schema")
        elif newest_migration() >= oldest:
            yield ok(f"way back: version {__version__} can use the schema of {self._package.version}")
        else:
            yield warning(
                f"way back: version {__version__} cannot use the schema of {self._package.version}",
                "upgrade all nodes together; the only way back is the backup from before `accord migrate`",
            )

    def backup(self, patient: Patient) -> Iterator[DoctorFinding]:
        """A backup of the catalogue was made within a day, by the customers' logs."""
        url = patient.settings.catalogue_url
        if kind_of(url) == "sqlite" and not sqlite_path(url).exists():
            return  # said elsewhere
        # Of whichever schema it has: after the installation it may be the older one.
        open_catalogue(url, connections=patient.settings.catalogue.connections)
        made_at = last_backup()
        if made_at is not None and patient.now() - made_at <= BACKUP_GOOD_FOR:
            yield ok(f"backup: made at {to_iso(made_at)}")
        elif made_at is not None or tenant_queries.log_sizes():
            when = "none was made" if made_at is None else f"the last was made at {to_iso(made_at)}"
            yield wrong(
                f"backup: {when}", "run `accord backup FILE`: without one, no migration can be undone"
            )
        else:
            yield ok("backup: there are no customers, and so nothing to lose")

    def key_uses(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The signing key is endorsed for all that the package's version signs."""
        if self._package is None:
            return  # the check of the keys compares with the installed version
        absent = sorted({*self._package.key_uses} - {*patient.context.signer().endorsement.uses})
        if absent:
            yield warning(
                f"keys: version {self._package.version} also signs {', '.join(absent)}",
                "have the root's key at hand: run `accord key renew` after the installation",
            )

    def room(self, patient: Patient) -> Iterator[DoctorFinding]:
        """The disks have room for the software beside the installed one, and for what the migration of a
        SQLite catalogue writes."""
        needs: list[tuple[str, Path, int]] = []
        if self._package is not None and SOFTWARE.exists():
            needs.append(("the software", SOFTWARE, self._package.size))
        url = patient.settings.catalogue_url
        if kind_of(url) == "sqlite" and (catalogue := sqlite_path(url)).exists():
            # A migration may write a table anew, into the write-ahead log first.
            needs.append(("the migration", catalogue.parent, 2 * catalogue.stat().st_size))
        for what, folder, size in needs:
            free = shutil.disk_usage(folder).free
            if free < size:
                yield wrong(
                    f"room: {what} needs {size / 1e6:.0f} MB; the disk of {folder} has {free / 1e6:.0f} MB",
                    "make room first, but delete nothing in the spool",
                )
            else:
                yield ok(f"room: {free / 1e9:.1f} GB for {what}, which needs {size / 1e6:.0f} MB")
