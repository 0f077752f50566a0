"""A server that sends any answer to the store: only the store's own errors, in time; only bytes that arrived
completely; nothing reported as stored that was not; credentials go nowhere else."""

from __future__ import annotations

import base64
import hashlib
import time

from recorder.errors import StoreError
from recorder.store.contract import Abilities
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket
from tests.fuzz.choices import Choices
from tests.fuzz.documents import scratch
from tests.fuzz.hostile import Answer, Server

INSTRUMENT = ("recorder.store",)
LONGEST = 400

READ_TIMEOUT = 0.15
LIMIT = 15.0
"""Seconds that one operation may take: every prepared answer takes its share, and there are few."""

_server = Server()
_trap = Server()
_store = S3Store(
    Bucket("accord", "AKIDfuzz", "very-secret", f"http://127.0.0.1:{_server.port}", addressing="path",
           connect_timeout=0.5, read_timeout=READ_TIMEOUT)
)  # fmt: skip
CONTENT = bytes(range(256)) * 3
SHA256 = hashlib.sha256(CONTENT).hexdigest()
_file = scratch() / "object"
_file.write_bytes(CONTENT)
KEY = "tenant/2026/11/25/recording/audio.opus"
GOOD = base64.b64encode(bytes.fromhex(SHA256)).decode()

STATUS = (
    200, 200, 200, 206, 204, 400, 403, 404, 409, 412, 416, 429, 500, 501, 503, 301, 302, 307, 308, 100, 101,
    199, 205,
    304, 999, 0,
)  # fmt: skip
CODES = (
    "NoSuchKey", "NoSuchBucket", "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
    "BadDigest",
    "SlowDown", "PreconditionFailed", "InvalidRange", "AccessDenied", "", "<", "RequestTimeout",
    "NotImplemented",
)  # fmt: skip
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (99 + n, b"&%c;" % (97 if n == 0 else 98 + n) * 10) for n in range(9))
    + b"]><ListBucketResult><Contents><Key>&k;</Key></Contents></ListBucketResult>"
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Error><Code>&x;</Code></Error>'


def check(data: bytes) -> None:
    choices = Choices(data)
    able = choices.pick((None, Abilities(True, True, False, False), Abilities(False, False, False, False),
                         Abilities(True, False, True, True)))  # fmt: skip
    operation = choices.pick((_put, _read, _ranged, _size, _list, _delete, _able))
    script = [_answer(choices) for _ in range(choices.below(7))]
    _store._abilities = able
    _trap.begin([])
    _server.begin(script)
    start = time.monotonic()
    try:
        operation(able)
    except StoreError as error:
        assert error.error_id.startswith("store.")
        assert "very-secret" not in str(error)
    finally:
        seconds = time.monotonic() - start
        _server.begin([])
    assert seconds < LIMIT, f"{seconds:.1f} s"
    assert _trap.requests == [], "asked somebody else, with credentials"


def _put(able: Abilities | None) -> None:
    requests = _server.requests
    _store.put(KEY, _file, SHA256)
    # Reported as stored: a put of these bytes was accepted, or the server has an object with their hash.
    puts = [each for each in requests if each.method == "PUT" and KEY in each.target]
    assert all(each.body == CONTENT for each in puts)
    accepted = any(b" 200 " in each.answer[:13] or b" 2" in each.answer[:11] for each in puts)
    answers = b"".join(each.answer for each in requests if each.method in ("GET", "HEAD"))
    has_object = GOOD.encode() in answers or CONTENT in answers
    assert accepted or has_object, "told as stored, and was not"
    if not _store.abilities().checks_sha256:
        assert has_object, "told as stored, and was not looked at"


def _whole(content: bytes, start: int, end: int | None) -> None:
    """Check that the bytes read came in one complete answer."""
    (request,) = [each for each in _server.requests if each.method == "GET"][-1:]
    head, _, body = request.answer.rpartition(b"HTTP/1.")[2].partition(b"\r\n\r\n")
    assert b" 20" in head[:6] or head[2:3] == b"2", head
    lengths = [
        line.split(b":")[1].strip()
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    ]
    if b"chunked" not in head.lower():
        if lengths:
            assert len(body) >= int(lengths[0]), "an answer that was cut"
        assert content in body
    if end is not None:
        assert len(content) <= end - start, "more than was asked for"


def _read(able: Abilities | None) -> None:
    _whole(_store.read(KEY), 0, None)


def _ranged(able: Abilities | None) -> None:
    content = _store.read(KEY, 10, 20)
    if content:
        _whole(content, 10, 20)


def _size(able: Abilities | None) -> None:
    size = _store.size(KEY)
    assert isinstance(size, int) and size >= 0


def _list(able: Abilities | None) -> None:
    keys = []
    for key in _store.list("tenant/"):
        assert isinstance(key, str) and key.startswith("tenant/"), "a key that was not asked for"
        keys.append(key)
        assert len(keys) < 10_000


def _delete(able: Abilities | None) -> None:
    _store.delete(KEY)
    assert any(each.method == "GET" for each in _server.requests), "told as deleted, and nobody was asked"


def _able(able: Abilities | None) -> None:
    found = _store.abilities()
    assert all(
        isinstance(getattr(found, name), bool) for name in ("put_if_absent", "checks_sha256", "object_lock")
    )


def _answer(choices: Choices) -> Answer:
    status = choices.pick(STATUS)
    body = _body(choices)
    lines = [
        b"HTTP/1.%d %d %s"
        % (choices.pick((1, 1, 1, 0, 9)), status, choices.pick((b"OK", b"", b"\xff\r"))[:2])
    ]
    length = choices.pick((len(body),) * 8 + (len(body) + 5, max(0, len(body) - 3), -1, 10**12, None, 768))
    if choices.below(6) == 5:
        chunks = choices.pick(
            (b"%x\r\n%s\r\n0\r\n\r\n", b"%x\r\n%s\r\n", b"%x\r\n%s", b"g%x\r\n%s\r\n0\r\n\r\n")
        )
        lines.append(b"Transfer-Encoding: chunked")
        body = chunks % (len(body), body)
    if length is not None and choices.below(8) != 7:
        lines.append(b"Content-Length: %d" % length)
    for _ in range(choices.below(4)):
        lines.append(choices.pick(_LINES) or b"X: " + choices.blob(20))
    if choices.below(24) == 23:
        lines += [b"X-%d: y" % n for n in range(choices.pick((90, 150, 3000)))]
    wire = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if choices.below(10) == 9:
        wire = choices.blob(60) + wire[choices.below(40) :]
    if choices.below(10) == 9:
        wire = wire[: choices.below(len(wire) + 1)]
    drip = choices.below(40) == 39
    # Reads of the head have a limit; a slow head has none (at most 100 lines of 64 KiB).
    before = wire.find(b"\r\n\r\n") + 4
    pieces = (wire,)
    if drip:
        pieces = (wire[:before], *(wire[n : n + 8] for n in range(before, min(len(wire), before + 400), 8)))
    return Answer(pieces, pause=READ_TIMEOUT / 2 if drip else 0.0, close=choices.below(3) == 2)


_LINES = (
    b"", b"Connection: close", b"Content-Type: application/xml", b"ETag: \"x\"", b"Last-Modified: yesterday",
    b"x-amz-checksum-sha256: " + GOOD.encode(), b"x-amz-checksum-sha256: AAAA", b"x-amz-checksum-sha256: %%%",
    b"x-amz-bucket-region: eu-west-9", b"x-amz-version-id: \xff", b"Content-Encoding: gzip",
    b"Content-Length: 7",
    b"Location: http://127.0.0.1:%d/stolen" % _trap.port, b"Content-Range: bytes 0-9/768", b" folded",
    b"no colon",
    b"x-amz-request-id: " + b"a" * 70_000, b"x-amz-meta-\xe9: 1", b"Transfer-Encoding: gzip", b"Trailer: x",
)  # fmt: skip


def _body(choices: Choices) -> bytes:
    kind = choices.below(12)
    if kind < 3:
        return (b"", CONTENT, CONTENT[10:20])[kind]
    code = choices.pick(CODES).encode()
    key = choices.pick((KEY, KEY + "x", "tenant/a", "other/b", "", "tenant/\ud7ff", "../x")).encode("utf-8")
    more = choices.pick((b"true", b"false", b"maybe", b""))
    endpoint = b"<Endpoint>127.0.0.1:%d</Endpoint><Region>eu-west-9</Region>" % _trap.port
    match kind:
        case 3 | 4:
            return b"<Error><Code>%s</Code><Message>m</Message>%s</Error>" % (code, endpoint)
        case 5 | 6:
            token = choices.pick((b"<NextContinuationToken>t</NextContinuationToken>", b""))
            entry = b"<Contents><Key>%s</Key><Size>1</Size></Contents>" % key
            return b"<ListBucketResult>%s<IsTruncated>%s</IsTruncated>%s</ListBucketResult>" % (
                entry * (1 + choices.below(2)), more, token
            )  # fmt: skip
        case 7:
            version = choices.pick((b"<VersionId>1</VersionId>", b"<VersionId/>", b""))
            entry = b"<Version><Key>%s</Key>%s</Version>" % (key, version)
            marker = choices.pick(
                (b"<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>", b"")
            )
            return b"<ListVersionsResult>%s<IsTruncated>%s</IsTruncated>%s</ListVersionsResult>" % (
                entry,
                more,
                marker,
            )
        case 8:
            return choices.pick(
                (BOMB, OUTSIDE, b"<html>captive</html>", b"<a><b></a>", b"<" * 2000, b"\x00\xff")
            )
        case 9:
            return b"<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>" % code
        case 10:
            locked = b"<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
            return b"<ObjectLockConfiguration>%s</ObjectLockConfiguration>" % locked
        case _:
            return choices.blob(200)


SEEDS = (
    *(bytes([able, operation, 6, *([0, 1 + n % 3, 0, n % 8, 0, 0, 0, 0, 0, 0, 0] * 6)])
      for able in range(4) for operation in range(7) for n in range(3)),
    *(bytes([1, operation, 3, 15 + n % 4, 3, 2, 0, 0, 0, 2, 12, 12, 0, 0, 0, 0]) for operation in range(7)
      for n in range(4)),
)  # fmt: skip
