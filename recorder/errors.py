"""The family of errors that Accord raises for people to read.

Everything that an operator or a customer can put right is an :class:`AccordError`: it says what is wrong and,
in ``hint``, what to do. It is caught once, at the edge (command line, web, worker loop).
"""

from __future__ import annotations


class AccordError(Exception):
    """Something is wrong that a person can put right.

    ``error_id`` is stable (``area.what``), appears in logs and API answers, and is the key of the translated
    sentence that a customer sees; ``message`` and ``hint`` are plain English for the operator.
    """

    def __init__(self, error_id: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[AccordError], tuple[str, str, str]]:
        """Makes it picklable, to pass out of the encoder processes."""
        return type(self), (self.error_id, self.message, self.hint)


class ConfigError(AccordError):
    """A setting is unknown, missing or impossible."""


class SwitchError(AccordError):
    """FreeSWITCH is unavailable, refused a command, or did not answer in time."""


class TakeError(AccordError):
    """A take on disk is not what it must be (broken WAV, missing file)."""


class EncoderError(AccordError):
    """The process that encodes takes cannot be started: no take can be encoded."""


class SealError(AccordError):
    """A key, signature, hash or encrypted block does not match the seal."""


class StoreError(AccordError):
    """The object store is unavailable, refused, or returned something other than what was stored."""


class CatalogueError(AccordError):
    """The database is unavailable, or its schema is not this version's."""


class BackupError(AccordError):
    """A backup file is not what was written, or cannot be restored here."""


class AuditLogError(AccordError):
    """A log cannot be signed, or its checkpoints are not what they must be."""


class RecordingImportError(AccordError):
    """A recording cannot be imported as it is."""


class AccessError(AccordError):
    """A person may not do this: wrong purpose, no grant, not theirs."""


class TooOften(AccessError):
    """A person asked for this too often: more would only fill the log. They may continue after ``after``
    seconds."""

    def __init__(self, message: str, after: int) -> None:
        super().__init__("access.too_often", message)
        self.after = after

    def __reduce__(self) -> tuple[type[TooOften], tuple[str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.after)


class RetentionError(AccordError):
    """A recording cannot be held, deleted or kept this way: because of what was sealed, a legal hold, or a
    law."""


class SubjectRequestError(AccordError):
    """A subject request cannot continue: not proved, not reviewed, too often."""


class ClockError(AccordError):
    """This machine's clock cannot be trusted."""
