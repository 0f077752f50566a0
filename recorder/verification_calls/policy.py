"""Which numbers are called, and how often: one policy for every call that Accord places.

Somebody who earns from calls to a number may be any caller, guest or admin. So only ordinary numbers of the
customer's own country are called, and of those that the operator names, and there are limits for a number, a
customer and the installation. They are checked when a call is ordered, and again by the node that is about to
dial; who orders calls is counted where they are known (``web/account/limits.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.country_check import country_of
from recorder.catalogue.database import connected
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain import phone_numbers
from recorder.errors import VerificationCallError

A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """The ``countries`` (``be``) that are called beside a customer's own, and the calls in 24 hours, of all
    use cases together: to a number, for a customer, and for the installation."""

    countries: tuple[str, ...] = ()
    calls_a_number: int = 3
    calls_a_customer: int = 20
    calls_a_day: int = 100

    def check_number(self, tenant: str, number: str) -> None:
        """Raises :class:`VerificationCallError` for a number that is never called for a customer:
        ``call.kind``, ``call.country``."""
        country = phone_numbers.ordinary_country(number)
        if country is None:
            hint = "only fixed, mobile and internet numbers are called"
            raise VerificationCallError("call.kind", f"{number} is not called at an ordinary rate", hint)
        with connected():
            own = country_of(tenant).casefold()
        if country not in (own, *self.countries):
            hint = "add the country to [verification_calls] countries"
            raise VerificationCallError("call.country", f"numbers of {country} are not called", hint)

    def allows_number(self, tenant: str, number: str | None) -> bool:
        """Whether a number may be called for a customer, apart from how often."""
        if number is None:
            return False
        try:
            self.check_number(tenant, number)
        except VerificationCallError:
            return False
        return True

    def calls_left(self, number: str, now: datetime) -> int:
        """How often a number may still be called today, apart from the other limits."""
        return max(0, self.calls_a_number - count_calls(now, number=number))

    def check(self, tenant: str, number: str, now: datetime) -> None:
        """Raises :class:`VerificationCallError` for a call that may not be ordered now: what
        :meth:`check_number` raises, ``call.number_exhausted``, ``call.customer_exhausted``,
        ``call.day_exhausted``."""
        self.check_number(tenant, number)
        if count_calls(now, number=number) >= self.calls_a_number:
            what = f"{number} was called too often today"
            raise VerificationCallError("call.number_exhausted", what, "try again tomorrow")
        if count_calls(now, tenant=tenant) >= self.calls_a_customer:
            what = "this customer ordered too many calls today"
            raise VerificationCallError("call.customer_exhausted", what, "try again tomorrow")
        if count_calls(now) >= self.calls_a_day:
            hint = "try again tomorrow, or raise [verification_calls] calls_a_day"
            raise VerificationCallError("call.day_exhausted", "too many numbers were called today", hint)


def count_calls(now: datetime, *, number: str | None = None, tenant: str | None = None) -> int:
    """How many calls were ordered in the last 24 hours, of all use cases: to a number, for a customer, or at
    all."""
    condition = VerificationCallTable.ordered_at > now - A_DAY
    if number is not None:
        condition &= VerificationCallTable.number == number
    if tenant is not None:
        condition &= VerificationCallTable.tenant_id == tenant
    with connected():
        return int(VerificationCallTable.select().where(condition).count())
