"""The fields of the JSON that commands print: each command is run on an installation of its own."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import click
import pyotp
from click.testing import CliRunner

from recorder import config
from recorder.auditlog import checkpoint
from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue import database, queries, tenant_queries
from recorder.catalogue.records import KeepOptions, UserRow
from recorder.cli import accord
from recorder.features.disputes.service import Disputes
from recorder.features.subject_requests import call_erasure, service
from recorder.identity import users
from recorder.lifecycle import expiry
from recorder.lifecycle.line_proposals import PROPOSED
from recorder.pipeline import stages
from recorder.processes.services import Context
from recorder.prompts import country_file
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import ErasureOrdered
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.golden.receipts import catalogue
from tests.house import Bakery
from tests.identity_proof import vouch

WITHOUT_JSON: Final[Mapping[str, str]] = {
    "run": "runs until it is stopped",
    "daemon": "runs until it is stopped",
    "worker": "runs until it is stopped",
    "web": "runs until it is stopped",
    "completion": "prints a shell script",
    "key print": "prints text for paper",
    "prompt script": "prints text to be read aloud",
    "audit prove": "prints a proof, which is JSON",
    "audit prove-consistency": "prints a proof, which is JSON",
    "recording receipt": "prints a signed document, which is JSON",
    "offboarding receipt": "prints a signed document, which is JSON",
}
"""Commands without ``--json``, each with the reason."""

MAPS: Final = frozenset({
    "body", "consented_until", "tenants_by_key", "tenants_by_older_key", "ending_by_day", "left_out",
    "outcomes", "rows",
})  # fmt: skip
"""Fields whose own fields are data, such as days and names of tables."""

Shape = dict[str, set[str]]
"""The types of each field, by its path: ``tenants[].id``."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

CUSTOMER: Final = "Boulangerie Martin"
MINE: Final = ("--tenant", CUSTOMER)
NUMBER: Final = "+3225550100"


def shapes() -> str:
    """Every command with the fields of its document, and the types that they had."""
    lines = []
    for command, shape in sorted(documents().items()):
        lines.append(f"accord {command}")
        lines += [f"  {path}  {' or '.join(sorted(types)) or 'empty'}" for path, types in shape.items()]
        lines.append("")
    return "\n".join(lines)


@cache
def documents() -> Mapping[str, Shape]:
    """The shapes by command."""
    with tempfile.TemporaryDirectory() as name, catalogue(Path(name), "catalogue") as url:
        # Commands read the machine's own clock, and nothing may be sealed later.
        clock = Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
        house = Bakery(Path(name), clock, RepeatableEntropy("shapes"), url)
        session = _Session(house)
        session.run_all()
        return {name: _without_empty_lists(shape) for name, shape in session.found.items()}


def leaf_commands(group: click.Group = accord, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by its words after ``accord``."""
    context = click.Context(group, **accord.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from leaf_commands(command, words)
        else:
            yield words, command


def has_option(command: click.Command, name: str) -> bool:
    return any(name in each.opts for each in command.params)


def note_shape(value: Any, shape: Shape, path: str = "") -> None:
    """Add the types of a value and of its fields."""
    if isinstance(value, dict) and path.rpartition(".")[2] not in MAPS:
        for name, each in value.items():
            note_shape(each, shape, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        shape.setdefault(f"{path}[]", set())
        for each in value:
            note_shape(each, shape, f"{path}[]")
    else:
        shape.setdefault(path, set()).add(_type(value))


def _without_empty_lists(shape: Shape) -> Shape:
    """Without the lists of records themselves, whose fields are there."""
    inner = {path.rpartition("[].")[0] for path in shape}
    return {path: types for path, types in shape.items() if path.removesuffix("[]") not in inner}


def _type(value: Any) -> str:
    if isinstance(value, str):
        return "time" if _TIME.fullmatch(value) else "day" if _DAY.fullmatch(value) else "string"
    kinds = {bool: "boolean", int: "integer", float: "number", type(None): "null", dict: "object"}
    return kinds[type(value)]


class _Session:
    """An operator who runs every command."""

    def __init__(self, house: Bakery) -> None:
        self.house = house
        self.found: dict[str, Shape] = {}
        self.commands = dict(leaf_commands())
        self.environment = {
            "ACCORD_NODE_DATA": str(house.folder),
            "ACCORD_STORE_KIND": "directory",
            "ACCORD_STORE_PATH": str(house.bucket),
            "ACCORD_VERIFICATION_CALLS_DIAL": "sofia/gateway/pstn/{number}",
            "ACCORD_KEYS_DISPOSABLE": "true",
        }

    def run(self, *words: str | Path, exits: int | None = 0, typed: str | None = None, **more: str) -> Any:
        """Run a command, and note the shape of its document; before that, of its dry run. Without ``exits``,
        the state of this machine decides between 0 and 1."""
        argv = [str(word) for word in words]
        path = next(
            " ".join(argv[:length]) for length in (3, 2, 1) if " ".join(argv[:length]) in self.commands
        )
        if has_option(self.commands[path], "--dry-run"):
            before = self._state()
            self._invoke(f"{path} --dry-run", [*argv, "--dry-run"], 0, typed, more)
            assert self._state() == before, f"{argv} changes something in a dry run"
        if has_option(self.commands[path], "--yes"):
            argv.append("--yes")
        document = self._invoke(path, argv, exits, typed, more)
        return document

    def _invoke(
        self, name: str, argv: list[str], exits: int | None, typed: str | None, more: Mapping[str, str]
    ) -> Any:
        environment = {**self.environment, **more}
        result = CliRunner().invoke(accord, [*argv, "--json"], input=typed, env=environment)
        assert result.exit_code in ((0, 1) if exits is None else (exits,)), (
            argv,
            result.output,
            result.exception,
        )
        document = json.loads(result.stdout)
        note_shape(document, self.found.setdefault(name, {}))
        return document

    def _state(self) -> dict[str, object]:
        """The files of the installation, without the database's, and the sizes of the logs."""
        house = self.house
        files = {
            str(path): path.read_bytes()
            for path in house.folder.rglob("*")
            if path.is_file() and not path.name.startswith("catalogue.db")
        }
        return {**files, "leaves": tenant_queries.log_sizes()}

    def run_all(self) -> None:
        self.customers()
        self.lines()
        self.people()
        self.recordings()
        self.requests()
        self.machine()
        self.keys()
        self.audit()
        self.departure()

    def customers(self) -> None:
        self.run("plan", "list")
        self.run("country", "list")
        self.run("country", "show", "be")
        self.run("tenant", "create", "Dubois")
        self.run("tenant", "set", "Dubois", "--country", "be")
        self.run("tenant", "suspend", "Dubois", "--reason", "Unpaid")
        self.run("tenant", "resume", "Dubois")
        self.run("tenant", "invite", "Van Dyck", "els@example.com")
        self.run("tenant", "adopt", "Van Dyck", "Van Dyck NV")
        self.run("tenant", "show", CUSTOMER)
        table = self.house.folder / "customers.csv"
        table.write_text("tenant,number\nFleurs,+3225550177\nFleurs,+3225550178\n", "utf-8")
        self.run("tenant", "import", table)
        table.write_text("tenant,number\nFleurs,number\n", "utf-8")
        self.run("tenant", "import", table, exits=1)
        self.run("tenant", "list")
        self.run("country", "check")
        pack = self.house.folder / "pack.toml"
        shipped = country_file.FOLDER / "be.toml"
        pack.write_text(shipped.read_text("utf-8").replace('mode = "notice"', 'mode = "opt-in"'), "utf-8")
        self.run("country", "check", "--pack", pack, exits=1)

    def lines(self) -> None:
        self.run("line", "add", *MINE, "+3225550155", "--label", "Shop")
        self.run("line", "set", *MINE, "+3225550155", "--mode", "opt-in", "--join-notice", "alone")
        self.run("line", "set-keep-question", *MINE, "+3225550155", "--days", "90")
        self.run("line", "show", *MINE, "+3225550155")
        self.run("line", "list", *MINE)
        (line,) = (each for each in queries.lines(self.house.tenant) if each.number == "+3225550155")
        keep = asdict(KeepOptions(365))
        pending = {"line": line.id, "announcements": [*line.announcements], "keep": keep, "actor": "operator"}
        with tenant_lock(line.tenant):
            append(line.tenant, PROPOSED, pending, self.house.clock(), self.house.entropy)
        self.run("line", "proposal", "list", *MINE)
        self.run("line", "proposal", "show", *MINE, "+3225550155")
        self.run("line", "proposal", "withdraw", *MINE, "+3225550155")
        self.run("line", "suspend", *MINE, "+3225550155", "--reason", "Unpaid")
        self.run("line", "resume", *MINE, "+3225550155")
        self.run("line", "move", *MINE, "+3225550155", "--to", "Dubois")
        self.run("line", "end", "--tenant", "Dubois", "+3225550155")
        composed = self.run(
            "announcement", "compose", *MINE, "Winter", "--language", "fr", "--mode", "opt-out"
        )
        wav = self.house.folder / "sound.wav"
        self.run("prompt", "render", wav, "--language", "fr")
        self.run("announcement", "add", *MINE, "Own", "--wav", wav, "--text", "Bonjour.", "--language", "fr")
        self.run("announcement", "show", *MINE, composed["id"])
        self.run("announcement", "list", *MINE)
        self.run("prompt", "list", "--language", "fr")
        self.run("prompt", "check", wav)
        self.run("prompt", "check", wav, self.house.folder / "absent.wav", exits=1)

    def people(self) -> None:
        claire = (*MINE, "claire@example.com")
        self.run("user", "invite", *claire, "--role", "customer_admin", "--line", NUMBER)
        self.run("user", "list", *MINE)
        self.run("user", "revoke", *claire)
        self._person("claire", "customer_admin")
        self.run("user", "list", *MINE)
        self.run("user", "set", *MINE, "claire", "--role", "customer_admin", "--extension", "2001")
        self.run("user", "reset-password", *MINE, "claire")
        self.run("user", "require-second-factor", *MINE, "on")
        paul = self._person("paul", "customer")
        self._add_app(paul)
        self.run("user", "reset-second-factor", *MINE, "paul", "--reason", "Lost phone")
        self.run("user", "revoke", *MINE, "paul")
        token = self.run("token", "create", *MINE, "till")
        self.run("token", "revoke", *MINE, token["id"])
        self.run("token", "list", *MINE)

    def _person(self, login: str, role: str) -> UserRow:
        return self.house.user(self.house.tenant, login, role)

    def _add_app(self, person: UserRow) -> None:
        factors = self.house.factors
        key = factors.new_app_key(person)
        assert factors.add_app(person, key, pyotp.TOTP(factors.secret(person, key)).at(self.house.clock()))

    def recordings(self) -> None:
        house = self.house
        folders = [house.take(talk_ms=300) for _ in range(3)]
        for folder in folders:
            house.work(folder)
        first, second, third = (folder.name for folder in folders)
        self.run("recording", "list")
        self.run("recording", "list", *MINE, "--line", NUMBER, "--from", "2026-03-01")
        self.run(
            "recording", "add-consent", first, "--purpose", "training", "--days", "60", "--reason", "Paper"
        )
        self.run("recording", "show", first)
        self.run("recording", "withdraw-consent", first, "--reason", "Letter")
        self.run("recording", "restrict", second, "--purpose", "agreement", "--reason", "Not needed")
        self.run("recording", "delete", third, "--reason", "Asked for")
        review = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        fourth = house.take(talk_ms=300)
        house.work(fourth)
        hold_words = (
            "hold",
            "set",
            fourth.name,
            "--owner",
            "claire",
            "--review",
            review,
            "--reason",
            "Contested",
        )
        self.run(*hold_words)
        self.run("recording", "show", fourth.name)
        self.run("hold", "list")
        self.run("hold", "lift", fourth.name, "1", "--reason", "Settled")
        claire = next(each for each in users.users(house.tenant) if each.login == "claire")
        disputes, day = Disputes(house.changes), (datetime.now(UTC) + timedelta(days=9)).date()
        dispute, by = (
            disputes.open(claire, [fourth.name], subject="Price", settle_by=day),
            By("user", claire.id),
        )
        order = ErasureOrdered("Data protection authority", "2026/1")
        with database.writing():
            disputes.state(dispute, dispute.tenant, dispute.id, by, order)
        self.run("hold", "confirm-order", fourth.name)
        disputes.close(claire, dispute.id)
        self.run("recording", "verify", fourth.name)
        self.run("recording", "verify", str(house.bucket), exits=1)
        self.run("retention", "set", *MINE, "--days", "20")
        self.run("retention", "show", *MINE)
        self.run("retention", "set", *MINE, "--as-announced")
        before, house.clock.at = house.clock.at, datetime.now(UTC)
        assert expiry.destroy_due(house.services, house.clock())
        house.clock.at = before
        receipt = house.folder / "receipt.json"
        self.plain("recording", "receipt", third, "-o", receipt)
        self.run("recording", "verify-receipt", receipt)
        self.run("recording", "show", third)
        old = house.folder / "old"
        old.mkdir()
        shutil.copy(house.folder / "sound.wav", old / "one.wav")
        table = "file,began_at\none.wav,2026-03-01T10:00:00\ntwo.wav,2026-03-01T11:00:00\n"
        (old / "recordings.csv").write_text(table, "utf-8")
        until = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
        self.run("recording", "import", old, *MINE, "--until", until, exits=1)
        self.run("usage")
        aside = house.take()
        stages.quarantine_take(aside, stages.ENCODER_DIED, house.clock(), house.services)
        house.take()
        self.run("take", "list")
        self.run("take", "retry", aside.name)

    def plain(self, *words: str | Path, exits: int | None = 0) -> str:
        """Run a command without JSON."""
        argv = [str(word) for word in words]
        result = CliRunner().invoke(accord, argv, env=self.environment)
        assert result.exit_code in ((0, 1) if exits is None else (exits,)), (argv, result.output)
        return result.stdout

    def requests(self) -> None:
        house = self.house
        missed = house.unrecorded()
        house.work(missed)
        number = queries.not_recorded(house.tenant).rows[0].external_party.value
        request = self.run("subject-request", "add", number, *MINE, "--wants", "erasure")["id"]
        self.run("subject-request", "call", request, *MINE)
        vouch(house.tenant, request, house.clock(), house.entropy, house.services.signer)
        backup = house.folder / "before.backup"
        self.run("backup", backup)
        erasure = service.find_erasure_request(house.tenant, request, house.clock())
        call_erasure.erase_calls(house.office(), erasure, "u")
        self.run("subject-request", "show", request, *MINE)
        self.run("subject-request", "extend", request, *MINE, "--reason", "Forty recordings")
        self.run("subject-request", "close", request, *MINE, "--how", "answered")
        self.run("subject-request", "list")
        self.lose_the_catalogue()
        self.run("restore", "--check", backup)
        self.run("restore", backup)
        wrong_folder = house.bucket / house.tenant / "2026/03/02/01930000-0000-7000-8000-0000000000b1"
        wrong_folder.mkdir(parents=True)
        (wrong_folder / "manifest.json").write_text("{}", "utf-8")
        self.run("rebuild", "--correct", exits=1)
        shutil.rmtree(wrong_folder)
        self.run("rebuild", "--confirm-holds")
        self.run("subject-request", "erase-again", *MINE)

    def lose_the_catalogue(self) -> None:
        getattr(database.database.obj, "close_all", database.database.close)()
        for path in self.house.folder.glob("catalogue.db*"):
            path.unlink()
        self.run("migrate")

    def machine(self) -> None:
        self.run("migrate")
        self.run("migrate", "--check")
        self.run("store", "init", ACCORD_STORE_PATH=str(self.house.folder / "another"))
        self.run("doctor", exits=None)
        self.run("status", exits=None)
        self.run("status", "--fleet", exits=None)
        self.run("upgrade", "check", exits=None)
        with tempfile.TemporaryDirectory() as name:
            password = Path(name, "password")
            password.write_text("secret", "utf-8")
            self.run(
                "init", "--data", Path(name, "data"), "--user", getpass.getuser(), "--switch", "127.0.0.1:1",
                "--switch-password-file", password, "--yes", ACCORD_CONFIG=str(Path(name, "accord.toml")),
            )  # fmt: skip

    def keys(self) -> None:
        house = self.house
        self.run("key", "show")
        copies = house.folder / "copies"
        self.run("key", "backup", copies, "--same-disk")
        self.run("key", "verify-copy", copies / "kek", copies / "root.key", "--same-disk")
        with tempfile.TemporaryDirectory() as name:
            self.run("key", "init", ACCORD_NODE_DATA=name, ACCORD_STORE_PATH=f"{name}/store")
        with tempfile.TemporaryDirectory() as name:
            self.run("key", "restore", copies, ACCORD_KEYS_FOLDER=name)
        self.run("key", "prepare")
        shutil.copy(house.folder / "keys" / "kek.next", house.folder / "next")
        self.run("key", "verify-copy", house.folder / "next", "--same-disk")
        self.run("key", "prepare", *MINE)
        self.run("key", "rotate")
        old = self.run("key", "show")["signing"]["id"]
        self.run("key", "renew")
        self.run("key", "revoke", old)

    def audit(self) -> None:
        house = self.house
        self.run("audit", "mail", "add", *MINE, "notary@example.com")
        self.run("audit", "mail", "list", *MINE)
        self.run("audit", "mail", "remove", *MINE, "notary@example.com")
        self._sign(timedelta())
        (recording, *_) = queries.recordings(house.tenant).rows
        leaf = self.run("audit", "leaves", recording.id)["leaves"][0]["id"]
        proof = house.folder / "proof.json"
        self.plain("audit", "prove", leaf, "-o", proof)
        self.run("audit", "verify-proof", proof)
        self.plain("audit", "prove-consistency", *MINE, "--from", "1", "--to", "1", "-o", proof)
        self.run("audit", "verify-proof", proof)
        self.run("audit", "run", exits=1)  # what the revoked key signed
        backup = house.folder / "log.backup"
        self.run("backup", backup)
        self.run("tenant", "set", CUSTOMER, "--country", "nl")
        self._sign(timedelta(hours=1))
        self._restore(backup)
        with patch("recorder.cli.audit.utc_now", lambda: datetime.now(UTC) + timedelta(hours=2)):
            self.run("audit", "reopen", *MINE, "--reason", "The disk broke")

    def _restore(self, backup: Path) -> None:
        self.lose_the_catalogue()
        self.run("restore", backup)
        self.plain("rebuild", exits=None)
        self.run("rebuild", "--confirm-holds")

    def _sign(self, later: timedelta) -> None:
        services = Context(config.load(None, self.environment), None).audit_log_services()
        checkpoint.sign_due(services, datetime.now(UTC) + later)

    def departure(self) -> None:
        until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        self.run("offboarding", "start", "Dubois", "--until", until)
        self.run("offboarding", "cancel", "Dubois")
        backup = self.house.folder / "whole.backup"
        self.run("backup", backup)
        self.run("offboarding", "start", CUSTOMER, "--until", until)
        self.run("offboarding", "export", CUSTOMER)
        self.run("offboarding", "show", CUSTOMER)
        self.run("offboarding", "erase", CUSTOMER, "--early", "By letter")
        self.run("offboarding", "list")
        self._restore(backup)
        self.run("offboarding", "erase-again", CUSTOMER)
