"""Reads FreeSWITCH's events safely: separates lines first, then decodes each value by itself, on demand.

FreeSWITCH's ``event plain`` URL-encodes values but leaves a ``%0A`` from a SIP caller as it is
(``switch_url_encode`` does not encode twice). A client that decodes before it separates lines lets the caller
forge every header and channel variable. Here a header is a line of the *raw* bytes, its name ends at the
line's first ``': '``, the first line of a name counts, and each value is decoded by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from greenswitch.esl import ESLEvent

from recorder.errors import SwitchError
from recorder.switch.framing import Frame

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# FreeSWITCH writes these headers first, so a search from the front finds them quickly. A search from the back
# finds all others sooner, and detects a missing one much sooner.
_EARLY: Final = ("Event-", "Unique-ID", "Channel-", "Call-", "Caller-", "Answer-")


@lru_cache(maxsize=4096)
def _plan(name: str) -> tuple[bytes, int, bool]:
    needle = b"\n" + name.encode("utf-8", "replace") + b": "
    return needle, len(needle), name.startswith(_EARLY)


def _value(raw: bytes, name: str, end: int) -> bytes | None:
    """Return the raw value of the first line of that name before ``end``."""
    needle, length, early = _plan(name)
    if early:
        at = raw.find(needle, 0, end)
    else:
        at = earlier = raw.rfind(needle, 0, end)
        while earlier >= 0:  # the first line counts
            at, earlier = earlier, raw.rfind(needle, 0, earlier)
    if at < 0:
        return None
    stop = raw.find(b"\n", at + length)
    return raw[at + length :] if stop < 0 else raw[at + length : stop]


def decode(value: bytes) -> str:
    """Decode a header's value: percent-encoding once; bytes that are not UTF-8 are replaced.

    FreeSWITCH writes an empty value as ``_undef_`` (``switch_event_serialize``)."""
    if PERCENT in value:
        return unquote_to_bytes(value).decode("utf-8", "replace")
    if value == b"_undef_":
        return ""
    return value.decode("utf-8", "replace")


PERCENT: Final = 37  # as a number: searching bytes for an integer is five times faster

_NAME: Final = b"\nEvent-Name: "

# Event names come from a small set, and every event has one.
_decode_name = lru_cache(maxsize=1024)(decode)


def _end_of_line(raw: bytes) -> int:
    """Return the index of the end of an event's first line."""
    stop = raw.find(b"\n", len(_NAME))
    return stop if stop >= 0 else len(raw)


def _end_of_headers(raw: bytes) -> int:
    """Return the index of the end of an event's headers. A body follows only if one of them holds its length
    (``switch_event_serialize``); searching for that header is faster than for an empty line, and faster from
    the end."""
    if raw.rfind(b"\nContent-Length: ") >= 0:
        end = raw.find(b"\n\n")
        if end >= 0:
            return end + 1
    return len(raw)


class Headers(Mapping[str, str]):
    """Header lines as a read-only mapping that searches the raw bytes on demand.

    ``raw`` begins with a line feed; an empty line ends the headers. Names are compared byte for byte, never
    decoded. Later lines of the same name are ignored, and so are lines without ``': '``."""

    __slots__ = ("_raw", "end")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.end = _end_of_headers(raw)

    def find(self, name: str) -> bytes | None:
        """Return the raw value of the first line of that name."""
        return _value(self._raw, name, self.end)

    def __getitem__(self, name: str) -> str:
        value = self.find(name)
        if value is None:
            raise KeyError(name)
        return decode(value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        names = set()
        for line in self._raw[: self.end].split(b"\n"):
            name, colon, _ = line.partition(b": ")
            if colon and name not in names:
                names.add(name)
                yield name.decode("utf-8", "replace")

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Headers of {len(self._raw)} bytes>"


class Message(ESLEvent):  # type: ignore[misc]  # greenswitch has no types
    """A greenswitch event that is read safely.

    ``raw`` consists of header lines with a line feed before the first one; a body may follow an empty line.
    ``data`` is greenswitch's attribute for the text of a reply."""

    data = ""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._end = _end_of_headers(raw)

    def parse_data(self, data: bytes) -> None:
        """Replaces greenswitch's, which decodes before it separates lines."""
        Message.__init__(self, data)

    @property
    def headers(self) -> Headers:
        """The header lines as a mapping."""
        return Headers(self._raw)

    def header(self, name: str, default: str = "") -> str:
        """Return the decoded value of the first line of that name; ``default`` if there is none."""
        value = _value(self._raw, name, self._end)
        return default if value is None else decode(value)

    @property
    def raw(self) -> bytes:
        """The bytes as they came from the switch."""
        return self._raw[1:]


class Reply(Message):
    """The reply to one command. ``data`` is the ``Reply-Text`` of a command or the body of an ``api`` answer,
    stripped of white space."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame.head)
        if frame.kind == b"api/response":
            self.data = frame.body[1:].decode("utf-8", "replace").strip()
        else:
            self.data = self.header("Reply-Text").strip()

    @property
    def refused(self) -> bool:
        """Whether FreeSWITCH refused the command: ``-ERR ...`` or ``-USAGE ...``."""
        return self.data.startswith(("-ERR", "-USAGE"))

    def __repr__(self) -> str:
        return f"<Reply {self.data[:60]!r}>"


class EslEvent(Message):
    """An event on a channel; read-only, and cheap until a value is read.

    Every value may come from a stranger's SIP message: it may contain control characters and line feeds, and
    must never be put unchecked into a command, a path or a log line."""

    def __init__(self, raw: bytes) -> None:
        """``raw`` is an event as received, with a line feed before its first line."""
        self._raw = raw
        self._end = _end_of_headers(raw)
        #: FreeSWITCH's ``Event-Name``, such as ``CHANNEL_BRIDGE`` (:data:`NAMES`).
        #: An event that an application creates does not begin with it (observed).
        self.name = (
            _decode_name(raw[13 : _end_of_line(raw)]) if raw.startswith(_NAME) else self.header("Event-Name")
        )

    @property
    def subclass(self) -> str:
        """The ``Event-Subclass`` of a ``CUSTOM`` event (``accord::keep``), else empty."""
        return self.header("Event-Subclass") if self.name == "CUSTOM" else ""

    @property
    def uuid(self) -> str:
        """The channel's ``Unique-ID``; empty for an event without a channel."""
        return self.header("Unique-ID")

    @cached_property
    def at(self) -> datetime:
        """The time by the switch's clock, in UTC, from ``Event-Date-Timestamp`` (microseconds).

        Raises :class:`SwitchError` if that is no time, which FreeSWITCH itself writes into every event."""
        value = self.headers.find("Event-Date-Timestamp") or b""
        if not value.isdigit() or len(value) > 17:
            raise SwitchError(
                "switch.event_time",
                f"event {self.name!r} has no time",
                "run `accord doctor`; no event of FreeSWITCH lacks its time",
            )
        return _EPOCH + timedelta(microseconds=int(value))

    @property
    def sequence(self) -> int:
        """``Event-Sequence``, which increases in the order in which the switch created its events; 0 if
        absent."""
        value = self.headers.find("Event-Sequence") or b""
        return int(value) if value.isdigit() and len(value) < 20 else 0

    def variable(self, name: str, default: str = "") -> str:
        """Return a channel variable as the event carries it (``variable_<name>``)."""
        return self.header(f"variable_{name}", default)

    def recording_variable(self, name: str) -> str:
        """Return a value that was given in braces with the recording's path; on RECORD_START and
        RECORD_STOP."""
        return self.header(f"Recording-Variable-{name}")

    def __repr__(self) -> str:
        return f"<EslEvent {self.name} {self.uuid}>"


NAMES: Final = (
    "CHANNEL_EXECUTE_COMPLETE",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_DESTROY",
    "RECORD_START",
    "RECORD_STOP",
    "PLAYBACK_START",
    "PLAYBACK_STOP",
    "DTMF",
    "MEDIA_BUG_START",
    "MEDIA_BUG_STOP",
    "CUSTOM",
)
"""The events that Accord knows, and that :func:`recorder.switch.commands.subscribe` accepts."""
