"""The mark of values that only their verifier makes."""

from __future__ import annotations


class VerifiedState:
    """A value that says what was verified, and is made by the module that defines it alone.

    Whatever destroys, withholds, widens or discloses takes one as its argument, so that an id or a row in its
    place is a type error. A test over the syntax tree has the list of these classes, and rejects a line that
    makes or copies one elsewhere.
    """

    __slots__ = ()
