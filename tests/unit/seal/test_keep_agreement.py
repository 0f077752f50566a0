"""What became of the agreement to keep a recording, by all its sealed documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recorder.audio.keep_answers import NO, OWN_WORDS
from recorder.domain.call_events import EXTERNAL
from recorder.seal.amendment_kinds import (
    BOTH_SIDES,
    STATED,
    VOUCHED,
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    PurposesNarrowed,
)
from recorder.seal.consent_record import KeepQuestion
from recorder.seal.keep_agreement import keep_agreement
from recorder.seal.usage_terms import terms
from tests.unit.seal.test_usage_terms import chain, day, manifest

IN_CALL = manifest(agreed=("agreement", 365))
NOT_ASKED = manifest()
NO_IN_CALL = KeepQuestion(
    day(0), 1000, OWN_WORDS, None, NO, EXTERNAL, "key", day(0), 1500, None, None, True, None
)
REFUSED = replace(NOT_ASKED, keep_questions=(NO_IN_CALL,))
WITHDRAWN = ConsentWithdrawn(("agreement",), "By letter")
NARROWED = PurposesNarrowed(("agreement",), "No longer needed")


def entered(basis: str, code: str = "agreement", days: int = 365) -> ConsentAdded:
    return ConsentAdded(code, day(days), "be", "By e-mail", None, basis)


@pytest.mark.parametrize(
    ("sealed", "later", "expected"),
    [
        (NOT_ASKED, (), None),
        (NOT_ASKED, (entered(STATED),), "entered"),
        (NOT_ASKED, (entered(VOUCHED),), "entered"),
        (NOT_ASKED, (entered(BOTH_SIDES),), "agreed"),
        (NOT_ASKED, (entered(STATED), entered(BOTH_SIDES)), "agreed"),
        (NOT_ASKED, (entered(BOTH_SIDES), entered(STATED)), "agreed"),
        (NOT_ASKED, (entered(BOTH_SIDES), WITHDRAWN, entered(STATED)), "entered"),
        (NOT_ASKED, (entered(STATED), WITHDRAWN), "withdrawn"),
        (NOT_ASKED, (entered(BOTH_SIDES), WITHDRAWN), "withdrawn"),
        (NOT_ASKED, (entered(BOTH_SIDES, "training"), entered(STATED, days=900)), "entered"),
        (REFUSED, (), "refused"),
        (REFUSED, (entered(STATED),), "entered"),
        (REFUSED, (entered(STATED), WITHDRAWN), "refused"),
        (IN_CALL, (), "agreed"),
        (IN_CALL, (entered(STATED),), "agreed"),
        (IN_CALL, (entered(STATED, "training", 900),), "entered"),
        (IN_CALL, (WITHDRAWN,), "withdrawn"),
        (IN_CALL, (NARROWED,), "withdrawn"),
        (IN_CALL, (WITHDRAWN, entered(STATED)), "entered"),
        (IN_CALL, (WITHDRAWN, entered(STATED), entered(BOTH_SIDES)), "agreed"),
        (IN_CALL, (ConsentWithdrawn(("training",), "By letter"),), "agreed"),
    ],
)
def test_only_what_both_sides_agreed_counts_as_agreed(sealed, later: tuple[Data, ...], expected) -> None:
    amendments = chain(*enumerate(later, 1))
    assert keep_agreement(sealed, amendments, terms(sealed, amendments)) == expected
