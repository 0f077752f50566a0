"""The mail server that Accord sends through."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from recorder.errors import MailError

TIMEOUT_S = 30.0
"""Seconds that a mail server may take to respond."""

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """The mail server to send through. Its certificate is verified; with ``none`` nothing is encrypted.
    ``sender`` is the address that mails come from, ``sender_name`` the name shown beside it, ``logo`` the PNG
    picture at their top; without one there is none."""

    host: str
    port: int
    security: Security
    sender: str
    username: str = ""
    password: str = ""
    sender_name: str = ""
    logo: bytes = field(default=b"", repr=False)

    @contextmanager
    def open(self) -> Iterator[smtplib.SMTP]:
        """A session. Raises :class:`MailError` (``mail.unreachable``), also for errors within the block."""
        try:
            with self._connect() as session:
                if self.security == "starttls":
                    session.starttls(context=ssl.create_default_context())
                if self.username:
                    session.login(self.username, self.password)
                yield session
        except UnicodeEncodeError as error:  # smtplib sends log-ins and addresses in ASCII
            raise MailError(
                "mail.unreachable",
                f"the mail server {self.host} accepts only ASCII in log-ins and addresses",
                "use an ASCII password; see section [mail] in docs/settings.md",
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailError(
                "mail.unreachable",
                f"the mail server {self.host} did not accept the mail: {error}",
                "check section [mail] (docs/settings.md); sending is retried",
            ) from error

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
