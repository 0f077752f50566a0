"""A new installation: its settings file, secrets, keys and catalogue, for ``accord init``.

Everything is checked before anything is written, and nothing is overwritten. The settings file is written
last but for the catalogue, so that an interrupted installation can be begun again; from then on each further
step is a command of its own.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from recorder import config
from recorder.catalogue.database import kind_of
from recorder.catalogue.schema import check_schema
from recorder.clock import Now
from recorder.errors import CatalogueError, ConfigError, SwitchError
from recorder.features.keys import kek_usage
from recorder.processes import object_store
from recorder.processes.services import Context
from recorder.seal import signing
from recorder.seal.keyring import write_private
from recorder.spool.atomic_files import sync_folder

HEADER: Final = "# Accord's settings: docs/settings.md lists all of them. Secrets are files in secrets/.\n"

SQLITE: Final = "sqlite"

SWITCH_LIMIT: Final = 3.0
"""Seconds for logging in to the switch."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that Accord's processes run as."""

    name: str
    uid: int
    gid: int
    home: Path


@dataclass(frozen=True, slots=True)
class Answers:
    """What only the operator knows. ``catalogue`` is :data:`SQLITE` or a URL; its password is empty where the
    server asks for none, or where ``~/.pgpass`` has it. ``address`` is the panel's, or empty."""

    switch_password: str = ""
    switch_host: str = "127.0.0.1"
    switch_port: int = 8021
    store: Literal["directory", "s3"] = "directory"
    endpoint: str = ""
    bucket: str = "accord"
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
    catalogue: str = SQLITE
    catalogue_password: str = ""
    address: str = ""
    node: str = "node1"


def find_owner(name: str) -> Owner:
    """The user of that name. Raises :class:`ConfigError` (``init.no_user``, ``init.not_root``)."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(
            "init.no_user",
            f"there is no user {name}",
            "Accord's package makes it, and so does `systemd-sysusers` with deploy/systemd/sysusers.conf",
        ) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise ConfigError(
            "init.not_root", f"only root can set Accord up for the user {name}", "run it as root"
        )
    return Owner(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))


def check_address(address: str) -> None:
    """Raises :class:`ConfigError` (``init.address``)."""
    parts = urlsplit(address)
    more = parts.path or parts.query or parts.fragment or parts.username
    if address and (parts.scheme != "https" or not parts.hostname or more):
        raise ConfigError(
            "init.address",
            f"{address} is not the address of a panel",
            "write it as https://accord.example.com, without a path; your reverse proxy answers there",
        )


def check_switch(host: str, port: int, password: str) -> str:
    """Log in to the switch's event socket. Returns what could not be checked, where it does not answer, and
    why. Raises :class:`SwitchError` where it refuses, :class:`ConfigError` (``switch.no_password``)."""
    from recorder.switch.esl import Inbound

    if not password:
        raise ConfigError(
            "switch.no_password",
            "the event socket's password is missing",
            "it is the one in event_socket.conf.xml of FreeSWITCH; there is no default",
        )
    connection = Inbound(host, port, password, timeout=SWITCH_LIMIT)
    try:
        connection.connect()
    except SwitchError as error:
        if error.error_id not in ("switch.away", "switch.timeout"):
            raise
        return f"{error.message}; the password was not checked"
    connection.stop()
    return ""


class Installation:
    """An installation to be: ``path`` is its settings file, with ``secrets`` and ``keys`` beside it; ``data``
    is the folder of spool, catalogue and recordings."""

    def __init__(self, path: Path, data: Path, owner: Owner) -> None:
        self.path = path.absolute()
        self.data = data.absolute()
        self.owner = owner
        self.secrets = self.path.parent / "secrets"
        self.keys = self.path.parent / "keys"

    @property
    def kek(self) -> Path:
        """The key-encryption key, among the secrets that systemd hands to worker and panel."""
        return self.secrets / "kek"

    def check_new(self) -> None:
        """Raises :class:`ConfigError` where there are settings (``init.exists``), or some of the keys
        (``init.keys``)."""
        if self.path.exists():
            raise ConfigError(
                "init.exists",
                f"there are settings already: {self.path}",
                "nothing was changed: edit that file, and see `accord doctor`",
            )
        if absent := self._absent_keys():
            raise ConfigError(
                "init.keys",
                f"there are keys in {self.keys}, but not {', '.join(absent)}",
                "bring all of them back (`accord key restore`), or move them away for a new installation",
            )

    def check_store(self, answers: Answers) -> None:
        """Use the bucket once. Raises :class:`ConfigError`, :class:`recorder.errors.StoreError`."""
        if answers.store == "s3":
            object_store.probe(self._settings(answers)).abilities()

    def check_catalogue(self, answers: Answers) -> None:
        """Connect to the catalogue as Accord's user. Raises :class:`CatalogueError`, :class:`ConfigError`
        (``init.password_in_url``, ``init.pgpass``)."""
        if answers.catalogue != SQLITE and kind_of(answers.catalogue) == "postgresql":
            if urlsplit(answers.catalogue).password:
                raise ConfigError(
                    "init.password_in_url",
                    "the catalogue's address contains a password, which the settings file would show",
                    "give the password when asked, or by --catalogue-password-file",
                )
            if answers.catalogue_password and self._pgpass.exists():
                raise ConfigError(
                    "init.pgpass",
                    f"{self._pgpass} is there already",
                    "put the password there, and give none here",
                )
        try:
            with self._as_owner(answers):
                check_schema(self._settings(answers).catalogue_url)
        except CatalogueError as error:
            if error.error_id != "catalogue.older":  # which the migration mends
                raise

    def check_secrets(self, answers: Answers) -> None:
        """Raises :class:`ConfigError` where a secret is there with another value (``init.secret``), or new
        keys would not open what catalogue or bucket hold (``keys.in_use``)."""
        for path, value in self._secrets(answers).items():
            if path.exists() and path.read_text("utf-8").strip() != value:
                raise ConfigError(
                    "init.secret",
                    f"{path} is there already, with another value",
                    "nothing is overwritten: remove the file, or give its value",
                )
        if not self.kek.exists() and not (self.keys / signing.KEK).exists():
            context = Context(self._settings(answers), None)
            with self._as_owner(answers):
                kek_usage.refuse_new_keys(context.open_catalogue, context.probe_store)

    def write(self, answers: Answers, now: Now) -> Iterator[str]:
        """Write everything, and make the catalogue; yields what was done, a line a step. Raises
        :class:`ConfigError`, :class:`CatalogueError`, ``OSError``."""
        for folder in (self.data, self.path.parent, self.keys, self.secrets):
            if not folder.exists():
                folder.mkdir(mode=0o750 if folder == self.data else 0o700, parents=True)
                if folder != self.secrets:
                    self._give(folder)
                yield f"made {folder}"
        for path, value in self._secrets(answers).items():
            yield self._write_secret(path, value)
        yield self._write_secret(self.secrets / "web-secret-key", secrets.token_urlsafe(48))
        yield from self._write_keys(now)
        if answers.catalogue_password:
            write_private(self._pgpass, _pgpass_line(answers).encode())
            self._give(self._pgpass)
            yield f"wrote {self._pgpass}: the catalogue's password, for {self.owner.name} alone"
        write_private(self.path, settings_text(self._body(answers)).encode(), 0o400)
        self._give(self.path)
        sync_folder(self.path.parent)
        yield f"wrote {self.path}: the settings"
        with self._as_owner(answers):
            applied = Context(self._settings(answers), self.path).migrate()
        yield f"catalogue: {len(applied)} migrations" if applied else "catalogue: its schema is current"

    def _write_secret(self, path: Path, value: str) -> str:
        if path.exists():
            return f"left {path} as it is"
        write_private(path, f"{value}\n".encode())
        return f"wrote {path}: only root reads it"

    def _write_keys(self, now: Now) -> Iterator[str]:
        """Make the keys, unless they were brought here, and give each to the user who needs it."""
        folder_kek = self.keys / signing.KEK
        if not self.kek.exists() and not folder_kek.exists():
            signing.init(self.keys, now())
            yield f"made the keys in {self.keys}: root, signing keys, and the key-encryption key"
        if folder_kek.exists() and not self.kek.exists():
            folder_kek.rename(self.kek)
            os.chown(self.kek, os.geteuid(), -1)
            yield f"moved the key-encryption key to {self.kek}: only root reads it"
        for path in self.keys.iterdir():
            if path.name != signing.ROOT_KEY:  # which stays root's
                self._give(path)

    def _absent_keys(self) -> list[str]:
        """The keys that a worker needs and that are not here, although others are."""
        present = {name for name in signing.KEY_FILES if (self.keys / name).exists()}
        if self.kek.exists():
            present.add(signing.KEK)
        needed = {signing.KEK, signing.ROOT_PUBLIC, signing.SIGNING_KEY, signing.ENDORSEMENT}
        return sorted(needed - present) if present else []

    def _secrets(self, answers: Answers) -> dict[Path, str]:
        values = {"switch-password": answers.switch_password}
        if answers.store == "s3":
            values |= {"store-access-key": answers.access_key, "store-secret-key": answers.secret_key}
        return {self.secrets / name: value for name, value in values.items()}

    def _body(self, answers: Answers) -> dict[str, dict[str, str | int | bool]]:
        """The settings file's sections: what differs from the defaults, and what is worth seeing."""
        s3: dict[str, str | int | bool] = {
            "endpoint": answers.endpoint, "bucket": answers.bucket, "region": answers.region,
        }  # fmt: skip
        web: dict[str, str | int | bool] = {"secure_cookies": False}  # on loopback, without HTTPS
        if answers.address:
            web = {"address": answers.address, "proxies": 1}
        return {
            "node": {"name": answers.node, "data": str(self.data)},
            "switch": {"host": answers.switch_host, "port": answers.switch_port},
            **({"catalogue": {"url": answers.catalogue}} if answers.catalogue != SQLITE else {}),
            "store": {"kind": answers.store, **(s3 if answers.store == "s3" else {})},
            "keys": {"folder": str(self.keys)},
            "web": web,
        }

    def _settings(self, answers: Answers) -> config.Settings:
        """The settings with the secrets that catalogue and store need. Raises :class:`ConfigError`."""
        body = {section: dict(values) for section, values in self._body(answers).items()}
        body["store"] |= {"access_key": answers.access_key, "secret_key": answers.secret_key}
        return config.validate(body)

    @contextmanager
    def _as_owner(self, answers: Answers) -> Iterator[None]:
        """Act as Accord's user, to whom the catalogue belongs and whom PostgreSQL may know by name."""
        with (
            _environment("PGPASSWORD", answers.catalogue_password),
            _environment("PGPASSFILE", str(self._pgpass)),
        ):
            if os.geteuid() == self.owner.uid:
                yield
                return
            group, mask = os.getegid(), os.umask(0o007)
            os.setegid(self.owner.gid)
            os.seteuid(self.owner.uid)
            try:
                yield
            finally:
                os.seteuid(0)
                os.setegid(group)
                os.umask(mask)

    @property
    def _pgpass(self) -> Path:
        return self.owner.home / ".pgpass"

    def _give(self, path: Path) -> None:
        """Make Accord's user the owner of a file or folder."""
        if path.stat().st_uid != self.owner.uid:
            os.chown(path, self.owner.uid, -1)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable that libpq reads, unless it is set or the value is empty."""
    if not value or name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def settings_text(body: Mapping[str, Mapping[str, str | int | bool]]) -> str:
    """A settings file. Every JSON string is a TOML string, and so are numbers and truth values."""
    sections = (
        f"\n[{section}]\n"
        + "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
        for section, values in body.items()
    )
    return HEADER + "".join(sections)


def _pgpass_line(answers: Answers) -> str:
    """libpq's ``host:port:database:user:password``, with ``:`` and ``\\`` escaped."""
    parts = urlsplit(answers.catalogue)
    fields = (
        parts.hostname or "localhost",
        str(parts.port or 5432),
        parts.path.lstrip("/"),
        parts.username or "*",
        answers.catalogue_password,
    )
    return ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields) + "\n"
