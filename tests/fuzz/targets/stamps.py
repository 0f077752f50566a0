"""Timestamps (RFC 3161), changed and invented: each is refused, or gives the time that the authority gave for
these bytes."""

from __future__ import annotations

import shutil
from datetime import datetime
from functools import cache

from recorder.auditlog import timestamping
from recorder.errors import AuditLogError
from tests.fuzz.choices import Choices
from tests.fuzz.documents import scratch

INSTRUMENT = ("recorder.auditlog.timestamping",)
LONGEST = 200

STAMPED = (b"a checkpoint", b"another checkpoint")


@cache
def genuine_stamps() -> tuple[tuple[bytes, ...], bytes, tuple[datetime, ...]]:
    """Tokens of a real authority for :data:`STAMPED`, its certificates, and the times that it gave; none
    without openssl to make one."""
    from tests.unit.auditlog.authority import serve_authority

    if shutil.which("openssl") is None:
        return (), b"", ()
    with serve_authority(scratch()) as authority:
        tokens = tuple(authority.authority.stamp(each) for each in STAMPED)
        ca = authority.authority.certificates
    return (
        tokens,
        ca,
        tuple(timestamping.verify_token(*each, ca) for each in zip(tokens, STAMPED, strict=True)),
    )


def check(data: bytes) -> None:
    choices = Choices(data)
    tokens, certificates, times = genuine_stamps()
    if not tokens:
        return
    which = choices.below(2)
    token, content = bytearray(tokens[which]), STAMPED[which]
    for _ in range(choices.below(4)):
        at = choices.below(len(token) + 1)
        match choices.below(6):
            case 0 if token:
                token[at % len(token)] ^= 1 << choices.below(8)
            case 1:
                del token[at : at + 1 + choices.below(8)]
            case 2:
                token[at:at] = choices.blob(8)
            case 3:
                del token[at:]
            case 4:
                other = tokens[1 - which]
                token[at:] = other[at:]
            case _:
                token = bytearray(choices.blob(120))
    if choices.below(8) == 7:
        content = choices.pick((STAMPED[1 - which], content + b" ", b""))
    try:
        timestamp = timestamping.verify_token(bytes(token), content, certificates)
    except AuditLogError as error:
        assert error.error_id == "timestamp.wrong"
        assert (bytes(token), content) != (tokens[which], STAMPED[which]), "a genuine token is refused"
        return
    assert content in STAMPED and timestamp == times[STAMPED.index(content)], "a time that nobody gave"


SEEDS = (
    b"",
    b"\x01",
    *(bytes([n % 2, 1 + n % 3, n * 13 % 256, n % 5, n % 6, n * 5 % 256, n, n]) for n in range(60)),
)
