"""Findings of the doctor, and the time limit of a check."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from recorder.clock import Now
from recorder.errors import AccordError
from recorder.spool.disk_space import read_only_hint

if TYPE_CHECKING:
    from recorder.config import Settings
    from recorder.processes.services import Context

State = Literal["ok", "skipped", "warning", "wrong"]

OK: State = "ok"
SKIPPED: State = "skipped"
WARNING: State = "warning"
WRONG: State = "wrong"
SEVERITY: Final = (OK, SKIPPED, WARNING, WRONG)
"""The states, from the best to the worst."""

DISK_HINTS: Final = {
    errno.ENOSPC: "make room on that disk, but delete nothing in the spool: the worker empties it",
}
"""What to do about a disk that takes nothing more."""

LIMIT = 15.0
"""Seconds that one check may take, whatever hangs."""


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check.  ``skipped``: it was not made, because of something that another finding
    names; ``warning``: it works, but not for long, or could not be checked; ``wrong``: calls, recordings or
    promises are at stake.  ``hint`` says what to do."""

    state: State
    what: str
    hint: str = ""


def ok(what: str) -> DoctorFinding:
    """The finding that something is as it should be."""
    return DoctorFinding(OK, what)


def warning(what: str, hint: str) -> DoctorFinding:
    """The finding that something works, but not for long, or could not be checked."""
    return DoctorFinding(WARNING, what, hint)


def wrong(what: str, hint: str) -> DoctorFinding:
    """The finding that calls, recordings or promises are at stake."""
    return DoctorFinding(WRONG, what, hint)


def skipped(what: str) -> DoctorFinding:
    """The finding that something was not looked at."""
    return DoctorFinding(SKIPPED, what)


@dataclass(frozen=True, slots=True)
class Patient:
    """The installation being checked, by its settings, and the clock it is checked at. ``failures`` are the
    names of the checks that did not come to their end, ``faults`` of those that found something wrong."""

    context: Context
    now: Now
    failures: set[str] = field(default_factory=set)
    faults: set[str] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        return self.context.settings


Check = Callable[[Patient], Iterable[DoctorFinding]]


class NotChecked(Exception):
    """Raised by a check that has nothing to look at, because of something that another check names."""


def title(check: Check) -> str:
    """The name of a check for people."""
    return check.__name__.replace("_", " ")


def examine(check: Check, patient: Patient, limit: float = LIMIT) -> list[DoctorFinding]:
    """Run a check and return its findings, as many as it makes within ``limit`` seconds; an error counts as a
    finding.

    The check runs in its own thread, which is abandoned where it hangs (a dead disk, a database that
    does not answer): nothing can end such a wait, and the other checks must still run.
    """
    found: list[DoctorFinding] = []

    def run() -> None:
        name, ends = title(check), False
        try:
            found.extend(check(patient))
            ends = True
        except NotChecked as reason:
            found.append(skip(check, str(reason)))
        except AccordError as error:
            found.append(wrong(f"{name}: {error.message}", error.hint))
        except OSError as error:
            hint = DISK_HINTS.get(error.errno or 0, "check the path, its owner and its mode")
            if error.errno == errno.EROFS:
                hint = read_only_hint(error.filename)
            found.append(wrong(f"{name}: {error}", hint))
        except Exception as error:
            # Any other error of a library becomes a finding too, so that the next check still runs.
            found.append(_unexpected(name, error))
        finally:
            if not ends:
                patient.failures.add(check.__name__)
            # A check that asked the switch has a hub of its own in this thread; gevent complains, on standard
            # error, of what is left in one whose thread ends.
            if "gevent" in sys.modules:
                import gevent

                gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run, name=f"doctor-{check.__name__}", daemon=True)
    thread.start()
    thread.join(limit)
    late = thread.is_alive()
    findings = list(found)
    if late:
        patient.failures.add(check.__name__)
        findings.append(
            wrong(
                f"{title(check)}: no answer within {limit:g} s",
                "it waits for a disk, the database, the network or the switch, which does not respond",
            )
        )
    if any(finding.state == WRONG for finding in findings):
        patient.faults.add(check.__name__)
    return findings


def skip(check: Check, reason: str) -> DoctorFinding:
    """The finding that a check was not made."""
    return skipped(f"{title(check)}: not checked, because {reason}")


def _unexpected(name: str, error: Exception) -> DoctorFinding:
    from peewee import PeeweeException  # few of the checks use the catalogue

    if isinstance(error, PeeweeException):
        return wrong(
            f"{name}: the catalogue: {error}",
            "check that the database is running and that no other process holds it",
        )
    return wrong(
        f"{name}: {type(error).__name__}: {error}", "this is a bug in Accord: report it with this line"
    )
