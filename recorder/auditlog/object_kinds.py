"""The kinds of objects that Accord puts into the bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from recorder.auditlog.checkpoint import FOLDER
from recorder.seal.amendment import number_in

ID_PATTERN: Final = r"[0-9a-z][0-9a-z-]{0,62}"
_DAY: Final = r"[0-9]{4}/[0-9]{2}/[0-9]{2}"
_KEY_ID: Final = r"[0-9a-f]{32}"

KEYS: Final = "keys/"
PROBE: Final = "probe/"
OFFBOARDING: Final = "offboarding/"
CALL_ERASURES: Final = "call-erasures/"
RETENTION: Final = "retention/"
DISPUTES: Final = "disputes/"
FOLDERS: Final = (KEYS, PROBE, FOLDER, OFFBOARDING, CALL_ERASURES, RETENTION, DISPUTES)
"""Top-level folders of the bucket other than customers'."""


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of object: the ``pattern`` of its key, and what an audit compares it with (``compared``).
    ``listed`` is its name in docs/reference/formats.md."""

    listed: str
    pattern: str
    compared: str

    def has(self, key: str) -> bool:
        """Whether a key is of this kind."""
        return re.fullmatch(self.pattern, key) is not None


def _of_recording(name: str, listed: str, compared: str) -> ObjectKind:
    return ObjectKind(listed, rf"{ID_PATTERN}/{_DAY}/{ID_PATTERN}/{name}", compared)


_SOUND: Final = "the manifest's hash of each stored block, and of the whole"

KINDS: Final = (
    _of_recording(r"audio\.opus", "audio.opus", _SOUND),
    _of_recording(r"audio\.wav", "audio.wav", _SOUND),
    _of_recording("peaks", "peaks", _SOUND),
    _of_recording("note", "note", _SOUND),
    _of_recording(r"manifest\.json", "manifest.json", "its signature, and its hash in recording.stored"),
    _of_recording(
        r"amendment-[0-9]{4}\.json", "amendment-0001.json", "its signature, and its hash in recording.amended"
    ),
    ObjectKind(
        "keys/<tenant>/tenant.json",
        rf"keys/{ID_PATTERN}/tenant\.json",
        "the hash of the whole document in tenant.created, tenant.key_changed or tenant.key_wrapped",
    ),
    ObjectKind(
        "keys/<tenant>/<recording>.json",
        rf"keys/{ID_PATTERN}/(?!tenant(?:-|\.)){ID_PATTERN}\.json",
        "the key's id in the manifest, and the catalogue's copy; opened with --deep",
    ),
    ObjectKind(
        "keys/<tenant>/tenant-<key's id>.json",
        rf"keys/{ID_PATTERN}/tenant-{_KEY_ID}\.json",
        "its id in tenant.key_changed; opened with --deep",
    ),
    ObjectKind(
        "keys/<tenant>/tenant-next.json",
        rf"keys/{ID_PATTERN}/tenant-next\.json",
        "its kind and owner; opened with --deep",
    ),
    ObjectKind(
        "checkpoints/<tenant>/0000000001.note",
        rf"checkpoints/{ID_PATTERN}/[0-9]{{10}}\.note",
        "its signature, the one before it, and the leaves",
    ),
    ObjectKind(
        "checkpoints/<tenant>/0000000001.tsr",
        rf"checkpoints/{ID_PATTERN}/[0-9]{{10}}\.tsr",
        "the authority's certificate, and the checkpoint",
    ),
    ObjectKind(
        "checkpoints/endorsements/<key's id>-",
        rf"checkpoints/endorsements/{_KEY_ID}-[0-9a-f]{{1,64}}\.json",
        "the root's signature",
    ),
    ObjectKind(
        "offboarding/<tenant>/statement-0001.json",
        rf"offboarding/{ID_PATTERN}/statement-[0-9]{{4}}\.json",
        "its signature, the one before it, and its hash in the log",
    ),
    ObjectKind(
        "receipt.json",
        rf"offboarding/{ID_PATTERN}/receipt\.json",
        "its signature; its hash in tenant.offboarded",
    ),
    ObjectKind(
        "call-erasures/<tenant>/<id>.json",
        rf"call-erasures/{ID_PATTERN}/{ID_PATTERN}\.json",
        "its signature",
    ),
    ObjectKind(
        "retention/<tenant>/<limit>.json",
        rf"retention/{ID_PATTERN}/(?!.*-lifted\.json){ID_PATTERN}\.json",
        "its signature, and its hash in retention_limit.set",
    ),
    ObjectKind(
        "retention/<tenant>/<limit>-lifted.json",
        rf"retention/{ID_PATTERN}/{ID_PATTERN}-lifted\.json",
        "its signature, and its hash in retention_limit.lifted",
    ),
    ObjectKind(
        "disputes/<tenant>/<recording>/<dispute>-0001",
        rf"disputes/{ID_PATTERN}/{ID_PATTERN}/{ID_PATTERN}-[0-9]{{4}}",
        "its signature, the one before it, and its hash in dispute.stated; opened with --deep",
    ),
    ObjectKind(
        "probe/", r"probe/(?:ready|[0-9a-f]{16})", "nothing: it is gone a moment later, and never read"
    ),
)

UNSEALED: Final = frozenset({"audio.opus", "audio.wav", "peaks", "note"})
"""Objects that are put before the manifest."""

NOT_ACCORDS: Final = "Accord puts no such object here"


def kind_of(key: str) -> ObjectKind | None:
    """The kind of an object by its key; ``None`` if it is not Accord's."""
    return next((kind for kind in KINDS if kind.has(key)), None)


def is_recording_object(name: str) -> bool:
    """Whether Accord uses this object name in a recording's folder."""
    return name in UNSEALED or name == "manifest.json" or number_in(name) is not None


def is_data_key(key: str) -> bool:
    """Whether a key is that of a recording's wrapped data key."""
    kind = kind_of(key)
    return kind is not None and kind.listed == "keys/<tenant>/<recording>.json"
