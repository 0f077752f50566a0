from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher
from flask import Flask, Response
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.features.access_log.verification import EntryProofs
from recorder.features.branding.service import CurrentBranding
from recorder.mail.outbox import Outbox
from tests.house import PASSWORD, Customer, House, hash_with
from tests.mailbox import Mailbox, mailbox
from web import WebConfig
from web.team import account_links

TOKEN = re.compile(r'name="csrf_token"[^>]* value="([^"]+)"')


class Page(Response):
    """The text, with plain spaces instead of the no-break spaces before French ``:``, ``;``, ``?``."""

    def get_data(self, as_text: bool = False) -> bytes | str:
        data = super().get_data(as_text)
        return data.replace("\u202f", " ").replace("\u00a0:", " :") if isinstance(data, str) else data


class Browser:
    """A test client that submits forms with the page's token, as a browser does."""

    def __init__(self, client: FlaskClient, address: str = "192.0.2.7") -> None:
        self.client, self.address = client, address
        self._kept_token = ("", "")

    def get(self, path: str, **kwargs: object) -> TestResponse:
        return self.client.get(path, environ_base={"REMOTE_ADDR": self.address}, **kwargs)

    def head(self, path: str, **kwargs: object) -> TestResponse:
        return self.client.head(path, environ_base={"REMOTE_ADDR": self.address}, **kwargs)

    def token(self, path: str = "/login") -> str:
        found = TOKEN.search(self.get(path, follow_redirects=True).text)
        assert found is not None
        return found.group(1)

    def send(
        self,
        path: str,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **fields: object,
    ) -> TestResponse:
        form = {"csrf_token": token or self._session_token(), **fields}
        return self.client.post(path, data=form, headers=headers, environ_base={"REMOTE_ADDR": self.address})

    def _session_token(self) -> str:
        """The token of a page that was fetched earlier in the session, which is valid for all of it: fetching
        a page for each form takes longer than most forms."""
        name = self.client.application.config["SESSION_COOKIE_NAME"]
        cookie = self.client.get_cookie(name)
        if cookie is None or self._kept_token[0] != cookie.value:
            token, cookie = self.token(), self.client.get_cookie(name)
            self._kept_token = ("" if cookie is None else cookie.value, token)
        return self._kept_token[1]

    def log_in(self, login: str, password: str = PASSWORD) -> TestResponse:
        return self.send("/login", login=login, password=password)

    def listen_to(self, recording: str, purpose: str = "agreement") -> str:
        """The address of the call's page, now with a grant."""
        answer = self.send(f"/recordings/{recording}", purpose=purpose)
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.location).path

    def grant_for(self, recording: str, purpose: str = "agreement") -> str:
        """The address of a grant."""
        page = self.get(self.listen_to(recording, purpose)).text
        found = re.search(r'data-renew="(/listen/[^"]+)/renew"', page)
        assert found is not None
        return found.group(1)


@pytest.fixture(autouse=True, scope="session")
def real_hasher() -> Iterator[PasswordHasher]:
    """Make argon2 cheap, as these tests log in hundreds of times; yields the real hasher."""
    real = hash_with(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield real
    hash_with(real)


@pytest.fixture
def house(tmp_path, clock, entropy, catalogue) -> Iterator[House]:
    house = House(tmp_path, clock, entropy, url=catalogue)
    yield house
    house.close()


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100", label="Magasin")
    house.person(customer, "claire", "Claire Martin")
    house.person(customer, "audit", "Anne Audit", role="auditor")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    return customer


@pytest.fixture
def luc(house, bakery) -> str:
    """A recording on the line of a colleague who sees only that line; another call is on another line."""
    mine, other = house.call(bakery), house.not_recorded(bakery, "full_disk")
    house.user(
        bakery.id,
        "luc",
        name="Luc Dubois",
        password_hash=bakery.people["claire"].password_hash,
        lines=[bakery.line.id],
    )
    with connected():
        elsewhere = {"line_id": "another", "number": "+3225550188"}
        NotRecordedTable.update(elsewhere).where(NotRecordedTable.id == other).execute()
    return mine


@pytest.fixture
def rival(house) -> Customer:
    customer = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(customer, "dyck", "An Van Dyck", language="en")
    return customer


@pytest.fixture
def config() -> WebConfig:
    return WebConfig(secret_key=b"k" * 32, secure_cookies=False, page=5)


class CompiledTemplates(BytecodeCache):
    """Templates, compiled once for the applications of all tests: compiling takes longer than a request."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._code.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


COMPILED = CompiledTemplates()


@pytest.fixture(autouse=True, scope="session")
def compiled_routes() -> Iterator[None]:
    """Have werkzeug compile what builds a route's address once for the applications of all tests, too."""
    compile_builder, builders = Rule._compile_builder, {}

    def find_builder(rule: Rule, append_unknown: bool = True) -> object:
        key = (rule.rule, rule.subdomain, str(sorted((rule.defaults or {}).items())), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", find_builder)
        yield


@pytest.fixture
def app(house, clock, entropy, config) -> Flask:
    proofs = EntryProofs(house.store, house.root_public)
    return prepared(house.app(config, proofs=proofs, branding=CurrentBranding(house.trust, clock)))


def prepared(panel: Flask) -> Flask:
    """A panel that compiles no template twice, and whose pages are checked."""
    panel.jinja_env.bytecode_cache = COMPILED
    panel.response_class = Page
    return panel


def browsers(panel: Flask) -> Callable[..., Browser]:
    """Makes browsers of a panel, with somebody logged in."""

    def make(login: str | None = None, address: str = "192.0.2.7") -> Browser:
        browser = Browser(panel.test_client(), address)
        if login is not None:
            assert browser.log_in(login).status_code == 303
        return browser

    return make


@pytest.fixture
def browser(app) -> Callable[..., Browser]:
    return browsers(app)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def mail_panel(app, house, clock, entropy, config, monkeypatch) -> Callable[..., Browser]:
    """Makes browsers of a panel that sends mail."""
    monkeypatch.setattr(account_links, "RESPONSE_S", 0.0)
    panel = prepared(house.app(config, outbox=Outbox(house.keyring, "https://accord.example.com")))
    return browsers(panel)
