"""Two customers with one of every object that an address can name, people of every role who are logged in,
and a way to put everything back after a request."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyotp
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from recorder.auditlog import checkpoint
from recorder.auditlog.append import append
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import KeepOptions, LineRow, UserRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.domain import roles
from recorder.domain.parties import Party
from recorder.features.access_log.verification import EntryProofs
from recorder.features.call_list import saved_filters
from recorder.features.contacts import service as contacts
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.imports.service import Importer
from recorder.features.imports.table import ImportRow
from recorder.features.live import queries as live_queries
from recorder.features.live import service as live_service
from recorder.features.live.queries import LiveRow
from recorder.features.notes import service as notes
from recorder.features.notifications import queries as notification_queries
from recorder.features.notifications import service as notifications
from recorder.features.notifications.rules import KINDS, NOT_AT_ALL
from recorder.features.offboarding import service as offboarding
from recorder.features.offboarding.plan import prepare_handover
from recorder.features.own_call.tenant_rule import change_rule
from recorder.features.subject_requests import reviews
from recorder.features.subject_requests import service as subject_requests
from recorder.features.team.account_links import ADDRESS, AccountLinks
from recorder.features.team.invitations import Invitations
from recorder.features.tenants import composition, keep_setup, line_proposals, setup
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.identity import api_tokens, factor_reset, users
from recorder.identity.throttle import RateLimit
from recorder.ids import uuid7
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.mail.outbox import Outbox
from recorder.playback.interface import Actor
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import EXPIRED
from recorder.verification_calls.policy import CallPolicy
from tests.amendments import amend
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import PASSWORD, RATE, Customer, House, _hashed, wav_of
from tests.unit.web.conftest import COMPILED, TOKEN, Browser
from web import WebConfig
from web.config import Brand, LoginLimits
from web.state import KEY

ROLES = {
    "colleague": "customer",
    "elsewhere": "customer",
    "auditor": "auditor",
    "admin": "customer_admin",
}
"""Names of people who are logged in, and their roles; ``elsewhere`` only sees the calls of another number."""

PROVIDER = {"operator": "operator", "support": "support"}
"""The same of the provider's people, who ask for what a customer's colleague may."""

GUESTS = ("nobody", "ended", "waiting")
"""Who is not logged in: without a session, after the end of their access, before their second step."""

RECORDED = "recorded"
"""The person who was recorded, a guest of a difference, by name."""

PERSONAL = ("grant_id", "filter_id", "session_id")
"""Arguments of addresses that name something of one person."""

OBJECTS = (
    "recording_id", "note_id", "token_id", "line_id", "announcement_id", "call_id", "command_id", "user_id",
    "invitation_id", "notification_id", "request_id", "number", "dispute_id", "guest_id", "passage_id",
    *PERSONAL,
)  # fmt: skip
"""Arguments of addresses that name something of a customer."""

UNKNOWN = "01930000-0000-7000-8000-00000000ffff"
PLAY = "p" * 22

QUIET = {"log_leaf", "throttle", "lease"}
"""What a refused request may write to: the log, and the count of attempts."""

Form = Mapping[str, Any]


@dataclass
class Company:
    """A customer, their people by name, and ids by the name of an address's argument."""

    key: str
    """``ours`` or ``theirs``."""
    customer: Customer
    second: LineRow
    people: dict[str, UserRow] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)
    own: dict[tuple[str, str], str] = field(default_factory=dict)
    """Ids of what belongs to one person: by name and argument."""
    secrets: dict[str, str] = field(default_factory=dict)
    """What nobody of another customer may see, by what it is."""

    @property
    def id(self) -> str:
        return self.customer.id


@dataclass(frozen=True)
class Person:
    """Somebody with a browser: their ``name`` in the table, their company, cookies and form token."""

    name: str
    company: Company
    user: UserRow | None
    cookies: Mapping[str, str]
    token: str
    bearer: str = ""


class World:
    """The installation, with a snapshot of each state that requests begin in."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.entropy = Clock(), RepeatableEntropy()
        (folder / "house").mkdir()
        self.house = House(folder / "house", self.clock, self.entropy)
        self.folder = folder
        self.app, self.config = self._app()
        self.people: dict[tuple[str, str], Person] = {}
        self.ours = self._company("ours", "Menuiserie Alder", "Alder", "+3225550140", "+3225550141")
        self.theirs = self._company("theirs", "Van Dyck NV", "Dyck", "+3225550198", "+3225550199")
        for company in (self.ours, self.theirs):
            self._complete(company)
            self._open_dispute(company)
        self._put_calls()
        self.clock.forward(hours=1)
        checkpoint.sign_due(replace(self.house.services, checkpoints_seen={}), self.clock())
        for company in (self.ours, self.theirs):
            with connected():
                leaves = LeafTable.select().where(LeafTable.tenant == company.id).count()
            company.ids["number"] = leaves - 1
        self._put_calls()
        for company in (self.ours, self.theirs):
            self._issue_links(company)
            self._log_in(company)
            self._admit_guest(company)
        self._log_in_others()
        self._log_in_provider()
        self._admit_support()
        self.file = Path(self.house.catalogue_url.partition(":///")[2])
        self.live = sqlite3.connect(self.file)
        self._snapshots: dict[str, Path] = {}
        self._version, self._state = -1, ""
        self._save("")

    def close(self) -> None:
        self.live.close()
        self.house.close()

    # --- requests

    def path(self, rule: Rule, values: Mapping[str, Any]) -> str:
        """The address of a rule, with the values of its arguments."""
        url_path = rule.build({each: values[each] for each in rule.arguments})
        assert url_path is not None
        return url_path[1] + ("?play=" + PLAY if rule.endpoint == "playback.send_audio" else "")

    def values(self, person: Person, rule: Rule, of: Company | None = None) -> dict[str, Any]:
        """The arguments of an address as ``person`` would use it, or with the objects ``of`` a company."""
        company = of or person.company
        special = {**self.SPECIAL.get(rule.endpoint, {})}
        found = {}
        for each in rule.arguments:
            name = special.get(each, each)
            own = company.own.get((person.name, each)) if of is None else None
            found[each] = own or company.own.get(("colleague", each)) or company.ids[name]
        return found

    SPECIAL: Mapping[str, Mapping[str, str]] = {
        "retention.download_receipt": {"recording_id": "erased"},
        "retention.state_basis": {"recording_id": "imported"},
        "numbers.enter_code": {"call_id": "number_call"},
        "numbers.show_call": {"call_id": "number_call"},
        "account.confirm_reset": {"request_id": "reset_request"},
        "account.withdraw_reset": {"request_id": "reset_request"},
        "subject_requests.call_number": {"request_id": "unverified"},
        "subject_requests.check_code": {"request_id": "unverified"},
        "subject_requests.vouch": {"request_id": "unverified"},
        "subject_requests.show_vouching": {"request_id": "unverified"},
        "subject_requests.erase": {"request_id": "erasure"},
        "team.accept": {"token": "invitation_token"},
        "disputes.agree_to_guest": {"guest_id": "helper_id"},
        "disputes.answer_invitation": {"token": "guest_token"},
        "disputes.show_outcome": {"token": "no_token"},
        "disputes.vouch": {"guest_id": "newcomer_id"},
        "team.reset_password": {"token": "reset_token"},
        "team.confirm_address": {"token": "address_token"},
    }
    """Where an argument of an endpoint is not the company's usual object."""

    def send(
        self, person: Person, method: str, path: str, form: Form | None = None, *, token: bool = True
    ) -> TestResponse:
        """A request of somebody, in a browser with their cookies; the limits on requests are lifted."""
        client = self.app.test_client()
        for name, value in person.cookies.items():
            client.set_cookie(name, value)
        data = dict(form or {}) if method != "GET" else None
        if data is not None and token and person.token:
            data["csrf_token"] = person.token
        headers = {"Authorization": f"Bearer {person.bearer}"} if person.bearer else {}
        stream = path.endswith("/events")  # it ends only with the room
        answer = client.open(path, method=method, data=data, headers=headers, buffered=not stream)
        if stream:
            answer.response = list(islice(answer.iter_encoded(), 2))
        answer.close()
        return answer

    # --- states

    def begin(self, state: str = "") -> None:
        """Put catalogue and bucket back into a state, if a request has changed them or another one is
        needed."""
        if state not in self._snapshots:
            self.begin()
            make = {"leaving": self._leave, "held": self._hold, "reviewed": self._review}[state]
            for company in (self.ours, self.theirs):
                make(company)
            self._save(state)
            return
        if self.was_written or self._state != state:
            with sqlite3.connect(self._snapshots[state] / "catalogue.db") as saved:
                saved.backup(self.live)
            saved.close()
            self._restore(self._snapshots[state] / "bucket")
            self._version, self._state = self._data_version(), state

    @property
    def was_written(self) -> bool:
        """Whether anything was written to the catalogue since :meth:`begin`."""
        return self._version != self._data_version()

    def tables(self) -> dict[str, str]:
        """Each table's rows, but of those that a refusal may write to, and what is in the bucket."""
        names = [name for (name,) in self.live.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {"tenant": "id, name, language, languages, time_zone, plan, country, wrapped_key"}
        found = {
            name: repr(self.live.execute(f'SELECT {columns.get(name, "*")} FROM "{name}"').fetchall())
            for name in names
            if name not in QUIET
        }
        return found | {"the bucket": repr(sorted(self._files(self.house.bucket)))}

    def _data_version(self) -> int:
        (found,) = self.live.execute("PRAGMA data_version").fetchone()
        return int(found)

    def _save(self, state: str) -> None:
        folder = self.folder / f"state-{state or 'base'}"
        shutil.copytree(self.house.bucket, folder / "bucket")
        with sqlite3.connect(folder / "catalogue.db") as saved:
            self.live.backup(saved)
        saved.close()
        self._snapshots[state] = folder
        self._version, self._state = self._data_version(), state

    def _files(self, root: Path) -> Iterator[tuple[str, int, int]]:
        for folder, _, files in os.walk(root):
            for name in files:
                path = Path(folder, name)
                status = path.stat()
                yield str(path.relative_to(root)), status.st_size, status.st_mtime_ns

    def _restore(self, saved: Path) -> None:
        now, then = set(self._files(self.house.bucket)), set(self._files(saved))
        for name, _, _ in now - then:
            (self.house.bucket / name).unlink()
        for name, _, _ in then - now:
            (self.house.bucket / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(saved / name, self.house.bucket / name)

    def _leave(self, company: Company) -> None:
        """The customer leaves, and the archive is ready."""
        office = self.house.office()
        offboarding.announce(office, company.id, self.clock() + timedelta(days=30))
        prepare_handover(
            company.id,
            RecordingVerifier(self.house.store, self.house.keyring, self.house.root_public),
            self.house.store,
            signing.public_pem(self.house.root_public),
            partial(offboarding.hand_over, office, company.id),
            anew=False,
            now=self.clock(),
            entropy=self.entropy,
        )

    def _hold(self, company: Company) -> None:
        """A colleague keeps the recording for a difference."""
        colleague = company.people["colleague"]
        amend(
            self.house.changes.hold, company.id, company.ids["recording_id"], By("user", colleague.id),
            owner=colleague.id,
            purposes=["agreement"], reason="Order 12", review_at=self.clock() + timedelta(days=60),
            roles=["customer_admin"],
        )  # fmt: skip

    def _review(self, company: Company) -> None:
        """What the person gets of each recording is decided."""
        for each in reviews.find_recordings(company.id, CALLERS[company.customer.line.number]):
            reviews.decide(
                company.id, company.ids["request_id"], each.id, decision="own", why="Heard it all",
                who=company.people["admin"].id, now=self.clock(), entropy=self.entropy,
                signer=self.house.changes.signer,
            )  # fmt: skip

    # --- making it

    def _app(self) -> tuple[Flask, WebConfig]:
        free = LoginLimits(**{each: RateLimit(10**6, 1) for each in LoginLimits.__slots__})
        config = WebConfig(
            secret_key=b"k" * 32, secure_cookies=False, languages=("en", "fr"), patience=0.0,
            address="https://calls.example", login_limits=free, factor_limits=free,
            brand=Brand(logo=("image/svg+xml", b"<svg/>")),
        )  # fmt: skip
        house = self.house
        app = house.app(
            config,
            proofs=EntryProofs(house.store, house.root_public),
            number_proofs=NumberProofs(CallPolicy(calls_a_day=12), now=self.clock, entropy=self.entropy),
            registration=Registration(house.keyring, house.changes.signer, "open", entropy=self.entropy),
        )
        app.jinja_env.bytecode_cache = COMPILED
        return app, config

    def _company(self, key: str, name: str, family: str, number: str, other: str) -> Company:
        house, at, caller = self.house, {"now": self.clock(), "entropy": self.entropy}, CALLERS[number]
        customer = house.customer(name, number, label=f"Shop {family}", language="en")
        second = house.add_line(
            customer.id, other, customer.announcement.id, label=f"Office {family}", formats=("opus",)
        )
        company = Company(key, customer, second)
        for who, role in (*ROLES.items(), ("boss", ROLES["admin"]), ("target", ROLES["colleague"])):
            company.people[who] = house.user(
                customer.id,
                f"{who}@{family}.example",
                role,
                name=f"{who.title()} {family}",
                language="en",
                password_hash=_hashed(),
                lines=[second.id] if who == "elsewhere" else None,
            )
        people, ids, tenant = company.people, company.ids, customer.id
        self._add_factor(people["target"])
        recording = house.call(customer, external_party=Party("e164", caller), mode="opt-in")
        for who in ("colleague", "admin"):
            text = f"Note of {who} {family}"
            notes.add_note(tenant, recording, people[who].id, text=text, at_ms=None, **at)
        notes.add_label(tenant, recording, people["admin"].id, text=f"Label {family}", **at)
        for each in notes.notes_of(tenant, recording):
            if each.kind == "note":
                who = next(who for who, user in people.items() if user.id == each.user)
                company.own[who, "note_id"] = each.id
        contacts.write_names(tenant, people["admin"].id, {caller: f"Caller {family}"}, **at)
        for who in ROLES:
            saved_filters.save_filter(tenant, people[who].id, f"Filter of {who} {family}", {}, **at)
            (found,) = saved_filters.saved_filters(tenant, people[who].id)
            company.own[who, "filter_id"] = found.id
        invited = Invitations(house.changes.signer, house.trust, Outbox(), self.clock, self.entropy).invite(
            tenant, address=f"eva@{family}.example", name=f"Eva {family}", role="customer", lines=None,
            language="en", by=By("user", people["admin"].id),
        )  # fmt: skip
        house.factors.request_reset(people["target"], people["boss"])
        (reset,) = factor_reset.open_requests(tenant, self.clock())
        notifications.note_import(
            tenant, family.encode(), imported=1, failed=0, until=self.clock(), now=self.clock(),
            entropy=self.entropy,
        )  # fmt: skip
        (imported,) = notification_queries.notifications(tenant)
        ids |= {
            "tenant_id": tenant,
            "notification_id": imported.id,
            "recording_id": recording,
            "line_id": customer.line.id,
            "announcement_id": customer.announcement.id,
            "call_id": str(uuid7(self.clock(), self.entropy)),
            "ended_call": str(uuid7(self.clock(), self.entropy)),
            "user_id": people["target"].id,
            "invitation_id": invited.id,
            "invitation_token": invited.path.rpartition("/")[2],
            "request_id": self._request(company, caller, "both", vouched=True),
            "reset_request": reset.id,
            "part": "announcement", "place": 0, "command": "pause", "name": "audio.opus", "rest": "nothing",
            "filename": "accord.css",
        }  # fmt: skip
        company.secrets = {
            "the customer": name,
            "the caller": caller[-8:],
            "a recording": recording,
            "a live call": ids["call_id"],
            "a call being stored": ids["ended_call"],
            "a note": f"Note of colleague {family}",
            "a label": f"Label {family}",
            "the caller's name": f"Caller {family}",
            "the number": number[-8:],
            "its label": f"Shop {family}",
            "a colleague": f"Colleague {family}",
            "an invitation": f"Eva {family}",
            "a request": ids["request_id"],
        }
        return company

    def _request(self, company: Company, caller: str, wants: str, *, vouched: bool) -> str:
        at = {"now": self.clock(), "entropy": self.entropy}
        row = subject_requests.enter(
            company.id, number=caller, wants=wants, language="en", received_on=date(2026, 11, 24),
            by_kind="user", by=company.people["admin"].id, **at,
        )  # fmt: skip
        for who in ("admin", "colleague") if vouched else ():
            subject_requests.vouch(company.id, row.id, how="Seen", who=company.people[who].id, **at)
        return row.id

    def _complete(self, company: Company) -> None:
        """Add a call that was erased and one that was imported, further requests, and links."""
        house, tenant, ids = self.house, company.id, company.ids
        caller = CALLERS[company.customer.line.number]
        who = By("user", company.people["admin"].id)
        change_rule(tenant, on=True, days=14, names=False, by=who, now=self.clock(), entropy=house.entropy)
        at = {"now": self.clock(), "entropy": house.entropy}
        promise = {"purposes": ["agreement"], "keep_days": 90, "mode": "notice"}
        longer = composition.compose(tenant, name="longer", language="en", **promise, **at)
        change = LineChange(announcements=[longer.id], keep=KeepOptions(365))
        outcome = line_proposals.change_or_propose(company.customer.line, change, **at)
        assert outcome.code == line_proposals.PENDING, outcome
        erased_call = house.call(company.customer, external_party=Party("e164", "+32470999999"))
        row = queries.recording(tenant, erased_call)
        assert row is not None
        chain = chain_of(house.store, row.prefix, house.root_public)
        expiry.destroy(ExpiredRecording(row, chain, EXPIRED), house.services, self.clock())
        file = self.folder / "old.wav"
        file.write_bytes(wav_of(np.full((RATE, 2), 900, np.int16)))
        owner = queries.tenant(tenant)
        assert owner is not None
        start = self.clock() - timedelta(days=90)
        outcome = Importer(owner, self.clock() + timedelta(days=60), house.services).bring(
            ImportRow(2, file, start, "+32470999998", company.customer.line.number, "inbound", "")
        )
        proofs, admin = self.app.extensions[KEY].number_proofs, company.people["admin"].id
        ids |= {
            "number_call": proofs.order_call(owner, NEW_NUMBERS[company.key], who=admin).id,
            "erased": erased_call,
            "imported": outcome.recording,
            "unverified": self._request(company, caller, "both", vouched=False),
            "erasure": self._request(company, caller, "erasure", vouched=True),
        }
        with writing():
            for _ in range(40 if company is self.ours else 0):  # the other customer's log shall be shorter
                refused = {"user": company.people["boss"].id}
                append(tenant, "session.refused", refused, self.clock(), self.entropy)

    def _open_dispute(self, company: Company) -> None:
        """A difference about a call of its own, to which the person, a helper and a newcomer are invited."""
        house, admin = self.house, company.people["admin"]
        recording = house.call(company.customer, external_party=Party("e164", OTHER_CALLERS[company.key]))
        disputes = Disputes(house.changes)
        invitations = GuestInvitations(disputes, Outbox())
        day = (self.clock() + timedelta(days=9)).date()
        subject = f"Price of {company.key}"
        dispute = disputes.open(admin, [recording], subject=subject, settle_by=day).id
        invitation = partial(invitations.invite, admin, dispute, language="en", address=None)
        guest, newcomer = (invitation(name=f"{each} {company.key}") for each in ("Guest", "Newcomer"))
        Agreements(disputes).mark_passage(admin, dispute, recording, 0, 1000, f"Words of {company.key}")
        passage = disputes.find(company.id, dispute).passages[0].id
        invitations.call_support(admin, dispute, [passage], name="Support")
        helper = disputes.find(company.id, dispute).guests[-1].id
        company.ids |= {
            "dispute_id": dispute, "guest_id": guest.guest, "passage_id": passage, "helper_id": helper,
            "newcomer_id": newcomer.guest, "disputed": recording, "no_token": UNKNOWN,
            "guest_token": newcomer.path.rpartition("/")[2], "guest_link": guest.path,
            "guest_code": guest.code, "newcomer_code": newcomer.code,
        }  # fmt: skip
        company.secrets["a difference"] = subject

    def _admit_guest(self, company: Company) -> None:
        """The person comes in by the link, is recognised, and lets support listen."""
        ids = company.ids
        invitations = GuestInvitations(Disputes(self.house.changes), Outbox())
        browser = Browser(self.app.test_client())
        page = browser.token(ids["guest_link"])
        answer = browser.send(ids["guest_link"], page, answer="accepted", code=ids["guest_code"])
        assert answer.status_code == 303
        for who in ("colleague", "admin"):
            invitations.vouch(company.people[who], ids["dispute_id"], ids["guest_id"], "I know her")
        user = users.user(company.id, ids["guest_id"])
        assert user is not None
        self.people[company.key, RECORDED] = self._person(browser, RECORDED, company, user)
        invitations.agree_to_guest(
            user, ids["dispute_id"], ids["helper_id"], "accepted", passages=[ids["passage_id"]]
        )

    def _admit_support(self) -> None:
        ids, user = self.ours.ids, self.people["provider", "support"].user
        assert user is not None
        GuestInvitations(Disputes(self.house.changes), Outbox()).enter(
            user, self.ours.id, ids["dispute_id"], ids["helper_id"], "They asked for help"
        )

    def _issue_links(self, company: Company) -> None:
        services = (self.house.changes.signer, self.house.trust, Outbox(), self.clock, self.entropy)
        links, people = AccountLinks(self.config.secret_key, *services), company.people
        reset = links.issue_reset(people["colleague"], None)
        company.ids["reset_token"] = reset.path.rpartition("/")[2]
        with writing():
            token = links._issue(people["boss"], ADDRESS, None, f"new@{company.key}.example")
        company.ids["address_token"] = token

    def _add_factor(self, user: UserRow) -> None:
        key = self.house.factors.new_app_key(user)
        code = pyotp.TOTP(self.house.factors.secret(user, key)).at(self.clock())
        assert self.house.factors.add_app(user, key, code)

    def _put_calls(self) -> None:
        """Both customers have a live call, for which a command was given, and one that is being stored."""
        for node, company in (("node1", self.ours), ("node2", self.theirs)):
            line = company.customer.line
            row = LiveRow(
                id=company.ids["call_id"], tenant=company.id, node=node, line=line.id, number=line.number,
                direction="inbound", external_party=Party("e164", CALLERS[line.number]),
                started_at=self.clock(), announced=True, paused_until=None, deletable=True,
            )  # fmt: skip
            ended = replace(row, id=company.ids["ended_call"], deletable=False, ended_at=self.clock())
            live_queries.put(node, [row, ended], self.clock())
            command = live_service.request_command(
                company.id, row.id, "mark", by="panel", who=company.people["admin"].id, now=self.clock(),
                entropy=self.entropy, signer=self.house.changes.signer,
            )  # fmt: skip
            assert command is not None
            company.ids["command_id"] = command.id

    def _log_in(self, company: Company) -> None:
        for who in ROLES:
            user = company.people[who]
            person = self._visit(company, who, user)
            session = company.own[who, "session_id"]
            if who in ("colleague", "admin"):
                actor = Actor(user.id, user.tenant, user.role, "en", session, user.lines)
                grant = self.house.gate.grant(actor, company.ids["recording_id"], "agreement")
                company.own[who, "grant_id"] = grant.id
                list(self.house.gate.open(actor, grant.id, "audio.opus", PLAY).read(0, 10))
            self.people[company.key, who] = person
        secret = f"accord_{company.id}"
        token = api_tokens.create(
            company.id, name="till", token_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            now=self.clock(), entropy=self.entropy, signer=self.house.services.signer,
        )  # fmt: skip
        company.ids["token_id"] = token.id
        guest = self._person(Browser(self.app.test_client()), "program", company, None)
        self.people[company.key, "program"] = replace(guest, bearer=secret)

    def _log_in_others(self) -> None:
        """Those who have no whole session."""
        ours, create_args = self.ours, {"now": self.clock(), "entropy": self.entropy}
        self.people["ours", "nobody"] = self._person(Browser(self.app.test_client()), "nobody", ours, None)
        self.people["ours", "waiting"] = self._visit(ours, "waiting", ours.people["target"])
        for who in ("ended", "enrolling"):
            ours.people[who] = self.house.user(
                ours.id,
                f"{who}@alder.example",
                ROLES["admin"],
                name=f"{who.title()} Alder",
                language="en",
                password_hash=_hashed(),
            )
        self.people["ours", "ended"] = self._visit(ours, "ended", ours.people["ended"])
        users.revoke_user(ours.id, ours.people["ended"].id, **create_args)
        self.house.factors.require_second_factor(ours.people["admin"], True)
        self.people["ours", "enrolling"] = self._visit(ours, "enrolling", ours.people["enrolling"])
        self.house.factors.require_second_factor(ours.people["admin"], False)

    def _log_in_provider(self) -> None:
        Registration(self.house.keyring).open_provider("Telvoip", "en", self.clock())
        for who, role in PROVIDER.items():
            user = self.house.user(
                roles.PROVIDER,
                f"{who}@telvoip.example",
                role,
                name=f"{who.title()} Telvoip",
                language="en",
                password_hash=_hashed(),
            )
            self.people["provider", who] = self._visit(self.ours, who, user)

    def _visit(self, company: Company, name: str, user: UserRow) -> Person:
        browser = Browser(self.app.test_client())
        assert browser.log_in(user.login, PASSWORD).status_code == 303
        with connected():
            session = SessionTable.get_or_none(SessionTable.user == user.id)
        if session is not None:
            company.own[name, "session_id"] = session.id
        return self._person(browser, name, company, user)

    def _person(self, browser: Browser, name: str, company: Company, user: UserRow | None) -> Person:
        found = TOKEN.search(browser.get("/login", follow_redirects=True).text)
        assert found is not None
        cookies = {}
        for each in ("accord-session", "accord-form"):
            if (cookie := browser.client.get_cookie(each)) is not None:
                cookies[each] = cookie.value
        return Person(name, company, user, cookies, found.group(1))


CALLERS = {"+3225550140": "+32470135790", "+3225550198": "+32470654321"}
"""Who calls which number."""

OTHER_CALLERS = {"ours": "+32470135791", "theirs": "+32470654322"}
"""Who called about what a difference is about."""

NEW_NUMBERS = {"ours": "+3225550120", "theirs": "+3225550121"}
"""What the customers are adding."""


FormOf = Callable[[World, Person], Form]


def _digest(world: World, person: Person) -> Form:
    line = person.company.customer.line
    return {"digest": setup.preview(line.tenant, line).digest}


def _proposal(world: World, person: Person) -> Form:
    view = line_proposals.show_proposal(person.company.customer.line)
    assert view is not None
    return {"digest": view.digest, "number": str(view.proposal.number)}


def _bulk(world: World, person: Person) -> Form:
    return {"lines": person.company.ids["line_id"], "mode": "opt-in"}


def _keep_digest(world: World, person: Person) -> Form:
    line = person.company.customer.line
    digest = keep_setup.preview_keep(line.tenant, line, KeepOptions(365)).digest
    return {"way": "question", "keep_days": "365", "wording": "short", "digest": digest}


FORMS: Mapping[str, Form | FormOf] = {
    "account.add_app": lambda world, person: {
        "app_key": world.house.factors.new_app_key(person.user) if person.user else "", "code": "000000",
    },
    "account.change_password": {"current": PASSWORD, "password": "seven quiet lanterns rowing north"},
    "account.change_profile": {"name": "Somebody Else", "language": "en"},
    "account.change_rule": {"required": "yes"},
    "account.log_in": {"login": "nobody", "password": "a guess of somebody"},
    "account.second_step": {"code": "000000"},
    "language.set_language": {"language": "fr"},
    "call_list.change_selection": lambda world, person: {
        "recording": person.company.ids["recording_id"], "action": "label", "new_label": "Ordered",
    },
    "contacts.save_contact": {"number": "+32470135792", "name": "Jan Peeters"},
    "contacts.import_contacts": {"lines": "Jan Peeters; +32470135793"},
    "contacts.name_caller": {"name": "Jan Peeters"},
    "own_call.check_code": {"code": "123 456 789"},
    "own_call.check_spoken": {"code": "123456"},
    "own_call.edit_setting": {"on": "yes", "days": "7"},
    "notes.add_label": {"label": "Ordered"},
    "notes.add_note": {"text": "Ordered"},
    "notes.edit_note": {"text": "Ordered"},
    "notifications.change_choices": dict.fromkeys(KINDS, NOT_AT_ALL),
    "notifications.mark_all_read": {"until": "2026-11-25T10:00:00.000Z"},
    "notifications.mark": {"change": "2026-11-25T10:00:00.000Z", "read": "yes"},
    "numbers.save_country": {"country": "be"},
    "provider.suspend": {"reason": "Unpaid"},
    "provider.rename": {"company": "Somebody Else"},
    "provider.move_number": lambda world, person: {"to": world.theirs.id},
    "provider.save_country": {"country": "be", "rules": "stricter"},
    "numbers.save_setup": {
        "purposes": "agreement", "mode": "notice", "keep_days": "60", "languages": "en", "first": "en",
        "wording": "short", "greeting_text": "",
    },
    "numbers.enter_code": {"code": "000000"},
    "numbers.save_settings": {
        "label": "Counter", "timing": "before_ringing", "outbound": "before_connected", "beep": "both",
        "deletable": "yes",
    },
    "numbers.accept_proposal": _proposal,
    "numbers.drop_proposal": _proposal,
    "provider.preview_announcements": _bulk,
    "provider.change_announcements": _bulk,
    "provider.withdraw_proposal": _proposal,
    "numbers.switch_on": _digest,
    "numbers.switch_on_keep_question": _keep_digest,
    "playback.close_listen": {"play": PLAY},
    "playback.download": {"purpose": "agreement", "format": "audio.wav"},
    "packs.make_pack": {"purpose": "agreement", "language": "fr"},
    "playback.report_listening": {"play": PLAY, "played": "0-1000"},
    "playback.request_grant": {"purpose": "agreement"},
    "provider.invite_customer": {
        "company": "Reliure Adam", "country": "be", "time_zone": "Europe/Brussels", "languages": ["fr"],
        "plan": "starter", "name": "Ada Adam", "login": "ada@adam.example", "language": "fr", "how": "link",
    },
    "branding.edit_settings": {"name": "Telvoip"},
    "api_tokens.create_token": {"name": "till"},
    "company.save_company": {"company": "Somebody Else", "time_zone": "Europe/Brussels"},
    "call_list.save_filter": {"name": "Mine"},
    "disputes.agree_to_guest": lambda world, person: {
        "answer": "declined", "passage": person.company.ids["passage_id"],
    },
    "disputes.answer_invitation": lambda world, person: {
        "answer": "accepted", "code": person.company.ids["newcomer_code"],
    },
    "disputes.answer_outcome": {"action": "write", "outcome": "open", "text": "We leave it."},
    "disputes.answer_passage": {"action": "open"},
    "disputes.ask_for_help": lambda world, person: {
        "role": "neutral", "passages": person.company.ids["passage_id"], "name": "Nora", "language": "en",
    },
    "disputes.check_call_code": {"code": "000000"},
    "disputes.enter_room": {"reason": "They asked for help"},
    "rooms.give_command": {"action": "pause", "seq": "0"},
    "disputes.invite": {"name": "Nora", "language": "en", "how": "link"},
    "disputes.mark_passage": lambda world, person: {
        "recording": person.company.ids["disputed"], "begin": "0", "end": "1", "text": "The price",
    },
    "disputes.open_dispute": {"subject": "The price", "settle_by": "2026-12-01"},
    "rooms.request_room_grant": lambda world, person: {"recording": person.company.ids["disputed"]},
    "disputes.reschedule": {"settle_by": "2026-12-01"},
    "disputes.vouch": {"reason": "I know her"},
    "retention.change_limit": {"purpose": "agreement", "days": "20"},
    "retention.delete": {"reason": "Not needed"},
    "retention.hand_over": lambda _world, person: {
        "hold": "1", "handler": person.company.people["admin"].id,
    },
    "retention.lift_hold": {"hold": "1", "reason": "Settled"},
    "retention.narrow_purposes": {"purpose": "agreement", "reason": "By letter"},
    "retention.record_agreement": {"on": "2026-11-25", "until": "2027-11-25", "reason": "By letter"},
    "retention.set_hold": {"purpose": "agreement", "reason": "Order 12", "review": "2027-01-15"},
    "retention.state_basis": {"purpose": "agreement", "days": "120", "reason": "By contract"},
    "retention.withdraw_consent": {"reason": "By letter"},
    "subject_requests.add_request": {
        "number": "+32470111111", "wants": "copy", "language": "en", "received": "2026-11-24",
    },
    "subject_requests.check_code": {"code": "123456"},
    "subject_requests.close": {"how": "answered"},
    "subject_requests.erase": {"sure": "yes"},
    "subject_requests.extend": {"why": "Many calls"},
    "subject_requests.review_recording": {"given": "own", "why": "Heard it all"},
    "subject_requests.vouch": {"how": "I know the voice"},
    "team.accept": {"password": "short"},
    "team.change": {"role": "auditor", "sees": "all"},
    "team.change_address": {"address": "new@alder.example", "password": "a guess of somebody"},
    "team.invite": {
        "name": "Tom", "address": "tom@alder.example", "role": "customer", "sees": "all", "language": "en",
        "how": "link",
    },
    "team.renew": {"how": "link"},
    "team.reset_password": {"password": "short"},
}  # fmt: skip
"""What a form sends, by endpoint; the others send nothing but their token."""

STATES = {
    "offboarding.show": "leaving",
    "offboarding.download": "leaving",
    "retention.hand_over": "held",
    "retention.lift_hold": "held",
    "subject_requests.download_copy": "reviewed",
}
"""The state in which an endpoint is asked, where it is not the usual one."""


def form_of(world: World, endpoint: str, person: Person) -> Form:
    """What a person sends to an endpoint."""
    found = FORMS.get(endpoint, {})
    return found(world, person) if callable(found) else found


def text_of(answer: TestResponse) -> str:
    """The body, whatever it is."""
    return answer.get_data().decode(errors="replace")


def without_ids(answer: TestResponse, ids: Mapping[str, Any]) -> tuple[object, ...]:
    """What an answer shows, without the ids that were sent, form tokens, and what is new in each answer."""
    text = re.sub(r'(name="csrf_token"[^>]* value=|nonce=)"[^"]+"', r"\1", text_of(answer))
    place = answer.headers.get("Location", "")
    for each in sorted((str(value) for value in ids.values()), key=len, reverse=True):
        text, place = text.replace(each, "…"), place.replace(each, "…")
    return answer.status_code, answer.content_type, place, text
