"""The one family of errors that Accord raises for a person to read.

Everything that an operator or a customer can put right is an :class:`AccordError`: it says what is
wrong, and in ``hint`` what to do.  It is caught once, at the edge (command line, web, worker loop).
"""

from __future__ import annotations


class AccordError(Exception):
    """Something is wrong that a person can put right.

    ``error_id`` is stable (``area.what``), goes into logs and API answers, and is the key of the
    translated sentence where the error is shown to a customer; ``message`` and ``hint`` are plain
    English for the operator.
    """

    def __init__(self, error_id: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[AccordError], tuple[str, str, str]]:
        """So that it comes whole out of a worker process (takes are encoded in processes of their own)."""
        return type(self), (self.error_id, self.message, self.hint)


class ConfigError(AccordError):
    """A setting is unknown, missing or impossible."""


class SwitchError(AccordError):
    """FreeSWITCH is away, refused a command, or did not answer in time."""


class TakeError(AccordError):
    """A take on disk is not what it must be (broken WAV, missing file)."""


class EncoderError(AccordError):
    """The process that encodes takes cannot be started: no take can be encoded."""


class SealError(AccordError):
    """A key, signature, hash or encrypted block is not what the seal says."""


class StoreError(AccordError):
    """The object store is away, refused, or returned something else than was stored."""


class CatalogueError(AccordError):
    """The database is away or has another schema than this version of Accord."""


class BackupError(AccordError):
    """A backup's file is not what was written, or cannot be restored here."""


class LedgerError(AccordError):
    """A log cannot be signed, or what was signed of it is not what it must be."""


class BringingError(AccordError):
    """A recording from elsewhere cannot be brought in as it is."""


class AccessError(AccordError):
    """A person may not do this: wrong purpose, no grant, not theirs."""


class TooOften(AccessError):
    """A person asked for this so often that each more would only fill the log; it goes on ``after`` so many
    seconds."""

    def __init__(self, message: str, after: int) -> None:
        super().__init__("access.too_often", message)
        self.after = after

    def __reduce__(self) -> tuple[type[TooOften], tuple[str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.after)


class KeepingError(AccordError):
    """A recording cannot be held, deleted or kept so: by what was sealed, a hold, or a law."""


class PersonError(AccordError):
    """What a person asked about their recordings cannot go on so: not proved, not reviewed, too often."""


class ClockError(AccordError):
    """This machine's clock cannot be believed."""
