"""Translates a server's answers: its errors, and bodies that take too long.

Proxies, load balancers and half-started servers stand between us and a bucket, and each may answer for it.
Whatever is not an S3 answer becomes :class:`Unreachable`: it may be different in a moment, and nothing is
lost.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from recorder.errors import StoreError
from recorder.store.contract import MISSING, NotFound, Unreachable

SLOWEST = 16 * 1024
"""Bytes a second. A body slower than this, beyond the time for one read, is abandoned."""

_PIECE = 1024 * 1024
_AWAY = frozenset(
    {
        "ConditionalRequestConflict",  # 409: another put of this key is in progress
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_HASH = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
_DENIED = frozenset({"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})
_NOT_IMPLEMENTED = 501
_NO_BUCKET = (
    "correct [store] bucket, or have whoever runs the store create it, with versioning and object lock "
    "(which can only be chosen then) and without a default retention: `aws s3api create-bucket "
    "--object-lock-enabled-for-bucket --bucket …` does; `accord run` creates that of an embedded store"
)

MISMATCH = "store.hash_mismatch"


class Exists(StoreError):
    """412: the condition ``If-None-Match`` was not met."""


class PastTheEnd(StoreError):
    """416: the range begins after the last byte."""


@contextmanager
def translate_errors(where: str, key: str) -> Iterator[None]:
    """Wraps one request to boto3 and the reading of its answer: any exception is raised as
    :class:`StoreError`. ``where`` and ``key`` are for its message."""
    try:
        yield
    except ClientError as error:
        raise _translate(where, key, error) from error
    except (
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        ResponseStreamingError,
        HTTPError,
        http.client.HTTPException,
    ) as error:
        raise Unreachable(
            "store.unreachable", f"{where} is unavailable: {error}", "nothing is lost: the spool keeps it"
        ) from error
    except BotoCoreError as error:
        raise StoreError("store.failed", f"{where}: {error}", "check the [store] settings") from error
    except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
        # boto3 parses whatever arrives as if it were an S3 answer.
        raise bad_answer(where, key, f"{type(error).__name__} {error}"[:300]) from error


def bad_answer(where: str, key: str, what: str) -> Unreachable:
    """The error for an answer that no S3 server gives."""
    return Unreachable(
        "store.bad_answer",
        f"{where} gave an answer for {key} that is not S3: {what}",
        "nothing is lost, and it is retried; check that no other service answers at that address",
    )


def refuse_failure(http_response: Any, **_: object) -> None:
    """Handler for boto3's event ``after-call``, because boto3 takes every status below 301 for success, even
    101. Raises ``ValueError``."""
    status = http_response.status_code
    if status < 200 or status == 300:
        raise ValueError(f"status {status}")


def read_body(answer: Mapping[str, Any], most: int | None, seconds: float) -> bytes:
    """The body of a GET, whole, at most ``most`` bytes.

    ``seconds`` limits one read; the whole body may take that plus its length at :data:`SLOWEST`, so that a
    trickling server does not hold us for ever. Raises what :func:`translate_errors` translates.
    """
    declared = answer.get("ContentLength")
    until = time.monotonic() + seconds + (most or declared or 0) / SLOWEST
    pieces, length = [], 0
    with closing(answer["Body"]) as body:
        # Not body.read: it waits for all of its bytes, however slowly they arrive.
        more: Callable[[int], bytes] = body._raw_stream.read1
        while piece := more(_PIECE):
            length += len(piece)
            if most is not None and length > most:
                raise ValueError(f"more than the {most} bytes that were requested")
            pieces.append(piece)
            if time.monotonic() > until:
                raise HTTPError(f"{length} bytes came, too slowly")
    if declared is not None and length != declared:
        raise HTTPError(f"{length} of {declared} bytes arrived")
    return b"".join(pieces)


def hash_mismatch(key: str) -> StoreError:
    """The error for an object that arrived with another hash."""
    return StoreError(
        MISMATCH,
        f"{key} arrived with another hash than was sent, and was not kept",
        "check disks and network: the content was changed on the way",
    )


def _translate(where: str, key: str, error: ClientError) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == 412:
        return Exists(
            "store.exists",
            f"{where} has {key} already",
            "nothing was replaced: an object is never written twice",
        )
    if status == 416:
        return PastTheEnd(
            "store.past_the_end",
            f"{key} in {where} ends before the requested range",
            "ask for a part of it that exists",
        )
    if status == _NOT_IMPLEMENTED:
        return StoreError(
            "store.not_implemented",
            f"{where} does not support the request for {key}: {code}",
            "`accord doctor` shows what this server can do",
        )
    if status >= 500 or status == 429 or code in _AWAY:
        return Unreachable(
            "store.busy", f"{where} answers {status} {code}", "nothing needs to be done: it is retried"
        )
    if code == "NoSuchBucket":
        return StoreError("store.no_bucket", f"there is no {where}", _NO_BUCKET)
    if code in _MISSING:
        return NotFound("store.not_found", f"there is no object {key} in {where}", MISSING)
    if code in _HASH:
        return hash_mismatch(key)
    if code == "RequestTimeTooSkewed":
        return StoreError(
            "store.clock",
            f"{where} refused {key}: this machine's clock differs too much from its own",
            "nothing is lost, the spool keeps it: set this machine's clock (NTP)",
        )
    if code in _DENIED:
        return StoreError(
            "store.denied",
            f"{where} refused {key}: {code}",
            "check the access key and its rights; a locked object cannot be deleted before its date",
        )
    return StoreError(
        "store.failed", f"{where} refused {key}: {status} {error}", "read the store's own log for the reason"
    )
