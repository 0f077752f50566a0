"""An installation with two customers, made once a process, and requests of every shape to its panel: to
every address that it has, whatever is added to it, with the fields that its forms have."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from flask import Flask

import web
from recorder.catalogue import amending, live, tokens
from recorder.catalogue.live import LiveRow
from recorder.ids import uuid7
from recorder.seal.keys import Keyring
from tests.conftest import Clock
from tests.fuzz.choices import Choices
from tests.fuzz.documents import repeating, scratch
from tests.house import CALLER, PASSWORD, Customer, House
from web import WebConfig, create_app
from web.account import passwords
from web.config import LoginLimits

CATALOGUE = "ACCORD_FUZZ_CATALOGUE"
"""An environment variable with an empty catalogue's URL, to look at the panel over PostgreSQL."""

TOKEN = "accord_till"
"""What a program of the one customer asks with."""

SECRETS = ("Van Dyck", "3225550199", "dyck", "+32499000111")
"""Words that only the other customer may see."""


@dataclass(eq=False)
class Panel:
    """``session`` and ``form`` are cookies of Claire, who works for the one customer, ``admin`` the
    session of Paul, its admin; ``mine`` and ``theirs`` recordings of the one and the other, ``calls`` calls
    that go on; ``asked`` is what a program asked of one, by its token :data:`TOKEN`."""

    house: House
    ours: Customer
    app: Flask
    mine: str
    theirs: str
    grant: str
    their_grant: str
    their_session: str
    calls: tuple[str, str]
    session: str = ""
    admin: str = ""
    form: str = ""
    token: str = ""
    asked: str = ""
    amended: int = 0


_keyring: list[Keyring] = []


def keyring() -> Keyring:
    """What opens the installation's recordings and backups."""
    panel()
    return _keyring[0]


@cache
def panel() -> Panel:
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    clock, entropy = Clock(), repeating("panel")
    house = House(scratch(), clock, entropy, url=os.environ.get(CATALOGUE, ""))
    ours = house.customer("Boulangerie Martin", "+3225550100", label="Magasin")
    house.person(ours, "claire", "Claire Martin")
    house.person(ours, "paul", "Paul Martin", role="customer_admin")
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(rival, "dyck", "An Van Dyck", language="en")
    from recorder.take.spool import Party

    mine = house.call(ours)
    _keyring.append(house.keyring)
    theirs = house.call(rival, outside=Party("e164", "+32499000111"))
    house.not_recorded(ours, "full_disk")
    limits = LoginLimits(*["100000000/second"] * 4)
    config = WebConfig(secret_key=b"k" * 32, secure_cookies=False, page=5, login_limits=limits, patience=0.0)
    app = create_app(config, gate=house.gate, now=clock, entropy=entropy, changes=house.changes)
    from web.account.limits import limiter

    limiter.enabled = False
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.create(ours.id, name="till", token_sha256=hashed, now=clock(), entropy=entropy)
    made = Panel(house, ours, app, mine, theirs, "", "", "", _talking(house, ours, rival))
    log_in(made, "dyck")
    made.their_grant, made.their_session = _grant(made, theirs) or "", made.session
    log_in(made, "paul")
    made.admin = made.session
    log_in(made)
    made.grant = _grant(made, mine) or ""
    return made


def _talking(house: House, *customers: Customer) -> tuple[str, ...]:
    """A call that goes on of each."""
    rows = [
        LiveRow(
            id=str(uuid7(house.now(), house.entropy)), tenant=each.id, node=f"node{n}", line=each.line.id,
            number=each.line.number, direction="inbound", outside=CALLER, started_at=house.now(), told=True,
            paused_until=None, deletable=True,
        )
        for n, each in enumerate(customers)
    ]  # fmt: skip
    for row in rows:
        live.put(row.node, [row], house.now())
    return tuple(row.id for row in rows)


def mended(made: Panel) -> None:
    """After a request that was taken: whoever was logged out is logged in, and where the recording was
    amended Claire gets a grant again, for another one where this one may no longer be heard."""
    for name in ("admin", "session"):
        if not alive(made, getattr(made, name)):
            kept = made.session
            log_in(made, "paul" if name == "admin" else "claire")
            if name == "admin":
                made.admin, made.session = made.session, kept
    amended = len(amending.known(made.ours.id, made.mine))
    if amended != made.amended:
        again = _grant(made, made.mine) if amended < 20 else None
        if again is None:
            made.mine, amended = made.house.call(made.ours), 0
            again = _grant(made, made.mine)
        assert again is not None
        made.grant, made.amended = again, amended


def log_in(made: Panel, login: str = "claire") -> None:
    client = made.app.test_client(use_cookies=True)
    made.token = _token(client.get("/login").text)
    answer = client.post("/login", data={"csrf_token": made.token, "login": login, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    made.session = client.get_cookie("accord-session").value
    made.token = _token(client.get("/recordings").text)
    made.form = client.get_cookie("accord-form").value


def alive(made: Panel, session: str) -> bool:
    """Whose session it is is still logged in."""
    client = made.app.test_client(use_cookies=False)
    return client.get("/recordings", headers={"Cookie": f"accord-session={session}"}).status_code == 200


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def _grant(made: Panel, recording: str) -> str | None:
    """A grant for Claire; ``None`` where she is refused."""
    cookies = {"Cookie": f"accord-session={made.session}; accord-form={made.form}"}
    answer = made.app.test_client(use_cookies=False).post(
        f"/recordings/{recording}", data={"csrf_token": made.token, "purpose": "agreement"}, headers=cookies
    )
    return answer.location.rpartition("/")[2] if answer.status_code == 303 else None


@dataclass
class Asking:
    """A request, as it goes over the wire."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


PIECES = (
    b"..", b".", b"%2e%2e", b"%2f", b"%00", b"%0a", b"%0d%0aSet-Cookie:%20a=b", b"%ff", b"%c3%28", b"%25",
    b"%", b"%u0041",
    b"//evil.example", b"\\\\evil.example", b"http://evil.example", b"javascript:alert(1)", b"<script>",
    b"{{7*7}}", b"'", b'"',
    b";", b"a" * 300, b"0", b"-1", b"\xd9\xa3", b"\xe2\x80\xae", b"audio.opus", b"audio.wav", b"peaks",
    b"manifest.json",
    b"agreement", b"quality", b"2026-11-25", b"9999-12-31", b"0001-01-01", b"2026-W48-3", b"20261125",
    b"1e3", b"NaN",
)  # fmt: skip
METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "FOO")
FIELDS = (
    b"csrf_token", b"login", b"password", b"next", b"purpose", b"play", b"language", b"number", b"from",
    b"to", b"show",
    b"after", b"v", b"_method",
)  # fmt: skip

JSON = (
    b"{}", b"[" * 3000, b'{"login":{"$gt":""}}', b"null", b"\xff", b"", b"[1]", b'"x"', b"5",
    b'{"login":5,"password":5}', b'{"login":["claire"],"password":["x"]}',
    b'[["login","claire"],["password",5]]', b'{"purpose":5,"play":[]}',
    b'{"login":"\\ud800","password":"\\udfff"}', b'{"login":"a\\u0000b","password":"x"}',
    b'{"login":"nobody","password":"x","next":7}', b'{"login":1e999,"password":NaN}',
)  # fmt: skip


ARGUMENT = re.compile(rb"<(?:[a-z]+:)?([a-z_]+)>")

FILLED: dict[bytes, tuple[bytes, ...]] = {
    b"purpose": (b"agreement", b"quality", b"legal-duty"), b"reason": (b"By e-mail", b"x" * 501),
    b"review": (b"2027-01-15",), b"on": (b"2026-11-25", b"2026-11-26"), b"until": (b"2027-11-25",),
    b"sure": (b"yes", b""), b"hold": (b"1", b"2"), b"days": (b"12", b"30", b"99999"),
    b"colleagues": (b"yes",),
    b"language": (b"fr", b"xx"), b"what": (b"pause", b"resume", b"note", b"delete"),
    b"name": (b"audio.opus", b"audio.wav", b"peaks"), b"filename": (b"accord.css", b"vendor/x"),
}  # fmt: skip
"""What fields and parts of an address are called, and what may be in them."""


@cache
def addresses(made: Panel) -> tuple[bytes, ...]:
    """Every address of the panel, as its rules say it."""
    return tuple(sorted({rule.rule.encode() for rule in made.app.url_map.iter_rules()}))


@cache
def fields() -> tuple[bytes, ...]:
    """Every field of the panel's forms."""
    pages = Path(web.__file__).parent.glob("**/templates/**/*.html")
    found = {name.encode() for page in pages for name in re.findall(r'\bname="([a-z_]+)"', page.read_text())}
    return tuple(sorted(found | set(FILLED)))


def _argument(made: Panel, choices: Choices, name: bytes, ids: list[bytes]) -> bytes:
    """A part of an address."""
    mine = {
        b"recording_id": (made.mine.encode(), made.mine.encode(), made.theirs.encode()),
        b"grant_id": (made.grant.encode(), made.their_grant.encode()),
        b"call_id": tuple(each.encode() for each in made.calls),
        b"asked_id": (made.asked.encode() or b"x",),
    }  # fmt: skip
    likely = mine.get(name) or FILLED.get(name) or tuple(ids)
    return choices.pick(likely) if choices.below(5) != 4 else _word(choices, ids)


def _filled_in(made: Panel, choices: Choices, ids: list[bytes]) -> bytes:
    """A form as a page of ours has it, with something else here and there."""
    pairs = [b"csrf_token=" + made.token.encode()]
    for name in fields():
        if name != b"csrf_token" and choices.below(3) != 2:
            likely = choices.pick(FILLED.get(name, (b"",)))
            pairs.append(name + b"=" + _quoted(likely if choices.below(6) != 5 else _word(choices, ids)))
    return b"&".join(pairs)


def asking(made: Panel, choices: Choices) -> Asking:
    ids = [each.encode() for each in (made.mine, made.theirs, made.grant, made.their_grant)]
    play = b"?play=" + b"x" * 22
    # The places of the first ones are what seeds and corpus say; every address of the panel follows.
    known = (
        b"/", b"/login", b"/logout", b"/language", b"/recordings", b"/healthz", b"/static/accord.css",
        b"/recordings/%s",
        b"/listen/%s", b"/listen/%s/audio.opus" + play, b"/listen/%s/audio.wav" + play,
        b"/listen/%s/peaks" + play,
        b"/listen/%s/renew", b"/listen/%s/close", b"/static/%s", b"/%s", b"/metrics", b"/readyz",
    )  # fmt: skip
    path = choices.pick((*known, *addresses(made)))
    listed = path not in known
    if listed:
        path = ARGUMENT.sub(lambda found: _argument(made, choices, found[1], ids), path)
    elif b"%s" in path:
        path = path % (choices.pick(ids) if choices.below(3) else _word(choices, ids))
    if choices.below(3) == 2:
        path += (b"&" if b"?" in path else b"?") + _form(made, choices, ids)
    if choices.below(8) == 7:
        at = choices.below(len(path) + 1)
        path = path[:at] + _word(choices, ids) + path[at:]
    method = choices.pick(METHODS)
    headers: list[tuple[bytes, bytes]] = [(b"Cookie", _cookies(made, choices))]
    if path.startswith(b"/api/") and choices.below(4):
        headers.append(
            (b"Authorization", b"Bearer " + (choices.text(9).encode("utf-8", "replace") or TOKEN.encode()))
        )
    for _ in range(choices.below(4)):
        headers.append(_header(choices))
    body = b""
    if method in ("POST", "PUT", "PATCH", "FOO"):
        kind, body = _body(made, choices, ids)
        if listed and choices.below(3):
            kind, body = b"application/x-www-form-urlencoded", _filled_in(made, choices, ids)
        headers.append((b"Content-Type", kind))
        # What is no form has its token in a header, as a script of ours would send it.
        if not kind.startswith(b"application/x-www-form-urlencoded") and choices.below(4):
            headers.append((b"X-CSRFToken", made.token.encode()))
    path = b"".join(b"%%%02X" % byte if byte <= 0x20 or byte == 0x7F else bytes([byte]) for byte in path)
    return Asking(method, path if path.startswith(b"/") else b"/" + path, headers, body)


def _word(choices: Choices, ids: list[bytes]) -> bytes:
    kind = choices.below(4)
    if kind == 0:
        return choices.pick(PIECES)
    if kind == 1:
        return choices.text(12).encode("utf-8", "surrogatepass")
    return choices.pick(ids)[: choices.below(40)] if kind == 2 else choices.blob(12)


def _quoted(value: bytes) -> bytes:
    return b"".join(
        bytes([c]) if c in b"%./:_-" or (chr(c).isalnum() and c < 128) else b"%%%02X" % c for c in value
    )


def _form(made: Panel, choices: Choices, ids: list[bytes]) -> bytes:
    pairs = []
    for _ in range(1 + choices.below(4)):
        name = choices.pick(FIELDS) if choices.below(6) else choices.blob(6)
        value = _word(choices, ids)
        if name == b"csrf_token" and choices.below(3):
            value = made.token.encode()
        pairs.append(_quoted(name) + b"=" + (value if choices.below(6) == 5 else _quoted(value)))
    return b"&".join(pairs).replace(b"#", b"%23")


def _cookies(made: Panel, choices: Choices) -> bytes:
    session = made.session.encode()
    odd = choices.pick(
        (b"", session[:-1], session + b"x", session.swapcase(), b"\xff\xfe", b'"', b"\x80" * 9, b"a" * 4000)
    )
    name = choices.pick(
        (b"accord-session",) * 9 + (b"__Host-accord-session", b"accord-session ", b"Accord-Session")
    )
    value = (odd, session, session, made.admin.encode())[choices.below(4)]
    form = (
        made.form.encode()
        if choices.below(5)
        else choices.pick((b"e30.x.y", b"\xff", b"..", made.form.encode()[:-2]))
    )
    device = choices.pick(
        (b"", b"; accord-device=" + choices.blob(12), b"; accord-language=\xe9", b"; accord-language=fr")
    )
    return name + b"=" + value + b"; accord-form=" + form + device.translate(None, b"\r\n\0")


def _header(choices: Choices) -> tuple[bytes, bytes]:
    name, values = choices.pick(
        (
            (b"Range", (b"bytes=0-", b"bytes=-1", b"bytes=5-2", b"bytes=0-0,2-3",
            b"bytes=99999999999999999999-", b"bytes=-0",
                        b"bytes=1-\xd9\xa3", b"x=1-2", b"bytes=", b"bytes=--5", b"bytes=0-" + b"1" * 400)),
            (b"If-Range", (b'"x"', b"Wed, 21 Oct 2015 07:28:00 GMT", b"junk", b'W/"x"')),
            (b"Accept", (b"application/json", b"text/html;q=nan", b"*/*;q=1e999", b"," * 90, b"\xff")),
            (b"Accept-Language", (b"fr", b"en;q=inf", b"x-" + b"a" * 300, b"fr;q=-1", b"*", b"\xe9")),
            (b"Host", (b"evil.example", b"", b"a b", b"[::1", b"x:99999", b"\xff", b"localhost:0x1")),
            (b"X-Forwarded-For", (b"1.2.3.4", b"\xff", b"::1%lo", b"a" * 300)),
            (b"X-Forwarded-Host", (b"evil.example",)),
            (b"Sec-Fetch-Site", (b"cross-site", b"same-origin", b"none", b"\xff")),
            (b"If-Modified-Since", (b"junk", b"Wed, 99 Foo 2015 07:28:00 GMT", b"0")),
            (b"If-None-Match", (b"*", b'"' + b"a" * 50, b"W/")),
            (b"Authorization", (b"Basic !!!", b"Basic " + b"QQ" * 40, b"Digest \xff", b"Bearer")),
            (b"Content-Encoding", (b"gzip",)), (b"X-HTTP-Method-Override", (b"DELETE",)),
            (b"Origin", (b"null", b"http://evil.example")), (b"Referer", (b"http://evil.example/\xff",)),
            (b"Upgrade", (b"websocket", b"h2c")), (b"Connection", (b"upgrade", b"keep-alive", b"close")),
        )
    )  # fmt: skip
    return name, choices.pick(values)


def _body(made: Panel, choices: Choices, ids: list[bytes]) -> tuple[bytes, bytes]:
    kind = choices.below(6)
    if kind < 3:
        token = b"csrf_token=" + made.token.encode() + b"&" if choices.below(4) else b""
        return b"application/x-www-form-urlencoded", token + _form(made, choices, ids)
    if kind == 3:
        boundary = choices.pick((b"b", b'"', b"", b"x" * 80, b"\xff"))
        part = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n' % (
            choices.pick(FIELDS), choices.pick((b"", b'; filename="../../x"', b"; filename*=utf-8''%ff",
            b"; x=" + b"y" * 999)),
            choices.pick((b"", b"Content-Type: text/plain; charset=utf-99\r\n", b"no header\r\n")),
            choices.blob(20),
        )  # fmt: skip
        return b"multipart/form-data; boundary=" + boundary, part * choices.pick((1, 2, 300)) + choices.pick(
            (b"--b--\r\n", b"")
        )
    if kind == 4:
        return b"application/json", choices.pick(JSON) or choices.blob(60)
    return choices.pick(
        (b"text/plain", b"application/x-www-form-urlencoded; charset=utf-7", b"\xff", b"")
    ), choices.blob(80)
