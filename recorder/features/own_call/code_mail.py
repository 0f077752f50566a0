"""The mail with a code to the person of a call.

A wrong address opens nothing: the second code is spoken to the number that took part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorder.errors import OwnCallError
from recorder.features.own_call.rules import grouped
from recorder.ids import Entropy
from recorder.mail.address import normalize_address
from recorder.mail.message import MailMessage, MailSection
from recorder.mail.outbox import Outbox
from recorder.prompts.purposes import LANGUAGES
from recorder.seal.own_call import OwnCallCode

MAIL: Final = "own_call"
"""The kind of mail."""

PATH: Final = "/my-call"
"""Where a code is typed in, in the panel."""


@dataclass(frozen=True, slots=True)
class CodeMail:
    """A mail to an ``address`` in a ``language``, in the name of a ``person`` of the ``customer``; its
    ``sections`` say which call it is about, and until when the code works."""

    outbox: Outbox
    address: str
    language: str
    customer: str
    person: str
    sections: tuple[MailSection, ...] = ()

    def check(self) -> None:
        """Raises :class:`OwnCallError` (``own_call.no_mail``, ``own_call.language``),
        :class:`recorder.errors.MailError` (``mail.address``)."""
        if not self.outbox.sends:
            raise OwnCallError(
                "own_call.no_mail", "no mail can be sent from here", "tell the person the code"
            )
        if self.language not in LANGUAGES:
            raise OwnCallError(
                "own_call.language", f"no language {self.language!r}", f"one of {', '.join(LANGUAGES)}"
            )
        normalize_address(self.address)

    def queue(self, code: str, statement: OwnCallCode, now: datetime, entropy: Entropy) -> None:
        """Inside the caller's transaction: queue the mail; it goes with the code (``drop_mail``)."""
        values = {"customer": self.customer, "person": self.person, "code": grouped(code)}
        left = statement.until - now
        message = MailMessage(MAIL, self.language, values, PATH, left, self.sections)
        address = normalize_address(self.address)
        self.outbox.enqueue(statement.tenant, address, message, now, entropy, about=statement.guest)
