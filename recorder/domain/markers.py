"""Markers: the moments that are marked in a recording.

The state machine orders them (``call/state.py``), the daemon writes them to the call's folder
(``spool/layout.py``), the worker locates them in the audio (``audio/redaction.py``), and the manifest seals
them (``seal/manifest.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from recorder.strict_json import FileTime, Strict, Time


@dataclass(frozen=True, slots=True)
class Marker(Strict):
    """A moment in a call. ``at`` is its time in UTC, ``kind`` one of :data:`MARKER_KINDS`, and ``data`` small
    and flat, with names of :data:`DATA_NAMES`."""

    at: FileTime
    kind: str
    data: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class LocatedMarker(Marker):
    """A marker with its place in the audio: ``offset_ms``, in milliseconds of audio.

    It is a separate type because ``encoded.json`` is read strictly: it refuses a marker without a place, or
    without data."""

    data: Mapping[str, str] = field(hash=False)
    offset_ms: int


SealedName = Literal[
    "answer", "asks", "began", "by", "cause", "channel", "channels", "fax", "full", "heard_by", "how", "in",
    "key", "question", "reason", "seconds", "seen", "sha256", "side", "voice_from_ms", "voice_to_ms", "who",
]  # fmt: skip
"""The names of data that a manifest may have in clear: none of it identifies a person, a number or a leg."""

_SEALED: Final[tuple[SealedName, ...]] = get_args(SealedName)

DATA_NAMES: Final = frozenset(_SEALED) | {"party", "value", "leg"}
"""The names of data that a marker may have: those of :data:`SealedName`, and those that say who it was."""


@dataclass(frozen=True, slots=True)
class SealedMarker(Strict):
    """A marker in a manifest, whose markers are in clear. Its data has only names of :data:`SealedName`,
    whatever its kind; who came or left is in the encrypted parties."""

    at: Time
    kind: str
    data: Mapping[SealedName, str] = field(hash=False)
    offset_ms: int


def withhold_identity(data: Mapping[str, str]) -> dict[SealedName, str]:
    """The data of a marker that a manifest may have in clear."""
    return {name: data[name] for name in _SEALED if name in data}


LATER: Final = {"seen": "later"}
"""Data of a marker that was written later, because nobody watched the call: its time is that of the switch's
report."""

MARKER_KINDS: Final = frozenset(
    {
        "recording_started",
        # data: fax (t38), where a telephone had offered to go on as a fax; full (disk), where the daemon
        # stopped the recording because the disk was about to be full, and the call went on
        "recording_stopped",
        # A question before the conversation was heard whole. data: question (language, recording)
        "question_finished",
        # data: question; answer (yes, no, none, unclear; for the language: key, none, unclear); key
        "question_answered",
        "keep_question_asked",  # the keep question. data: how (question, own_words)
        "keep_question_heard",  # whole, by both
        "keep_question_interrupted",  # the question was not heard whole, or nobody could answer: no answer
        # A colleague confirmed a yes, but the external party's voice was not found: it is asked once more.
        "keep_answer_unheard",
        # data: answer (yes, no, none); by (external, internal); how (key, aloud, own_words); for a
        # colleague's yes also voice_from_ms and voice_to_ms, where the external party's voice is, in
        # milliseconds of audio
        "keep_question_answered",
        "keep_answer_confirmed",  # both heard the outcome. data: answer
        "keep_answer_unconfirmed",  # the outcome was not heard whole by both
        # The switch pauses the recording. data: seconds until it resumes by itself; began (unknown), where
        # the switch does not say since when; by (panel, api), here and in resumed, moment_marked and
        # deleted, where it was a command and no feature code
        "paused",
        "resumed",
        "moment_marked",  # a colleague marked the moment
        "deletion_question_asked",  # the colleague is asked to confirm deletion
        "deletion_cancelled",  # deletion was not confirmed
        "deleted",  # it was confirmed
        "announcement_started",
        "announcement_interrupted",  # data: reason (hold, stopped, talked_over, unheard)
        "announcement_finished",  # its playback ended by itself, without a hold
        # data of both: party (its kind) and value, the internal party who came or left; leg, the switch's id
        # of theirs
        "bridged",
        "unbridged",
        # A participant joined or left. data of both: party, value and leg as above; who (internal, external),
        # where the switch could be asked; how (conference, third)
        "participant_joined",
        "participant_left",
        # A supervisor started or stopped listening. data of all three: party, value and leg as above
        "supervisor_joined",
        "supervisor_left",
        # data: heard_by (external, internal, both, nobody); channel (left, right), where the recording has
        # their voice, and they are a third party, too
        "supervisor_heard",
        # The transfer notice started. data: how (alone, both); asks (opt-out, opt-in), where it asks for
        # consent. Here and below, of one of several participants, also in (room) and their leg
        "transfer_notice_started",
        "transfer_notice_finished",  # it was heard whole
        # It was not heard whole. data: reason (left, hold, stopped, unobserved)
        "transfer_notice_interrupted",
        "transfer_question_finished",  # the transfer target heard the question whole
        # The recording goes on. data: answer (yes; none: silence in opt-out), key
        "transfer_question_answered",
        # The recording ends. data: answer (no; none, silence in opt-in; unclear, meaningless keys; left,
        # before they answered; unasked, the question could not be played; unobserved), key
        "transfer_question_refused",
        "transferred_externally",  # the other end is no colleague any more: the recording ends
        # The telephone system records the call, too. data: side (external, internal), whose leg it records
        "other_recording_started",
        "other_recording_stopped",
        "hold",  # the external party holds the call
        "unhold",
        "internal_hold",  # the colleague holds it; there may be no unhold where they leave meanwhile
        "internal_unhold",
        "conference_left",  # the external party was in a conference until now
        "hangup",  # data: cause
        "unobserved_from",  # the daemon was away
        "unobserved_to",
        "imported",  # an imported recording. data: sha256 (of the file), channels (1 or 2)
    }
)
"""The kinds of markers. Each may also have :data:`LATER`."""
