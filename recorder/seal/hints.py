"""Hints of the errors about signed documents and stored objects."""

from __future__ import annotations

from typing import Final

COMPARE: Final = "run `accord audit run`, and compare with a backup of the catalogue"
"""For a row that differs from the signed statement or the log."""

OBJECT: Final = (
    "look for an older version of the object in the bucket, and check who can write there; "
    "`accord audit run` names every such object"
)
"""For an object in the bucket that is missing, damaged, or not the one that was signed."""

FOREIGN_OBJECT: Final = "find out who put it into the bucket, and remove it; only Accord may write there"

DOCUMENT: Final = (
    "it was changed after it was written: take another copy of it, or an older version in the bucket"
)
"""For a document that no version of Accord wrote."""

NEWER: Final = "read it with the version of Accord that wrote it, or a newer one"
