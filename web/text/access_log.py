"""The access log in plain words, by the kinds of leaves (``recorder/auditlog/kinds.toml``)."""

from __future__ import annotations

from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.auditlog.kinds import GROUPS, KINDS
from recorder.domain.roles import GUESTS
from recorder.features.access_log.rules import CHANGED, ERASED, LogEntry, Person
from web.brand import current_brand
from web.language import in_language

OTHER_GROUP: Final = "system"
OTHER: Final = _l("An entry that this page cannot describe yet.")
"""For a kind that a newer version of Accord wrote."""

GUEST_CREATED: Final = _l("%(whom)s can take part in an open question.")
"""Of an invited person, to whom nobody gave an account."""


def kinds_of(group: str) -> frozenset[str]:
    """The kinds of leaves in a group; none if there is no such group."""
    return frozenset(name for name, kind in KINDS.items() if kind.group == group)


def groups() -> dict[str, str]:
    """The labels of all groups, in their order."""
    return {name: in_language(labels) for name, labels in GROUPS.items()}


def group(kind: str) -> str:
    """The label of a kind's group."""
    return in_language(GROUPS[KINDS[kind].group if kind in KINDS else OTHER_GROUP])


def describe(entry: LogEntry) -> str:
    """What happened."""
    somebody = entry.state in (ERASED, CHANGED)
    who = str(_("Somebody")) if somebody else person(entry.who)
    whom = str(_("somebody")) if somebody or entry.about is None else person(entry.about)
    text = in_language(KINDS[entry.kind].sentence) if entry.kind in KINDS else str(OTHER)
    if entry.kind == "user.created" and entry.body.get("role") in GUESTS:
        text = str(GUEST_CREATED)
    return text % {"who": who, "whom": whom}


def person(someone: Person | None) -> str:
    """Somebody's name. Whoever works on the command line is the provider, and a leaf names nobody then."""
    if someone is None or someone.kind == "operator":
        return str(_("Your provider"))
    if someone.kind == "system":
        return current_brand().name
    if someone.kind == "token":
        return str(_("The program “%(name)s”", name=someone.name))
    if someone.kind == "user" and not someone.name:
        return str(_("Somebody who has left"))
    return someone.name or str(_("Somebody"))
