"""A real mail server on loopback that keeps what it is sent."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from recorder.mail.server import MailServer
from tests.ports import free_ports


class Mailbox:
    """A mail server and what it accepted.  ``replies`` are its replies to the recipient, by address;
    ``after_data`` is its reply to each mail."""

    def __init__(self, port: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[str] = []
        self.replies: dict[str, str] = {}
        self.after_data = "250 taken"
        self.port = port or free_ports(1)
        self._controller: Controller | None = None

    @property
    def server(self) -> MailServer:
        """The server as the settings name it."""
        return MailServer(
            "127.0.0.1", self.port, "none", "calls@provider.example", sender_name="Provider & Sons"
        )

    async def handle_RCPT(self, _server, _session, envelope, address, _options) -> str:
        reply = self.replies.get(address, "250 known")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if self.after_data.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.to += envelope.rcpt_tos
        return self.after_data

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server that runs."""
    found = Mailbox()
    found.start()
    try:
        yield found
    finally:
        found.stop()


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def link_in(mail: EmailMessage) -> str:
    """The only link of a mail, which its plain text has on a line of its own."""
    (link,) = [line for line in text_of(mail).splitlines() if line.startswith("http")]
    return link
