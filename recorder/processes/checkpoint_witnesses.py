"""Opens the witnesses that the settings name for signed checkpoints: a timestamp authority and a mail
server."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.auditlog.timestamping import Authority
from recorder.config import Settings
from recorder.errors import ConfigError
from recorder.mail.server import MailServer
from recorder.processes.mail_delivery import mail_server


@dataclass(frozen=True, slots=True)
class CheckpointWitnesses:
    """Receive signed checkpoints besides the bucket."""

    authority: Authority | None = None
    server: MailServer | None = None


def open_witnesses(settings: Settings) -> CheckpointWitnesses:
    """The witnesses that the settings name.  Raises :class:`ConfigError`."""
    return CheckpointWitnesses(_authority(settings), mail_server(settings))


def _authority(settings: Settings) -> Authority | None:
    url = settings.audit_log.timestamp_url
    return Authority(url, certificates(settings) or b"") if url else None


def certificates(settings: Settings) -> bytes | None:
    """The certificates (PEM) that verify timestamps; ``None`` without an authority.  Raises
    :class:`ConfigError`."""
    path = settings.audit_log.timestamp_ca
    if path is None:
        if not settings.audit_log.timestamp_url:
            return None
        raise ConfigError(
            "config.invalid",
            "[audit_log] timestamp_url is set, but timestamp_ca is not: timestamps could not be verified",
            "set timestamp_ca to a file (PEM) with the certificates that the authority publishes",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "config.unreadable",
            f"[audit_log] timestamp_ca: {path} cannot be read: {error.strerror}",
            "check the path, and that Accord's user may read the file",
        ) from error
