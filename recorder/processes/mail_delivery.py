"""The thread that sends queued mail: somebody who waits for a link waits for seconds, and a mail server that
hangs delays no other duty."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from recorder import metrics
from recorder.config import Settings
from recorder.errors import ConfigError
from recorder.features.branding.logo import LOGO_TYPES, read_logo
from recorder.features.branding.rules import sent_by
from recorder.features.branding.service import CurrentBranding
from recorder.mail import delivery, outbox
from recorder.mail.server import MailServer
from recorder.pipeline.duty_thread import DutyThread
from recorder.seal.revocation import Trust
from recorder.services import Services

DUTY = "outgoing_mail"
"""The duty's name in metrics."""


def mail_server(settings: Settings) -> MailServer | None:
    """The mail server of the settings; ``None`` without one.  Raises :class:`ConfigError`."""
    mail = settings.mail
    if not mail.host:
        return None
    if not mail.sender:
        raise ConfigError(
            "config.invalid",
            "[mail] host is set, but sender is not",
            "set [mail] sender to the address that mails come from",
        )
    return MailServer(
        mail.host,
        mail.port,
        mail.security,
        mail.sender,
        mail.username,
        mail.password.get_secret_value(),
        mail.sender_name,
        _read_picture(settings.brand.logo),
    )


def _read_picture(logo: Path | None) -> bytes:
    """The settings' logo for mails; none where it is drawn in SVG, which mail programs do not show.  Raises
    :class:`ConfigError`."""
    media_type, content = ("", b"") if logo is None else read_logo(logo)
    return content if media_type == LOGO_TYPES[".png"] else b""


@dataclass
class MailDelivery(DutyThread):
    """Sends queued mail through a server; without one, it only deletes what is too old. The sender is the
    provider's, as an operator set it in the panel."""

    services: Services
    server: MailServer | None

    _branding: CurrentBranding = field(init=False)
    _is_idle: bool = field(default=False, init=False)
    """Whether mails wait and none was due: while the server is away, each waits for its next try."""

    NAME: ClassVar[str] = "mail"
    INTERVAL: ClassVar[float] = 3.0
    BACK_OFF: ClassVar[float] = 12.0

    def __post_init__(self) -> None:
        trust = Trust(self.services.root, self.services.revoked)
        self._branding = CurrentBranding(trust, self.services.now)

    def turn(self) -> None:
        """Send what is due, and count what stays in the queue.  Raises :class:`recorder.errors.MailError`."""
        count = 0
        try:
            server = None if self.server is None else sent_by(self.server, self._branding())
            count = delivery.send_due(self.services, server)
        finally:
            mails = outbox.count_mails(self.services.now())
            for state, number in mails.items():
                metrics.MAIL_QUEUED.labels(state).set(number)
        self._is_idle = not count and mails["waiting"] > 0
        metrics.DUTY_DONE.labels(DUTY).set(self.services.now().timestamp())

    def delayed(self, error: Exception) -> None:
        metrics.DUTY_FAILURES.labels(DUTY).inc()
        self.faults.report("mail.delayed", error)

    def failed(self, error: Exception) -> None:
        self.faults.report("mail.failed", error, level="error", exc_info=error)

    def recover(self) -> None:
        if not self._is_idle:
            super().recover()
