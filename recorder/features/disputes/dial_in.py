"""The code with which one of a dispute's people enters its room by telephone, and whom a typed code belongs
to.

A code is computed under a key derived from the key-encryption key, and is stored nowhere: whoever reads the
catalogue can compute none. A guest gets a new code with a new link, and when whoever handles the question
renews it; one of the customer's people with a new password; and the provider's support each time that it
comes in. Rows only lead to a person, by MACs; who may come in is read from the dispute's statements, and from
the signed credential of a user. Wrong codes use up a budget that lasts across calls and restarts: one for
each invited number, so that nobody who guesses keeps its person out, and one for all other numbers together.
"""

from __future__ import annotations

import hmac
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.dispute import RoomCodeTable
from recorder.domain.phone_numbers import format_international
from recorder.domain.roles import EXTERNAL_PARTY, PROVIDER, SUPPORT
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.hearers import find_hearer
from recorder.features.disputes.rules import Dispute, Guest
from recorder.identity import throttle, users
from recorder.identity.throttle import Bucket, RateLimit
from recorder.seal.dispute_kinds import GuestEntered
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust

DIGITS: Final = 9

ALL_NUMBERS: Final[Bucket] = ("dial-in", RateLimit(50, 86_400))
"""Wrong codes in a day from all numbers that nobody was invited at."""

INVITED_NUMBER: Final = RateLimit(10, 86_400)
"""Wrong codes in a day from a number at which somebody was invited. A caller can show any number: for each
one that they know, they have so many more attempts at nine digits."""

PASS_LASTS: Final = timedelta(seconds=30)
"""How long a node waits for a caller whom another one passes on to it."""

ENTRY_LASTS: Final = timedelta(hours=2)
"""How long support's code lasts after it came in, and said why: it says so each time."""

RENEWED: Final = "dispute.dial_code_renewed"
"""The kind of the leaf with which a guest gets another code."""

TAKEN_ONCE: Final = RateLimit(1, 600)

_TOKEN: Final = re.compile(
    r"(?P<session>[0-9a-f-]{36})\.(?P<room>[0-9a-f-]{36})\.(?P<until>[0-9]{10})\.(?P<mac>[0-9a-f]{64})"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RoomCaller:
    """One of a dispute's people, by their user's ``id``, who may enter its room by telephone. ``secret`` is
    what their code ends with. ``guest`` is the person who was recorded, who may still have to answer the
    invitation; ``None`` for anybody else."""

    dispute: Dispute
    id: str
    language: str
    secret: str
    guest: Guest | None = None


@dataclass(frozen=True, slots=True)
class DialIn:
    """Lets people enter rooms by telephone. ``number`` is what they call, and ``keyring`` has the keys of
    their codes."""

    number: str
    keyring: Keyring
    trust: Trust

    def code_of(self, dispute: Dispute, person: str, now: datetime) -> str | None:
        """The code of one of a dispute's people, which leads to them from now on; ``None`` for an invitation
        that is not in force, and for anybody else who may not be in the room. Raises :class:`SealError` for a
        user whose row is not as it was signed."""
        caller = self._find_caller(dispute, person, now)
        if caller is None:
            return None
        with connected():
            row = RoomCodeTable.get_or_none(RoomCodeTable.id == _row_id(caller))
        if row is None:
            return self._index(caller)
        for key in self._keys():
            code = _compute_code(key, caller, row.turn)
            if row.code_mac == _mac(key, "code", code):
                return code
        return self._index(caller)

    def _index(self, caller: RoomCaller) -> str:
        """Note the first code of somebody that leads to nobody else."""
        key, turn = next(self._keys()), 0
        with writing():
            while True:
                code = _compute_code(key, caller, turn)
                mac = _mac(key, "code", code)
                others = (RoomCodeTable.code_mac == mac) & (RoomCodeTable.id != _row_id(caller))
                if not RoomCodeTable.select().where(others).exists():
                    break
                turn += 1
            number = None if caller.guest is None else caller.guest.number
            columns = {
                "code_mac": mac, "turn": turn, "number_mac": number and _mac(key, "number", number),
            }  # fmt: skip
            RoomCodeTable.insert(
                id=_row_id(caller), tenant_id=caller.dispute.tenant, dispute_id=caller.dispute.id,
                user_id=caller.id, **columns,
            ).on_conflict(conflict_target=[RoomCodeTable.id], update=columns).execute()  # fmt: skip
        return code

    def find(self, code: str, now: datetime) -> RoomCaller | None:
        """Whose code was typed, if they may come in."""
        for key in self._keys():
            for row, caller in self._led_to(RoomCodeTable.code_mac == _mac(key, "code", code), now):
                if hmac.compare_digest(_compute_code(key, caller, row.turn), code):
                    return caller
        return None

    def budgets_of(self, number: str | None, now: datetime) -> tuple[Bucket, ...]:
        """The budgets of a caller, by the ``number`` that they show: an attempt uses the first that is not
        used up."""
        for key in self._keys() if number else ():
            mac = _mac(key, "number", str(number))
            for _row, caller in self._led_to(RoomCodeTable.number_mac == mac, now):
                if caller.guest is not None and caller.guest.number == number:
                    return (f"dial-in {mac}", INVITED_NUMBER), ALL_NUMBERS
        return (ALL_NUMBERS,)

    def try_code(
        self, code: str, number: str | None, now: datetime, is_right: Callable[[str], bool] | None = None
    ) -> RoomCaller | None:
        """Whose code a caller typed; ``None`` for any other code, and where the budget is used up. Each
        attempt is counted first, and a right one is given back, also one that ``is_right`` for something
        else. Fewer digits than a code has are no attempt: they lead to nobody, and a phone that nobody takes
        up types none."""
        if len(code) < DIGITS:
            if is_right is not None:
                is_right(code)
            return None
        budgets = self.budgets_of(number, now)
        budget = next((each for each in budgets if not throttle.take([each], now)), None)
        if budget is None:
            log.warning("dial_in.budget_used_up", invited=len(budgets) > 1)
            return None
        found = self.find(code, now)
        if found is not None or (is_right is not None and is_right(code)):
            throttle.give_back([budget])
        return found

    def pass_on(self, session: str, room: str, node: str, now: datetime) -> str:
        """A token with which a ``node`` takes somebody who was admitted to a room in a session, once and
        soon."""
        until = int((now + PASS_LASTS).timestamp())
        return f"{session}.{room}.{until}.{_pass_mac(next(self._keys()), session, room, node, until)}"

    def take_passed(self, token: str, node: str, now: datetime) -> tuple[str, str] | None:
        """The session and the room of somebody whom another node has passed on to this one; ``None`` for any
        token that no node with our keys has written for it, that is over, or that was taken before."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        session, room, mac = found["session"], found["room"], found["mac"]
        until = int(found["until"])
        if not any(
            hmac.compare_digest(_pass_mac(key, session, room, node, until), mac) for key in self._keys()
        ):
            return None
        end = datetime.fromtimestamp(until, UTC)
        if not end - 2 * PASS_LASTS <= now < end:
            return None
        return None if throttle.take([(f"dial-in pass {mac}", TAKEN_ONCE)], now) else (session, room)

    def sentence(self, code: str, language: str) -> str:
        """Which number to dial, and which code to enter."""
        words = _words()["invitation"]
        values = {"number": format_international(self.number), "code": grouped(code)}
        return (words.get(language) or words["en"]) % values

    def _keys(self) -> Iterator[bytes]:
        """The keys of codes, that of new ones first: a code lasts while its key-encryption key is there."""
        return (self.keyring.dial_in_key(each).key for each in self.keyring.ids())

    def _led_to(self, condition: Any, now: datetime) -> Iterator[tuple[RoomCodeTable, RoomCaller]]:
        """The people that rows lead to, as their disputes' statements say."""
        with connected():
            rows = list(RoomCodeTable.select().where(condition))
        for row in rows:
            try:
                dispute = queries.find_dispute(row.tenant_id, row.dispute_id, self.trust)
                caller = self._find_caller(dispute, row.user_id, now)
            except (DisputeError, SealError) as error:
                log.error("dial_in.refused", dispute=row.dispute_id, error_id=error.error_id)
                continue
            if caller is not None:
                yield row, caller

    def _find_caller(self, dispute: Dispute, person: str, now: datetime) -> RoomCaller | None:
        """One of a dispute's people who may enter its room, or answer their invitation at its door."""
        for guest in dispute.guests:
            if guest.id == person and guest.role == EXTERNAL_PARTY:
                if not _is_in_force(dispute, guest, now):
                    return None
                secret = f"{guest.token_sha256}{_find_renewal(dispute, person)}"
                return RoomCaller(dispute, person, guest.language, secret, guest)
        user = users.user(dispute.tenant, person) or users.user(PROVIDER, person)
        hearer = None if user is None else find_hearer(user, dispute)
        if user is None or hearer is None:
            return None
        users.require_signed(user, self.trust)
        own: str | None = users.login_hash(user.login, user.password_hash)
        if user.role == SUPPORT:
            own = _find_entry(dispute, person, now)
        elif hearer.third_party is not None:
            own = hearer.third_party.token_sha256
        return None if own is None else RoomCaller(dispute, person, user.language, own)


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
    """Whether an invitation of the person who was recorded leads in."""
    if guest.token_sha256 is None or dispute.closed_at is not None or guest.ended_at is not None:
        return False
    return now < guest.until or guest.takes_part


def _find_entry(dispute: Dispute, person: str, now: datetime) -> str | None:
    """The hash of the statement by which one of the provider's support people came in lately."""
    own = [
        each for each in dispute.statements if isinstance(each.data, GuestEntered) and each.by.id == person
    ]
    return own[-1].sha256 if own and now < own[-1].at + ENTRY_LASTS else None


def _row_id(caller: RoomCaller) -> str:
    return f"{caller.dispute.id}/{caller.id}"


def _find_renewal(dispute: Dispute, guest: str) -> str:
    """What the newest renewal of a guest's code adds to its secret: the number of its leaf."""
    leaves = leaf_lookup.leaves_after(dispute.tenant, -1, RENEWED)
    own = [
        each.number for each in leaves if (each.body["dispute"], each.body["guest"]) == (dispute.id, guest)
    ]
    return f"\n{own[-1]}" if own else ""


def _compute_code(key: bytes, caller: RoomCaller, turn: int) -> str:
    text = f"dial-in code\n{_row_id(caller)}\n{caller.secret}\n{turn}"
    number = int.from_bytes(hmac.digest(key, text.encode(), "sha256"), "big") % 10**DIGITS
    return f"{number:0{DIGITS}}"


def _mac(key: bytes, kind: str, text: str) -> str:
    """What leads from a typed code, or from a number, to a row; without the key nobody finds what it is
    of."""
    return hmac.digest(key, f"dial-in {kind} index\n{text}".encode(), "sha256").hex()


def _pass_mac(key: bytes, session: str, room: str, node: str, until: int) -> str:
    text = f"dial-in pass\n{session}\n{room}\n{until}\n{node}"
    return hmac.digest(key, text.encode(), "sha256").hex()


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(Path(__file__).with_name("dial_in.toml").read_text("utf-8"))
