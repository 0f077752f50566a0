"""The actual results of a plan of mixed calls, as the model checks them: what each phone said and heard, and
what is listed. The model's own tests write such histories by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.freeswitch.mixed.signals import Run

SENTENCES = (
    "announcement", "question", "declined", "transfer_notice", "keep_question", "keep_yes", "keep_no",
    "keep_none", "delete_question", "deleted",
)  # fmt: skip
"""Who says them is known by their place here (:attr:`~tests.freeswitch.mixed.signals.Word.sentence`)."""


@dataclass(frozen=True, slots=True)
class Telephone:
    """``speech`` and ``ear`` in the order of their times, which are the telephones' own clock; ``tones`` is
    how many frames had which tone of a pause (by its bin)."""

    speech: tuple[Run, ...] = ()
    ear: tuple[Run, ...] = ()
    tones: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the catalogue for an external party's number: a recording with what is in its two channels
    (times are its own), or why there is none.  ``gaps`` are the reasons of its gaps, ``keep_answer``
    what was agreed about keeping it, ``drift_ms`` how much of the call's own time is missing in the sound,
    ``markers`` what is marked in it and where (for who looks at a finding)."""

    number: str
    reason: str | None = None
    left: tuple[Run, ...] = ()
    right: tuple[Run, ...] = ()
    gaps: tuple[str, ...] = ()
    keep_answer: str | None = None
    drift_ms: int = 0
    markers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """``telephones`` by whose they are; ``failed`` is what a call's script could not do, by the call's
    number."""

    telephones: Mapping[int, Telephone]
    listed: tuple[Listed, ...]
    failed: Mapping[int, str] = field(default_factory=dict)
