"""Evidence is read in an order in which concurrent changes count as no violation."""

from __future__ import annotations

from tests.chaos import evidence
from tests.chaos.facts import Catalogue
from tests.chaos.visitor import FetchedSound, Visitor

NOTHING = Catalogue((), (), (), {}, {}, (), ())


def fetched(play: str) -> FetchedSound:
    return FetchedSound("g", play, "audio.wav", 206, 152_004, None)


def test_rows_added_during_a_read_are_no_violation() -> None:
    """A listen opened after the read is in no row of it."""
    visitor = Visitor(0, "claire", "", "")
    visitor.fetched.append(fetched("before"))

    class Read(evidence.Database):
        def read(self) -> Catalogue:
            visitor.fetched.append(fetched("meanwhile"))
            return NOTHING

    sounds, catalogue = evidence.fetched_sounds([visitor], Read(""))
    assert [each.play for each in sounds] == ["before"]
    assert catalogue is NOTHING
    assert len(visitor.fetched) == 2
