"""A recording for the person who was recorded, as an admin decided: for no purpose that was announced, but
because it is theirs.  A way out of its own, through the gate (``gate.py``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from recorder.access import owned
from recorder.access.door import SOUNDS, Copy, Who
from recorder.access.guard import Guard, plain
from recorder.catalogue import persons, reviews
from recorder.errors import AccessError, PersonError
from recorder.roles import ADMIN
from recorder.switch.caller import E164
from recorder.take.spool import Party

PERSON = "person"
"""In place of a purpose."""


def copy(guard: Guard, who: Who, request: str, recording_id: str) -> Copy:
    """See :class:`recorder.access.door.Door`."""
    request = plain(request)
    asked = persons.request(who.tenant, request)
    row = guard.row(who, recording_id, PERSON)
    given = reviews.of(who.tenant, request).get(row.id)
    if who.role != ADMIN:
        guard.refuse(who, "access.purpose_not_for_role", "an admin gives copies", row.id, PERSON)
    if asked.proved_at is None or not asked.open:
        raise PersonError("person.closed" if asked.proved_at else "person.unproved", "not now", "")
    if row.outside != Party(E164, asked.number):
        guard.refuse(who, "person.not_theirs", "it is not of a call with that number", row.id, PERSON)
    if given is None or given.given not in reviews.GIVEN:
        raise PersonError("person.not_reviewed", "what is given of it was not decided", "")
    sealed = guard.open(who, row)
    known = guard.terms(sealed)
    if known.deleted_at is not None and guard.now() >= known.deleted_at and not known.holds:
        guard.refuse(who, "access.destroyed", "it is being destroyed", row.id, PERSON)
    facts = Copy(row, sealed.manifest, known, tuple(sealed.chain.amendments))
    if given.given == reviews.WITHHELD:
        return facts
    found = next((sealed.manifest.object(name) for name in SOUNDS if sealed.manifest.object(name)), None)
    if found is None:
        raise AccessError("access.no_sound", f"recording {row.id} has no sound")
    own = given.given == reviews.OWN
    told = {"channels": given.given, "name": found.name, "who": who.user}

    def sound() -> Iterator[bytes]:
        with guard.reported(who, row, found.name, PERSON):
            guard.alive(who, row.id, PERSON)
            opened = guard.sounds.open(sealed, found.name)
            pieces = opened.read(0, opened.length)
            reviews.note_export(who.tenant, request, row.id, now=guard.now(), entropy=guard.entropy, **told)
            yield from (owned.only_left(pieces, sealed.manifest) if own else pieces)

    return replace(
        facts,
        name=owned.NAME if own else found.name,
        length=owned.length(sealed.manifest) if own else found.plain_length,
        sound=sound,
    )
