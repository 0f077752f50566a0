"""An installation to attack: nearly every table and kind of object has something in it, two customers' people
are logged in, and everything is put back before each attack.

After an attack the installation goes on as it would: people look at pages, the worker does its duties, and an
audit, a verification of each recording, and a rebuild are run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from structlog.testing import capture_logs

from recorder.audit.service import Audit
from recorder.auditlog.object_kinds import PROBE
from recorder.catalogue.database import connected, database
from recorder.catalogue.records import NotRecordedRow, UserRow
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.parties import Party
from recorder.errors import AccordError
from recorder.fault_log import FaultLog
from recorder.features.access_log.verification import EntryProofs
from recorder.features.offboarding import service as offboarding
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.features.subject_requests import call_erasure
from recorder.features.subject_requests import service as request_register
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.identity.throttle import RateLimit
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.playback.interface import Actor
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties
from recorder.seal import verification
from tests.clock import Clock, since_boot
from tests.entropy import RepeatableEntropy
from tests.house import PASSWORD, Bakery, _hashed
from tests.identity_proof import vouch
from tests.unit.auditlog.conftest import FIRST_DAY, make_world
from tests.unit.auditlog.filled import fill
from tests.unit.web.conftest import COMPILED, Browser
from web import WebConfig
from web.config import LoginLimits

PAGES = ("/recordings", "/numbers", "/team", "/together")
"""What an admin looks at; beside these the call's own page."""


PRECIOUS: Mapping[str, tuple[str, ...]] = {
    "log_leaf": ("leaf", "body", "salt"),
    "recording": ("wrapped_key", "erased_at", "prefix"),
    "amendment": ("data", "sha256"),
    "call_note": ("text", "deleted_at"),
    "unrecorded_call": ("number",),
    "dispute": ("tenant_id",),
    "dispute_statement": ("statement",),
    "retention_limit": ("statement",),
    "user_account": ("login", "revoked_at"),
    "line": ("until",),
    "tenant": ("wrapped_key",),
}
"""By table: columns that nothing may empty or change after an attack on another row."""

APPENDED = ("log_checkpoint", "checkpoints/", PROBE)
"""What a worker adds to in the meantime."""


@dataclass
class Effects:
    """What an attack led to. ``names`` are codes of findings and events of log lines, ``troubles`` are what
    must never happen: what was destroyed, disclosed or stopped."""

    names: set[str] = field(default_factory=set)
    troubles: set[str] = field(default_factory=set)


class Installation:
    """The installation, and its state before the attack."""

    def __init__(self, folder: Path) -> None:
        """In an empty ``folder``, on the catalogue that this process has open there."""
        url = f"sqlite:///{folder / 'catalogue.db'}"
        self.world = fill(make_world(Bakery(folder, Clock(FIRST_DAY), RepeatableEntropy(), url)))
        self.house = self.world.house
        self.other = next(row for row in self._tenants() if row != self.world.tenant)
        self._erase_call()
        until = self.house.clock() + timedelta(days=90)
        offboarding.announce(self.house.office(), self.other, until)
        self.app = self._app()
        with connected():
            boss = users.user(self.world.tenant, UserTable.get(UserTable.login == "boss@example.com").id)
        assert boss is not None
        self.house.factors.require_second_factor(boss, False)
        self.ours, self.theirs = (self._log_in(each) for each in (self.world.tenant, self.other))
        self.secrets = {
            self.world.live_recording,
            "+32470123456",
            "470123456",
            "Call back on Monday",
            "The price",
        }
        for _ in range(2):
            self._keep(FaultLog())
        self._append_to_both()
        self.live = sqlite3.connect(folder / "catalogue.db")
        self._saved = sqlite3.connect(":memory:")
        self.live.backup(self._saved)
        self.at = self.house.clock()
        bucket = self.house.bucket
        self.objects = {
            str(path.relative_to(bucket)): path.read_bytes() for path in bucket.rglob("*") if path.is_file()
        }
        self.precious = self._precious()
        self.before = Effects()
        self.before = self.go_on(lambda: set())

    def close(self) -> None:
        self.live.close()
        self._saved.close()

    # --- making it

    def _tenants(self) -> list[str]:
        with connected():
            return [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]

    def _erase_call(self) -> None:
        """A call that was not recorded is erased at its person's request."""
        house, now = self.house, self.house.clock()
        when, number = {"now": now, "entropy": house.entropy}, "+32470777777"
        row = NotRecordedRow(
            id=str(uuid7(now, house.entropy)), tenant=self.world.tenant, line=house.line.id,
            number="+3225550100", direction="inbound", node="node1", external_party=Party("e164", number),
            started_at=now, ended_at=now, reason="refused", quarantined_until=None,
        )  # fmt: skip
        recordings.add_not_recorded(row, **when)
        request = request_register.enter(
            self.world.tenant, number=number, wants="erasure", language="fr", received_on=now.date(),
            by_kind="user", by=self.world.user, **when,
        )  # fmt: skip
        vouch(self.world.tenant, request.id, signer=house.services.signer, **when)
        verified = request_register.find_erasure_request(self.world.tenant, request.id, now)
        assert call_erasure.erase_calls(house.changes, verified, self.world.user).erased == 1

    def _app(self) -> Flask:
        free = LoginLimits(**{each: RateLimit(10**6, 1) for each in LoginLimits.__slots__})
        house = self.house
        app = house.app(
            WebConfig(secret_key=b"k" * 32, secure_cookies=False, login_limits=free, factor_limits=free),
            proofs=EntryProofs(house.store, house.root_public),
            number_proofs=NumberProofs(("be",), 12, now=house.clock, entropy=house.entropy),
            registration=Registration(house.keyring, house.changes.signer, "open", entropy=house.entropy),
        )
        app.jinja_env.bytecode_cache = COMPILED
        return app

    def _log_in(self, tenant: str) -> tuple[UserRow, Browser]:
        user = self.house.user(
            tenant,
            f"admin@{tenant}.example",
            "customer_admin",
            name="Admin",
            language="en",
            password_hash=_hashed(),
        )
        browser = Browser(self.app.test_client())
        assert browser.log_in(user.login, PASSWORD).status_code == 303
        return user, browser

    def _append_to_both(self) -> None:
        """Something to sign for each customer."""
        for tenant in (self.world.tenant, self.other):
            users.set_profile(
                tenant, (self.ours if tenant == self.world.tenant else self.theirs)[0].id, name="Admin A.",
                language="en", now=self.house.clock(), entropy=self.house.entropy,
            )  # fmt: skip

    # --- going on

    def restore(self) -> None:
        """Put everything back, and end what an exception left open."""
        self.live.rollback()
        if database.in_transaction():
            database.rollback()
        database.obj._state.reset()
        self._saved.backup(self.live)
        bucket, self.house.clock.at = self.house.bucket, self.at
        for path in bucket.rglob("*"):
            if path.is_file() and str(path.relative_to(bucket)) not in self.objects:
                path.unlink()
        for name, content in self.objects.items():
            path = bucket / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def go_on(self, attack: Callable[[], set[str]]) -> Effects:
        """Attack, and let everything happen that would; returns the effects. The attack returns what it hit
        itself: keys of objects, and ``table/primary key`` of rows."""
        self.restore()
        hit, effects = attack(), Effects()
        with capture_logs() as lines:
            for name, step in self._steps().items():
                try:
                    effects.names |= {f"{name}: {each}" for each in step(effects)}
                except AccordError as error:  # the command ends with what is wrong
                    effects.names.add(f"{name}: {error.error_id}")
                except Exception as error:  # whatever it is, it stopped there
                    effects.troubles.add(f"stopped: {name}: {type(error).__name__}")
        effects.names |= {
            f"log: {each['event']}" for each in lines if each["log_level"] in ("warning", "error")
        }
        effects.troubles |= {
            f"stopped: duty {each['duty']}" for each in lines if each["event"] == "duty.delayed"
        }
        effects.troubles |= {f"destroyed: {each}" for each in self._destroyed(hit)}
        effects.names -= self.before.names
        effects.troubles -= self.before.troubles
        return effects

    def _steps(self) -> dict[str, Callable[[Effects], Iterator[str]]]:
        return {
            "pages": self._look,
            "duties": self._work,
            "audit": self._audit,
            "verify": self._verify,
            "rebuild": self._rebuild,
        }

    def _look(self, effects: Effects) -> Iterator[str]:
        """Everybody looks at their pages, and at what is not theirs."""
        call = f"/recordings/{self.world.live_recording}"
        for path in (*PAGES, call):
            status, _ = self._get(self.ours[1], path, effects)
            if status != 200:
                yield f"{self._without_id(path)} answers {status}"
        for path in ("/recordings", call):
            _, text = self._get(self.theirs[1], path, effects)
            if any(each in text for each in self.secrets if each not in path):
                effects.troubles.add(f"disclosed: {self._without_id(path)} to another customer")
        user = self.theirs[0]
        try:
            actor = Actor(user.id, user.tenant, user.role, "en", None, user.lines)
            self.house.gate.grant(actor, self.world.live_recording, "agreement")
        except AccordError:
            pass
        else:
            effects.troubles.add("disclosed: a grant to another customer")

    def _get(self, browser: Browser, path: str, effects: Effects) -> tuple[int, str]:
        answer = browser.get(path)
        if answer.status_code >= 500:
            effects.troubles.add(f"stopped: page {self._without_id(path)}")
        return answer.status_code, answer.get_data().decode(errors="replace")

    def _without_id(self, path: str) -> str:
        return path.replace(self.world.live_recording, "…")

    def _work(self, effects: Effects) -> Iterator[str]:
        """An hour later, the worker does its duties."""
        before = self._checkpoints()
        self.house.clock.forward(hours=1)
        self._keep(FaultLog())
        after = self._checkpoints()
        if after.get(self.other, 0) <= before.get(self.other, 0):
            effects.troubles.add("stopped: the other customer's log is not signed")
        yield from ()

    def _keep(self, faults: FaultLog) -> None:
        house = self.house
        house.clock.forward(minutes=2)
        services = replace(house.services, checkpoints_seen={}, faults=faults)
        guard = ClockGuard(
            house.folder / ".clock", {}, house.clock, since_boot=lambda: since_boot(house.clock())
        )
        (house.folder / ".clock").unlink(missing_ok=True)
        Duties(services, CheckpointWitnesses(), guard, node="node1").keep()

    def _checkpoints(self) -> dict[str, int]:
        names = [str(path.parent.name) for path in self.house.bucket.glob("checkpoints/*/*.note")]
        return {each: names.count(each) for each in names}

    def _audit(self, _effects: Effects) -> Iterator[str]:
        services = self.house.services
        audit = Audit(services.store, services.root, self.house.clock(), services.keyring, deep=True)
        known = set(self._tenants())
        if self.world.tenant in known:
            yield from (each.code for each in audit.tenant(self.world.tenant))
        yield from (each.code for each in (*audit.lost_logs(known), *audit.shared(known)))

    def _verify(self, _effects: Effects) -> Iterator[str]:
        services = self.house.services
        for prefix in sorted(
            {name.rpartition("/")[0] + "/" for name in self.objects if name.endswith("manifest.json")}
        ):
            report = verification.verify(
                services.store, prefix, services.root, services.keyring, self.house.clock(), {}
            )
            yield from (each.code for each in report.findings)

    def _rebuild(self, _effects: Effects) -> Iterator[str]:
        services = self.house.services
        report = Rebuild(
            services.store, services.keyring, services.root, self.house.clock, self.house.entropy, threads=1
        ).run()
        yield from (each.code or "" for each in rebuild_queue.problems())
        yield from (each for each in report.outcomes if each != "unchanged")
        yield from (code for _, code, _ in report.limits.left_out)
        rebuild_queue.finish()

    # --- what is left

    def _precious(self) -> dict[str, dict[str, tuple[Any, ...]]]:
        found = {}
        for table, columns in PRECIOUS.items():
            names = ", ".join(columns)
            rows = self.live.execute(f"SELECT id, {names} FROM {table}").fetchall()
            found[table] = {f"{table}/{row[0]}": row[1:] for row in rows}
        return found

    def _destroyed(self, hit: set[str]) -> Iterator[str]:
        """What is no longer as it was, beside what the attack hit itself."""
        for name, content in self.objects.items():
            path = self.house.bucket / name
            if (
                name not in hit
                and not name.startswith(APPENDED)
                and (not path.is_file() or path.read_bytes() != content)
            ):
                yield (
                    name.partition("/")[0]
                    if "/" in name and name.split("/")[0] in {"keys", "disputes"}
                    else Path(name).name
                )
        for table, rows in self._precious().items():
            before = self.precious[table]
            for name, columns in before.items():
                if name not in hit and rows.get(name) != columns:
                    yield table
