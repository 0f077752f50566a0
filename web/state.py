"""What every request needs: settings, gate, clock, the visitor, and a connection to the catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Protocol, TypeVar, cast

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import ping, queries
from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.records import SessionRow, TenantRow, UserRow
from recorder.clock import Now, utc_now
from recorder.domain.roles import ADMIN, GUESTS, PROVIDER_ROLES
from recorder.errors import AccordError, RetentionError
from recorder.fault_log import FaultLog
from recorder.features.access_log.verification import EntryProofs
from recorder.features.branding.service import CurrentBranding
from recorder.features.disputes.dial_in import DialIn
from recorder.features.packs.service import Packs
from recorder.features.subject_requests.service import CopyRequest, ErasureRequest
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.health import Readiness
from recorder.identity.second_factors import SecondFactorService
from recorder.ids import Entropy
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.plans import CustomerPlan, plan_of
from recorder.mail.outbox import Outbox
from recorder.playback.interface import Actor, GateInterface, OpenSound, RecordingCopy, RecordingRelease
from recorder.prompts.composer import SHIPPED
from recorder.prompts.sound_sources import Sources
from recorder.verification_calls.policy import CallPolicy
from web.config import WebConfig
from web.login_refusals import LoginRefusals
from web.room_signals import RoomSignals

KEY = "accord"


class PanelGateInterface(GateInterface, Protocol):
    """The gate with the exits that features add to it (:class:`recorder.processes.gate.PanelGate`)."""

    def copy(self, who: Actor, request: CopyRequest, recording_id: str) -> RecordingCopy: ...

    def check_theirs(self, who: Actor, request: ErasureRequest, recording_id: str) -> None: ...

    def leaver(self, who: Actor) -> OffboardingRow | None: ...

    def handover(self, who: Actor) -> OpenSound: ...

    def release(self, who: Actor, recording_id: str, purpose: str) -> RecordingRelease: ...


@dataclass(frozen=True, slots=True)
class PanelState:
    """What a panel works with. ``gate`` is the only source of audio; ``readiness`` has the checks of
    ``/readyz``.

    ``changes`` writes amendments; ``None`` if the panel has no signing key.  Without ``factors``, nobody
    who ever had a second factor can log in.  ``outbox`` queues mail to people; by default none is sent, and
    pages show the links.  ``sources`` are those of the sound of sentences.  ``registration`` creates
    customers who register (``None``: nobody can).  ``proofs`` shows how an entry of the access log is
    checked; ``None`` where the store is not at hand.  ``packs`` makes packs (``None``: nobody gets one).
    ``number_proofs`` calls the numbers that customers add (``None``: the provider adds them).  ``branding``
    is what operators set of the provider's presentation (``None``: the settings alone apply).  ``dial_in``
    has the codes of guests who listen by telephone (``None``: nobody can), and ``own_call_keys`` are those
    of the codes for people's own calls."""

    config: WebConfig
    gate: PanelGateInterface
    now: Now = utc_now
    entropy: Entropy = os.urandom
    readiness: Readiness = field(default_factory=lambda: Readiness({"catalogue": ping.ping}))
    refused: LoginRefusals = field(default_factory=LoginRefusals)
    changes: Changes | None = None
    outbox: Outbox = field(default_factory=Outbox)
    factors: SecondFactorService | None = None
    sources: Sources = SHIPPED
    registration: Registration | None = None
    proofs: EntryProofs | None = None
    packs: Packs | None = None
    number_proofs: NumberProofs | None = None
    call_policy: CallPolicy = field(default_factory=CallPolicy)
    branding: CurrentBranding | None = None
    dial_in: DialIn | None = None
    own_call_keys: tuple[bytes, ...] = ()
    signals: RoomSignals = field(default_factory=RoomSignals)
    faults: FaultLog = field(default_factory=FaultLog)
    """What requests have met and that lasts."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The logged-in user of a request."""

    user: UserRow
    session: SessionRow
    tenant: TenantRow
    limited: bool = False
    """Whether they must set up a second factor before anything else."""

    @property
    def admin(self) -> bool:
        """Whether the user is an admin of their company."""
        return self.user.role == ADMIN

    @property
    def is_provider(self) -> bool:
        """Whether the user is one of the provider's people, who see nothing of any customer's calls."""
        return self.user.role in PROVIDER_ROLES

    @property
    def is_guest(self) -> bool:
        """Whether the user is a guest of a dispute, who sees its pages alone."""
        return self.user.role in GUESTS

    @property
    def scope(self) -> frozenset[str] | None:
        """The ids of the lines whose calls they see; ``None`` for all of their company's."""
        return None if self.user.lines is None else frozenset(self.user.lines)

    def sees(self, line: str | None) -> bool:
        """Whether the user sees the calls of a line; ``None`` is the line of a number that is nobody's."""
        return self.user.lines is None or line in self.user.lines

    def who(self, language: str, tenant: str = "") -> Actor:
        """The visitor as the gate identifies them, hearing the recordings of ``tenant`` (their own)."""
        home = self.tenant.id
        return Actor(
            self.user.id, tenant or home, self.user.role, language, self.session.id, self.user.lines,
            home if tenant not in ("", home) else "",
        )  # fmt: skip


def panel_state() -> PanelState:
    return cast(PanelState, current_app.extensions[KEY])


def report_unavailable(error: AccordError) -> None:
    """Log that catalogue or store are away for this page: once, until the page works again."""
    endpoint = request.endpoint or ""
    panel_state().faults.report("web.refused", error, endpoint, level="error", endpoint=endpoint)


def current_plan() -> CustomerPlan:
    """The plan of the visitor's company."""
    if "plan" not in g:
        g.plan = plan_of(current_visitor().tenant.id)
    return cast(CustomerPlan, g.plan)


def page_faults() -> FaultLog:
    """What this page leaves out, because its rows cannot be read: the page says so, and so does the log."""
    if "page_faults" not in g:
        g.page_faults = FaultLog()
    return cast(FaultLog, g.page_faults)


def now() -> datetime:
    return panel_state().now()


def visitor() -> Visitor | None:
    """The request's visitor; ``None`` if nobody is logged in."""
    return cast("Visitor | None", g.get("visitor"))


def current_visitor() -> Visitor:
    """The visitor, in a view behind :func:`login_required`."""
    found = visitor()
    if found is None:
        raise RuntimeError("a view that needs a visitor must be behind login_required")
    return found


def changes() -> Changes:
    """The amendment service, with the panel's signing key.  Raises :class:`RetentionError`
    (``retention.no_key``) if the panel has none."""
    found = panel_state().changes
    if found is None:
        raise RetentionError("retention.no_key", "the panel has no key to sign with", "`accord key renew`")
    return found


View = TypeVar("View", bound=Callable[..., object])


def login_required(view: View) -> View:
    """Decorates views for logged-in users; others are redirected to the log-in and return to the page after
    it."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        if visitor() is None:
            return redirect_to_login()
        return view(*args, **kwargs)

    return cast(View, guarded)


def redirect_to_login() -> Response:
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("account.log_in", next=None if target == "/" else target))


def load_tenant(user: UserRow) -> TenantRow:
    found = queries.tenant(user.tenant)
    if found is None:
        raise RuntimeError(f"user {user.id} has no tenant")
    return found


def init_app(app: Flask, without: Container[str | None]) -> None:
    """Open one connection to the catalogue per request, shared by the view's queries; ``without``: endpoints
    that need none."""
    app.jinja_env.globals["visitor"] = visitor
    app.jinja_env.globals["current_plan"] = current_plan
    app.jinja_env.globals["page_faults"] = page_faults

    @app.before_request
    def connect() -> None:
        if request.endpoint in without:
            return
        stack = ExitStack()
        stack.enter_context(connected())
        g.connection = stack

    @app.teardown_request
    def disconnect(_error: BaseException | None) -> None:
        release_connection()


def release_connection() -> None:
    """Return the request's connection to the pool before a long wait, so that other requests can use it.
    Later queries of this request open their own."""
    stack = g.pop("connection", None)
    if stack is not None:
        stack.close()
