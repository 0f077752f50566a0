"""Mail: whatever a mail server answers, a message is sent or the declared error raised; and for any name of a
customer, a message has one header, one text and the unchanged checkpoint."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from types import SimpleNamespace
from typing import Any

from recorder.auditlog import mail_witness
from recorder.errors import MailError
from recorder.mail.server import MailServer
from tests.fuzz.choices import Choices
from tests.unit.seal.recording import NOW

INSTRUMENT = ("recorder.auditlog.mail_witness", "recorder.mail.server", "smtplib")
LONGEST = 300

NOTE = "accord/0/a/1\n7\nAAAA\n\n\u2014 accord/0/a/1 AAAA\n"
LAST: Any = SimpleNamespace(number=3, size=7, at=NOW, note=NOTE)
"""A row of the catalogue, unused elsewhere."""

HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
}  # fmt: skip

ANSWERS = (
    b"250 ok\r\n", b"220 here\r\n", b"354 go on\r\n", b"235 yes\r\n", b"334 Zm9v\r\n", b"221 bye\r\n",
    b"250-x\r\n250-SIZE 99999999999999999999\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n",
    b"250-STARTTLS\r\n250 SMTPUTF8\r\n", b"250-AUTH=\xff\r\n250 8BITMIME\r\n", b"421 go away\r\n",
    b"535 no\r\n",
    b"552 too large\r\n", b"\xff\xfe\r\n", b"250", b"", b"\r\n", b"999 ?\r\n", b"-25 x\r\n",
    b"250 " + b"a" * 9000 + b"\r\n",
    b"250-" * 3000, b"2\x0050 ok\r\n", b"550 \xe2\x80\xae\r\n", b"250-a\n250-b\n250 c\n",
)  # fmt: skip


class Mailbox:
    """A server on loopback with prepared answers, one at the start and one for each line."""

    def __init__(self) -> None:
        self.script: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            script = list(self.script)
            connection.settimeout(0.05)
            try:
                with connection, connection.makefile("rb") as lines:
                    for answer in script:
                        connection.sendall(answer)
                        if not lines.readline(100_000):
                            break
            except OSError:
                continue


_mailbox: list[Mailbox] = []


def check(data: bytes) -> None:
    choices = Choices(data)
    name, address = choices.text(24), choices.pick(("claire@example.com", "claire@exämple.com"))
    language = choices.pick(("fr", "nl", "de", "en", "xx"))
    letter = mail_witness.compose_mail(name, language, LAST, "accord@example.com", address, NOW)
    read: Any = email.message_from_bytes(letter.as_bytes(), policy=email.policy.default)
    assert set(read.keys()) == HEADERS, f"a name made a header: {sorted(read.keys())}"
    text, attached = read.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attached.get_payload(decode=True) == NOTE.encode()

    if not _mailbox:
        _mailbox.append(Mailbox())
    there = _mailbox[0]
    usual = [ANSWERS[1], *[ANSWERS[0]] * 3, ANSWERS[2], *[ANSWERS[0]] * 30]
    script = usual[: choices.below(8)]
    script += [
        choices.pick(ANSWERS) if choices.below(6) else choices.blob(40) for _ in range(choices.below(8))
    ]
    there.script = usual if choices.below(8) == 7 else script
    username = choices.pick(("", "", "accord"))
    security = choices.pick(("none", "none", "starttls"))
    password = "é" if choices.below(4) == 3 else "secret"
    server = MailServer("127.0.0.1", there.port, security, "accord@example.com", username, password)
    try:
        with server.open() as session:
            session.send_message(letter)
    except MailError as error:
        assert error.error_id == "mail.unreachable"


SEEDS = (
    b"\x00\x00\x00\x07",
    *(
        bytes([n % 9, *range(65, 65 + n % 9), n % 2, n % 5, n % 8, n % 8, *(n * k % 256 for k in range(18))])
        for n in range(60)
    ),
)
