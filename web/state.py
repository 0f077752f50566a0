"""What every request needs: the settings, the gate, the clock, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Protocol, TypeVar, cast

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.departures import LeavingRow
from recorder.catalogue.records import SessionRow, TenantRow, UserRow
from recorder.clock import Now
from recorder.domain.roles import ADMIN
from recorder.errors import KeepingError
from recorder.health import Readiness
from recorder.ids import Entropy
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.interface import Door, Opened, RecordingCopy, Who
from web.config import WebConfig
from web.login_refusals import LoginRefusals

KEY = "accord"


class PanelGateInterface(Door, Protocol):
    """The gate with the ways out that features add to it (:class:`recorder.processes.gate.PanelGate`)."""

    def copy(self, who: Who, request: str, recording_id: str) -> RecordingCopy: ...

    def check_theirs(self, who: Who, request: str, recording_id: str) -> None: ...

    def leaver(self, who: Who) -> LeavingRow | None: ...

    def handover(self, who: Who) -> Opened: ...


@dataclass(frozen=True, slots=True)
class PanelState:
    """What :func:`web.create_app` was given."""

    config: WebConfig
    gate: PanelGateInterface
    now: Now
    entropy: Entropy
    readiness: Readiness
    refused: LoginRefusals
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has logged in, for the time of a request."""

    user: UserRow
    session: SessionRow
    tenant: TenantRow

    @property
    def admin(self) -> bool:
        """Whether they decide for their company."""
        return self.user.role == ADMIN

    def who(self, language: str) -> Who:
        """As the gate knows them."""
        return Who(self.user.id, self.tenant.id, self.user.role, language, self.session.id)


def panel_state() -> PanelState:
    return cast(PanelState, current_app.extensions[KEY])


def now() -> datetime:
    return panel_state().now()


def visitor() -> Visitor | None:
    """Who is asking, where they have logged in."""
    return cast("Visitor | None", g.get("visitor"))


def current_visitor() -> Visitor:
    """Who is asking, in a view behind :func:`login_required`."""
    found = visitor()
    if found is None:
        raise RuntimeError("a view that needs somebody must be behind logged_in")
    return found


def changes() -> Changes:
    """What signs, with the panel's key.  Raises :class:`KeepingError` where the panel has none."""
    found = panel_state().changes
    if found is None:
        raise KeepingError("retention.no_key", "the panel has no key to sign with", "`accord keys renew`")
    return found


View = TypeVar("View", bound=Callable[..., object])


def login_required(view: View) -> View:
    """A view for people who have logged in; others are asked to, and come back to a page they asked for."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        if visitor() is None:
            return redirect_to_login()
        return view(*args, **kwargs)

    return cast(View, guarded)


def redirect_to_login() -> Response:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("account.log_in", next=None if wanted == "/" else wanted))


def load_tenant(user: UserRow) -> TenantRow:
    found = queries.tenant(user.tenant)
    if found is None:
        raise RuntimeError(f"user {user.id} has no tenant")
    return found


def init_app(app: Flask, without: Container[str | None]) -> None:
    """One connection to the catalogue a request; a view's queries share it.  ``without``: endpoints that
    need none."""
    app.jinja_env.globals["visitor"] = visitor

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
    """Give the request's connection to the catalogue back, before something is waited for: others need one
    meanwhile.  Whatever asks after that takes one of its own."""
    stack = g.pop("connection", None)
    if stack is not None:
        stack.close()
