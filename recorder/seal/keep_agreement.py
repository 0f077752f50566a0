"""What became of the agreement to keep a recording longer than announced, by all its sealed documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from recorder.audio.keep_answers import NO, NONE, YES
from recorder.seal.amendment import Amendment
from recorder.seal.amendment_kinds import BOTH_SIDES, ConsentAdded, ConsentWithdrawn, PurposesNarrowed
from recorder.seal.manifest import Manifest
from recorder.seal.usage_terms import Term, Terms

AGREED: Final = "agreed"
ENTERED: Final = "entered"
WITHDRAWN: Final = "withdrawn"
_WITHOUT_CONSENT: Final = {NO: "refused", NONE: "unanswered", YES: WITHDRAWN}


def longest_consent(terms: Terms) -> Term | None:
    """The purpose whose consent is in force and that lasts longest."""
    agreed = (each for each in terms.purposes if each.consented_until is not None)
    return max(agreed, key=lambda each: each.until, default=None)


def rests_on_both(manifest: Manifest, amendments: Iterable[Amendment], code: str) -> bool:
    """Whether the consent for a purpose that is in force was given in the call, or confirmed by both sides
    later; otherwise it rests on the word of one.  What was withdrawn counts no longer."""
    by_both = manifest.keep_consent is not None and manifest.keep_consent.code == code
    for each in amendments:
        data = each.data
        if isinstance(data, ConsentWithdrawn | PurposesNarrowed) and code in data.purposes:
            by_both = False
        elif isinstance(data, ConsentAdded) and data.purpose == code:
            by_both = by_both or data.basis == BOTH_SIDES
    return by_both


def keep_agreement(manifest: Manifest, amendments: Sequence[Amendment], terms: Terms) -> str | None:
    """What became of it: :data:`AGREED` by both sides, in the call or later; :data:`ENTERED` on one side's
    word; ``refused``, ``unanswered`` or :data:`WITHDRAWN`; ``None`` if nobody asked."""
    consent = longest_consent(terms)
    if consent is None:
        was_entered = any(isinstance(each.data, ConsentAdded) for each in amendments)
        if was_entered and manifest.keep_answer != NO:  # A refusal in the call stands when that has ended.
            return WITHDRAWN
        return _WITHOUT_CONSENT.get(manifest.keep_answer or "")
    return AGREED if rests_on_both(manifest, amendments, consent.code) else ENTERED
