"""Generates requests to the panel: to every address, with additions, and with the fields of its forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import web
from tests.fuzz.choices import Choices
from tests.fuzz.panel import TOKEN, Panel


@dataclass
class PanelRequest:
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
    b"language": (b"fr", b"xx"), b"what": (b"pause", b"resume", b"mark", b"delete"),
    b"name": (b"audio.opus", b"audio.wav", b"peaks"), b"filename": (b"accord.css", b"vendor/x"),
}  # fmt: skip
"""Names and values of fields and of parts of an address."""


@cache
def addresses(target_panel: Panel) -> tuple[bytes, ...]:
    """Every address of the panel, by its URL rules."""
    return tuple(sorted({rule.rule.encode() for rule in target_panel.app.url_map.iter_rules()}))


@cache
def fields() -> tuple[bytes, ...]:
    """Every field of the panel's forms."""
    pages = Path(web.__file__).parent.glob("**/templates/**/*.html")
    found = {name.encode() for page in pages for name in re.findall(r'\bname="([a-z_]+)"', page.read_text())}
    return tuple(sorted(found | set(FILLED)))


def _argument(target_panel: Panel, choices: Choices, name: bytes, ids: list[bytes]) -> bytes:
    """A part of an address."""
    mine = {
        b"recording_id": tuple(
            each.encode() for each in (target_panel.mine, target_panel.mine, target_panel.theirs)
        ),
        b"grant_id": (target_panel.grant.encode(), target_panel.their_grant.encode()),
        b"call_id": tuple(each.encode() for each in target_panel.calls),
        b"asked_id": (target_panel.command_id.encode() or b"x",),
    }  # fmt: skip
    likely = mine.get(name) or FILLED.get(name) or tuple(ids)
    return choices.pick(likely) if choices.below(5) != 4 else _word(choices, ids)


def _form_body(target_panel: Panel, choices: Choices, ids: list[bytes]) -> bytes:
    """A form of the panel with some values replaced."""
    pairs = [b"csrf_token=" + target_panel.token.encode()]
    for name in fields():
        if name != b"csrf_token" and choices.below(3) != 2:
            likely = choices.pick(FILLED.get(name, (b"",)))
            pairs.append(name + b"=" + _quoted(likely if choices.below(6) != 5 else _word(choices, ids)))
    return b"&".join(pairs)


def panel_request(target_panel: Panel, choices: Choices) -> PanelRequest:
    ids = [
        each.encode()
        for each in (target_panel.mine, target_panel.theirs, target_panel.grant, target_panel.their_grant)
    ]
    play = b"?play=" + b"x" * 22
    # Seeds and corpus refer to the first ones by position; every other address of the panel follows.
    known = (
        b"/", b"/login", b"/logout", b"/language", b"/recordings", b"/healthz", b"/static/accord.css",
        b"/recordings/%s",
        b"/listen/%s", b"/listen/%s/audio.opus" + play, b"/listen/%s/audio.wav" + play,
        b"/listen/%s/peaks" + play,
        b"/listen/%s/renew", b"/listen/%s/close", b"/static/%s", b"/%s", b"/metrics", b"/readyz",
    )  # fmt: skip
    path = choices.pick((*known, *addresses(target_panel)))
    listed = path not in known
    if listed:
        path = ARGUMENT.sub(lambda found: _argument(target_panel, choices, found[1], ids), path)
    elif b"%s" in path:
        path = path % (choices.pick(ids) if choices.below(3) else _word(choices, ids))
    if choices.below(3) == 2:
        path += (b"&" if b"?" in path else b"?") + _form(target_panel, choices, ids)
    if choices.below(8) == 7:
        at = choices.below(len(path) + 1)
        path = path[:at] + _word(choices, ids) + path[at:]
    method = choices.pick(METHODS)
    headers: list[tuple[bytes, bytes]] = [(b"Cookie", _cookies(target_panel, choices))]
    if path.startswith(b"/api/") and choices.below(4):
        headers.append(
            (b"Authorization", b"Bearer " + (choices.text(9).encode("utf-8", "replace") or TOKEN.encode()))
        )
    for _ in range(choices.below(4)):
        headers.append(_header(choices))
    body = b""
    if method in ("POST", "PUT", "PATCH", "FOO"):
        kind, body = _body(target_panel, choices, ids)
        if listed and choices.below(3):
            kind, body = b"application/x-www-form-urlencoded", _form_body(target_panel, choices, ids)
        headers.append((b"Content-Type", kind))
        # A request without a form has its token in a header, as the panel's scripts send it.
        if not kind.startswith(b"application/x-www-form-urlencoded") and choices.below(4):
            headers.append((b"X-CSRFToken", target_panel.token.encode()))
    path = b"".join(b"%%%02X" % byte if byte <= 0x20 or byte == 0x7F else bytes([byte]) for byte in path)
    return PanelRequest(method, path if path.startswith(b"/") else b"/" + path, headers, body)


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


def _form(target_panel: Panel, choices: Choices, ids: list[bytes]) -> bytes:
    pairs = []
    for _ in range(1 + choices.below(4)):
        name = choices.pick(FIELDS) if choices.below(6) else choices.blob(6)
        value = _word(choices, ids)
        if name == b"csrf_token" and choices.below(3):
            value = target_panel.token.encode()
        pairs.append(_quoted(name) + b"=" + (value if choices.below(6) == 5 else _quoted(value)))
    return b"&".join(pairs).replace(b"#", b"%23")


def _cookies(target_panel: Panel, choices: Choices) -> bytes:
    session = target_panel.session.encode()
    odd = choices.pick(
        (b"", session[:-1], session + b"x", session.swapcase(), b"\xff\xfe", b'"', b"\x80" * 9, b"a" * 4000)
    )
    name = choices.pick(
        (b"accord-session",) * 9 + (b"__Host-accord-session", b"accord-session ", b"Accord-Session")
    )
    value = (odd, session, session, target_panel.admin.encode())[choices.below(4)]
    form = (
        target_panel.form.encode()
        if choices.below(5)
        else choices.pick((b"e30.x.y", b"\xff", b"..", target_panel.form.encode()[:-2]))
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


def _body(target_panel: Panel, choices: Choices, ids: list[bytes]) -> tuple[bytes, bytes]:
    kind = choices.below(6)
    if kind < 3:
        token = b"csrf_token=" + target_panel.token.encode() + b"&" if choices.below(4) else b""
        return b"application/x-www-form-urlencoded", token + _form(target_panel, choices, ids)
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
