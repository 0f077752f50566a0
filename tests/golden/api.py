"""What programs are answered under ``/api/v1``: status, type, the headers that they need, and the body."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flask.testing import FlaskClient

from recorder.call.remote_commands import REFUSALS
from recorder.catalogue.database import database, writing
from recorder.domain.live_command import DONE, NO_ANSWER, NO_SWITCH, UNKNOWN
from recorder.domain.parties import Party
from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from recorder.identity import api_tokens
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import CALLER, House
from web import WebConfig

SECRET = "accord_secret"
NODE = "node1"
CALL = "01930000-0000-7000-8000-0000000000c1"
NOBODY = "01930000-0000-7000-8000-0000000000c9"
HEADERS = ("WWW-Authenticate", "Location", "Retry-After")


def answers() -> str:
    """Every address, for success and for each way to be refused."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), Clock(), RepeatableEntropy("golden"))
        try:
            return "".join(_Programs(house).everything())
        finally:
            house.close()


class _Programs:
    """A customer's program, and a stranger's."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.bakery = house.customer("Boulangerie Martin", "+3225550100")
        self.rival = house.customer("Van Dyck NV", "+3225550199", language="en")
        for customer, secret in ((self.bakery, SECRET), (self.rival, "accord_other")):
            self.make_token(customer.id, secret)
        line = self.bakery.line
        self.call = LiveRow(
            id=CALL, tenant=self.bakery.id, node=NODE, line=line.id, number=line.number, direction="inbound",
            external_party=CALLER, started_at=house.clock(), announced=True, paused_until=None,
            deletable=True,
        )  # fmt: skip

    def make_token(self, tenant: str, secret: str) -> str:
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        time_and_entropy = {
            "now": self.house.clock(),
            "entropy": self.house.entropy,
            "signer": self.house.services.signer,
        }
        return api_tokens.create(tenant, name="till", token_sha256=hashed, **time_and_entropy).id

    def client(self) -> FlaskClient:
        config = WebConfig(secret_key=b"k" * 32, secure_cookies=False, patience=0.0)
        return self.house.app(config).test_client()

    def ask(self, what: str, request: str, authorization: str | None = f"Bearer {SECRET}") -> str:
        """One answer, as text."""
        method, path = request.split(" ")
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = self.web.open(f"/api/v1{path}", method=method, headers=headers)
        headers_text = "".join(
            f"{name}: {answer.headers[name]}\n" for name in HEADERS if name in answer.headers
        )
        self.location = (answer.location or "").removeprefix("/api/v1")
        return (
            f"== {what}\n{method} /api/v1{path}\n{answer.status_code} {answer.content_type}\n{headers_text}"
            f"{answer.get_data(as_text=True)}\n"
        )

    def everything(self) -> Iterator[str]:
        self.web, now = self.client(), self.house.clock
        yield self.ask("no call", "GET /calls")
        other = replace(
            self.call, id=NOBODY, direction="outbound", external_party=Party("withheld", ""), announced=False,
            started_at=now() - timedelta(minutes=1), paused_until=now() + timedelta(minutes=2),
        )  # fmt: skip
        queries.put(NODE, [self.call, other], now())
        yield self.ask("calls", "GET /calls")
        queries.put(NODE, [self.call], now())
        yield self.ask("another customer's calls", "GET /calls", "Bearer accord_other")
        for outcome in (DONE, *REFUSALS, NO_ANSWER, NO_SWITCH, UNKNOWN, "something new"):
            yield from self.outcome(outcome)
        for what in ("resume", "mark"):
            yield self.ask("a command", f"POST /calls/{CALL}/{what}")
        yield self.ask("nobody's call", f"POST /calls/{NOBODY}/pause")
        yield self.ask("another customer's call", f"POST /calls/{CALL}/pause", "Bearer accord_other")
        yield self.ask("a command that was never sent", f"GET /commands/{NOBODY}")
        for what in ("delete", "stop"):
            yield self.ask("a command that programs cannot send", f"POST /calls/{CALL}/{what}")
        for request in (
            f"GET /calls/{CALL}/pause", f"PUT /calls/{CALL}/pause", "POST /calls", f"DELETE /calls/{CALL}",
            f"PATCH /commands/{NOBODY}",
        ):  # fmt: skip
            yield self.ask("another method", request)
        yield self.ask("another address", "GET /nowhere")
        yield from self.strangers()
        yield from self.bad_requests()

    def outcome(self, outcome: str) -> Iterator[str]:
        yield self.ask(f"a command, {outcome} to come", f"POST /calls/{CALL}/pause")
        (row,) = queries.open_commands(NODE)
        time_and_entropy = self.house.clock(), self.house.entropy
        assert queries.take(NODE, row.id, *time_and_entropy)
        assert queries.answer(NODE, row.id, outcome, *time_and_entropy)
        yield self.ask(outcome, f"GET {self.location}")

    def strangers(self) -> Iterator[str]:
        for what, authorization in (
            ("no token", None), ("an empty token", "Bearer "), ("another scheme", "Basic YTpi"),
            ("a wrong token", "Bearer accord_wrong"),
        ):  # fmt: skip
            for request in (
                "GET /calls",
                f"POST /calls/{CALL}/pause",
                f"GET /commands/{NOBODY}",
                "GET /nowhere",
            ):
                yield self.ask(what, request, authorization)
        revoked = self.make_token(self.bakery.id, "accord_revoked")
        assert api_tokens.revoke(self.bakery.id, revoked, now=self.house.clock(), entropy=self.house.entropy)
        yield self.ask("a token that was revoked", "GET /calls", "Bearer accord_revoked")
        for _ in range(30):
            self.ask("guessed", "GET /calls", "Bearer accord_guess")
        yield self.ask("guessed too often", "GET /calls", "Bearer accord_guess")
        yield self.ask("and whose token is right", "GET /calls")

    def bad_requests(self) -> Iterator[str]:
        with writing():
            database.execute_sql("DROP TABLE live_call")
        yield self.ask("the catalogue is broken", "GET /calls")
