"""The code with which a guest enters a room by telephone, and the guest whom a typed code belongs to.

A code is computed from the guest's invitation, under a key derived from the key-encryption key, and is
stored nowhere: a new link has a new code, and whoever reads the catalogue can compute none. Rows only lead to
a guest, by MACs; whether the invitation is in force is read from the dispute's statements. Wrong codes use up
a budget that lasts across calls and restarts: one for each invited number, so that nobody who guesses keeps
its person out, and one for all other numbers together.
"""

from __future__ import annotations

import hmac
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import structlog

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.dispute import DisputeGuestTable
from recorder.domain.phone_numbers import format_international
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Guest
from recorder.identity import throttle
from recorder.identity.throttle import Bucket, RateLimit
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust

DIGITS: Final = 9

ALL_NUMBERS: Final[Bucket] = ("dial-in", RateLimit(50, 86_400))
"""Wrong codes in a day from all numbers that nobody was invited at."""

INVITED_NUMBER: Final = RateLimit(10, 86_400)
"""Wrong codes in a day from a number at which somebody was invited. A caller can show any number: for each
one that they know, they have so many more attempts at nine digits."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DialIn:
    """Lets guests enter rooms by telephone. ``number`` is what they call, and ``keyring`` has the keys of
    their codes."""

    number: str
    keyring: Keyring
    trust: Trust

    def code_of(self, dispute: Dispute, guest: Guest, now: datetime) -> str | None:
        """A guest's code, which leads to them from now on; ``None`` for somebody who was not in the call, and
        for an invitation that is not in force."""
        if not _is_in_force(dispute, guest, now):
            return None
        with connected():
            row = DisputeGuestTable.get_or_none(DisputeGuestTable.id == guest.id)
        if row is None:
            return None
        for key in self._keys():
            code = _compute_code(key, dispute, guest, row.dial_turn)
            if row.dial_mac == _mac(key, "code", code):
                return code
        return self._index(dispute, guest)

    def _index(self, dispute: Dispute, guest: Guest) -> str:
        """Note the first code of a guest that leads to nobody else."""
        key, turn = next(self._keys()), 0
        with writing():
            while True:
                code = _compute_code(key, dispute, guest, turn)
                mac = _mac(key, "code", code)
                others = (DisputeGuestTable.dial_mac == mac) & (DisputeGuestTable.id != guest.id)
                if not DisputeGuestTable.select().where(others).exists():
                    break
                turn += 1
            number = None if guest.number is None else _mac(key, "number", guest.number)
            DisputeGuestTable.update(dial_mac=mac, dial_turn=turn, number_mac=number).where(
                DisputeGuestTable.id == guest.id
            ).execute()
        return code

    def find(self, code: str, now: datetime) -> tuple[Dispute, Guest] | None:
        """The guest whose code was typed, and their dispute, if the invitation is in force."""
        for key in self._keys():
            for row, dispute, guest in self._led_to("dial_mac", _mac(key, "code", code)):
                expected = _compute_code(key, dispute, guest, row.dial_turn)
                if hmac.compare_digest(expected, code) and _is_in_force(dispute, guest, now):
                    return dispute, guest
        return None

    def budgets_of(self, number: str | None, now: datetime) -> tuple[Bucket, ...]:
        """The budgets of a caller, by the ``number`` that they show: an attempt uses the first that is not
        used up."""
        for key in self._keys() if number else ():
            mac = _mac(key, "number", str(number))
            for _row, dispute, guest in self._led_to("number_mac", mac):
                if guest.number == number and _is_in_force(dispute, guest, now):
                    return (f"dial-in {mac}", INVITED_NUMBER), ALL_NUMBERS
        return (ALL_NUMBERS,)

    def try_code(self, code: str, number: str | None, now: datetime) -> tuple[Dispute, Guest] | None:
        """The guest whose code a caller typed, and their dispute; ``None`` for any other code, and where the
        budget is used up. Each attempt is counted first, and a right one is given back."""
        budgets = self.budgets_of(number, now)
        budget = next((each for each in budgets if not throttle.take([each], now)), None)
        if budget is None:
            log.warning("dial_in.budget_used_up", invited=len(budgets) > 1)
            return None
        found = self.find(code, now)
        if found is not None:
            throttle.give_back([budget])
        return found

    def sentence(self, code: str, language: str) -> str:
        """Which number to dial, and which code to enter."""
        words = _words()["invitation"]
        values = {"number": format_international(self.number), "code": grouped(code)}
        return (words.get(language) or words["en"]) % values

    def _keys(self) -> Iterator[bytes]:
        """The keys of codes, that of new ones first: a code lasts while its key-encryption key is there."""
        return (self.keyring.dial_in_key(each).key for each in self.keyring.ids())

    def _led_to(self, column: str, mac: str) -> Iterator[tuple[DisputeGuestTable, Dispute, Guest]]:
        """The guests that rows lead to, as their disputes' statements say."""
        with connected():
            rows = list(DisputeGuestTable.select().where(getattr(DisputeGuestTable, column) == mac))
        for row in rows:
            try:
                dispute = queries.find_dispute(row.tenant_id, row.dispute_id, self.trust)
                yield row, dispute, dispute.find_guest(row.id)
            except (DisputeError, SealError) as error:
                log.error("dial_in.refused", dispute=row.dispute_id, error_id=error.error_id)


def share_used(now: datetime) -> float:
    """How much of the budget of all numbers is used up; from 1 on, only those get in who call from a number
    at which they were invited."""
    return throttle.share_used(ALL_NUMBERS, now)


def grouped(code: str) -> str:
    """A code as people read it out, on one line."""
    return "\u00a0".join(code[place : place + 3] for place in range(0, DIGITS, 3))


def words_of_mark(language: str) -> str:
    """The words of a passage that was marked with a key."""
    words = _words()["marked"]
    return words.get(language) or words["en"]


def _is_in_force(dispute: Dispute, guest: Guest, now: datetime) -> bool:
    """Whether an invitation of somebody who was in the call leads in."""
    if guest.role != EXTERNAL_PARTY or guest.token_sha256 is None:
        return False
    return dispute.closed_at is None and guest.ended_at is None and (now < guest.until or guest.takes_part)


def _compute_code(key: bytes, dispute: Dispute, guest: Guest, turn: int) -> str:
    text = f"dial-in code\n{dispute.id}\n{guest.id}\n{guest.token_sha256}\n{turn}"
    number = int.from_bytes(hmac.digest(key, text.encode(), "sha256"), "big") % 10**DIGITS
    return f"{number:0{DIGITS}}"


def _mac(key: bytes, kind: str, text: str) -> str:
    """What leads from a typed code, or from a number, to a row; without the key nobody finds what it is
    of."""
    return hmac.digest(key, f"dial-in {kind} index\n{text}".encode(), "sha256").hex()


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(Path(__file__).with_name("dial_in.toml").read_text("utf-8"))
