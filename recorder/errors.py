"""Errors for people to read.

Whatever an operator or a customer can correct raises an :class:`AccordError`, which says what is wrong and,
in ``hint``, what to do. It is caught once, at the edge: command line, web, worker loop.
"""

from __future__ import annotations


class AccordError(Exception):
    """An error that a person can correct.

    ``error_id`` is stable (``area.problem``), appears in logs and API responses, and is the key of the
    translated sentence for customers; ``message`` and ``hint`` are plain English for the operator.
    """

    def __init__(self, error_id: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[type[AccordError], tuple[str, str, str]]:
        """Support pickling, which passes errors out of the encoder processes."""
        return type(self), (self.error_id, self.message, self.hint)


class ConfigError(AccordError):
    """A setting is unknown, missing or invalid."""


class FileError(AccordError):
    """A file or folder cannot be read or written."""


class SwitchError(AccordError):
    """FreeSWITCH is unavailable, refused a command, or did not reply in time."""


class TakeError(AccordError):
    """A take on disk is unusable (a broken WAV, a missing file)."""


class EncoderError(AccordError):
    """The encoder process cannot start, so no take can be encoded."""


class SealError(AccordError):
    """A key, signature, hash or encrypted block does not match the seal."""


class StoreError(AccordError):
    """The object store is unavailable, refused an operation, or returned other content than was stored."""


class CatalogueError(AccordError):
    """The database is unavailable, its schema is not this version's, or it has no such row."""


class BackupError(AccordError):
    """A backup file is damaged, or cannot be restored here."""


class AuditLogError(AccordError):
    """An audit log cannot be signed, or a checkpoint or proof of it does not verify."""


class MailError(AccordError):
    """A mail address is none, or the mail server is unavailable."""


class RecordingImportError(AccordError):
    """A recording cannot be imported."""


class AccessError(AccordError):
    """A user may not do this: wrong purpose, no grant, or another customer's data."""


class TooOften(AccessError):
    """A user did this too often: more would only fill the log. They may retry after ``after`` seconds."""

    def __init__(self, message: str, after: int) -> None:
        super().__init__("access.too_often", message, f"try again in {after} s")
        self.after = after

    def __reduce__(self) -> tuple[type[TooOften], tuple[str, int]]:  # type: ignore[override]
        return type(self), (self.message, self.after)


class RetentionError(AccordError):
    """A legal hold, a deletion or a retention limit is not possible: the seal, another hold or a law forbids
    it."""


class NoteError(AccordError):
    """A note or a label cannot be kept as it was written, or is somebody else's."""


class SubjectRequestError(AccordError):
    """A subject request cannot proceed: not verified, not reviewed, or too many attempts."""


class VerificationCallError(AccordError):
    """A number is not called: it is none of those that are, or calls were ordered too often."""


class DisputeError(AccordError):
    """A step of a dispute is not possible: it is closed, the guest has ended, or the link is not valid."""


class OwnCallError(AccordError):
    """A person's own call is not opened, or no code is given for it."""


class RoomError(AccordError):
    """A command in a room is not carried out: somebody else leads, or another command came first."""


class ClockError(AccordError):
    """This machine's clock cannot be trusted."""
