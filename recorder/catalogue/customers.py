"""Setting up a customer: tenant, announcements, lines.  What an operator does on the command line.

Every change of what a node says or records counts up the revision that the worker's snapshot follows,
and is a leaf of the tenant's log, in the same transaction.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import IntegrityError, fn

from recorder.call.policy import NUMBER
from recorder.catalogue import countries
from recorder.catalogue.models import Announcement, Line, Purpose, Revision, Sound, Tenant, connected, writing
from recorder.catalogue.reading import announcement_row, line_row, tenant_row
from recorder.catalogue.rows import FORMATS, MODES, TIMINGS, AnnouncementRow, LineRow, TenantRow
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, hold
from recorder.prompts.purposes import standard

LINES = "lines"
"""The revision that counts changes of lines, announcements and tenants."""

LONGEST_SOUND_MS = 60_000
SOUND_RATES = (8000, 16000)


def create_tenant(
    tenant_id: str,
    *,
    name: str,
    wrapped_key: str,
    language: str = "fr",
    languages: Sequence[str] = ("fr", "en"),
    time_zone: str = "Europe/Brussels",
    country: str = "be",
    plan: str = "starter",
    now: datetime,
    entropy: Entropy,
) -> TenantRow:
    """A new customer.  The caller makes the id (:func:`recorder.ids.uuid7`), because the tenant's key is
    wrapped for it: ``wrapped_key`` is the JSON text that ``seal.keys`` made.  Raises
    :class:`CatalogueError` (``tenant.exists``, ``tenant.country``)."""
    country = countries.known(country)
    try:
        with writing():
            row = Tenant.create(
                id=tenant_id,
                name=name,
                language=language,
                languages=list(languages),
                time_zone=time_zone,
                plan=plan,
                country=country,
                wrapped_key=wrapped_key,
                created_at=now,
            )
            append(tenant_id, "tenant.created", {"tenant": tenant_id, "name": name}, now, entropy)
    except IntegrityError as error:
        raise CatalogueError("tenant.exists", f"there is a tenant {tenant_id} already", "") from error
    return tenant_row(row)


def set_tenant_country(tenant: str, country: str, *, now: datetime, entropy: Entropy) -> None:
    """Say which country's pack holds for a customer.  Raises :class:`CatalogueError`: ``tenant.country``
    (no such pack), ``tenant.unknown``, ``country.lines`` (lines that do not fit it: they change first)."""
    country = countries.known(country)
    with writing():
        hold(tenant)
        countries.check_lines(tenant, country)
        Tenant.update(country=country).where(Tenant.id == tenant).execute()
        append(tenant, "tenant.country_changed", {"tenant": tenant, "country": country}, now, entropy)


def set_tenant(tenant: str, *, name: str, language: str, now: datetime, entropy: Entropy) -> None:
    """Give a customer another name and language: one that a rebuild found has its id for a name.  Raises
    :class:`CatalogueError` (``tenant.unknown``)."""
    with writing():
        append(tenant, "tenant.changed", {"tenant": tenant, "name": name}, now, entropy)
        Tenant.update(name=name, language=language).where(Tenant.id == tenant).execute()


def tenants() -> tuple[TenantRow, ...]:
    """Every customer, by name: for the operator's command line and the worker."""
    with connected():
        return tuple(tenant_row(row) for row in Tenant.select().order_by(Tenant.name, Tenant.id))


def tenant_wrapped_key(tenant: str) -> str | None:
    """The tenant's key as it was wrapped, JSON text."""
    with connected():
        row = Tenant.get_or_none(Tenant.id == tenant)
    return None if row is None else row.wrapped_key


def create_announcement(
    tenant: str,
    *,
    name: str,
    language: str,
    text: str,
    purposes: Sequence[str],
    keep_days: int,
    wav: bytes,
    now: datetime,
    entropy: Entropy,
) -> AnnouncementRow:
    """The next version of an announcement of that name (the first, where there is none).

    ``wav`` is the sound that says ``text``: PCM 16 bit, one channel, 8 or 16 kHz, at most a minute.
    Raises :class:`CatalogueError`: ``announcement.sound``, ``announcement.purposes``,
    ``announcement.keep_days``, ``country.keep_days``, ``tenant.unknown``.
    """
    duration_ms = sound_duration_ms(wav)
    _check_purposes(tenant, purposes, keep_days)
    if not text.strip():
        raise CatalogueError("announcement.text", "an announcement needs the text that its sound says")
    sha256 = hashlib.sha256(wav).hexdigest()
    identity = str(uuid7(now, entropy))
    with writing():
        hold(tenant)
        countries.check(tenant, purposes, keep_days=keep_days)
        # Another customer may be given the same sound at this moment.
        sound = Sound.insert(sha256=sha256, wav=wav, duration_ms=duration_ms, created_at=now)
        sound.on_conflict_ignore().execute()
        mine = (Announcement.tenant == tenant) & (Announcement.name == name)
        latest = Announcement.select(fn.MAX(Announcement.version)).where(mine).scalar()
        row = Announcement.create(
            id=identity,
            tenant=tenant,
            name=name,
            version=(latest or 0) + 1,
            language=language,
            text=text,
            purposes=list(purposes),
            keep_days=keep_days,
            sound=sha256,
            created_at=now,
        )
        said = {"announcement": identity, "version": row.version, "sound": sha256, "purposes": list(purposes)}
        append(tenant, "announcement.created", said, now, entropy)
    return announcement_row(row, duration_ms)


def create_line(
    tenant: str,
    *,
    number: str,
    announcement: str,
    label: str = "",
    formats: Sequence[str] = ("opus",),
    mode: str | None = None,
    timing: str = "before_ringing",
    now: datetime,
    entropy: Entropy,
) -> LineRow:
    """Switch recording on for a number, which is a tenant's own from ``now``.

    ``announcement`` is the id of one of the tenant's announcements; ``mode`` by default the laxest that the
    tenant's country allows for it.  Raises :class:`CatalogueError`: ``line.number``, ``line.taken``
    (somebody has it now), ``line.settings``, ``announcement.unknown``, ``country.mode``,
    ``country.keep_days``.
    """
    if not NUMBER.fullmatch(number):
        raise CatalogueError(
            "line.number", f"{number!r} is no number", "digits, 2 to 15 of them, with or without a leading +"
        )
    if mode is not None:
        _check_mode(mode)
    if timing not in TIMINGS or not formats or not set(formats) <= set(FORMATS):
        raise CatalogueError(
            "line.settings",
            f"timing {timing!r}, formats {', '.join(formats) or 'none'}",
            f"timing is {TIMINGS[0]}, formats {' and '.join(FORMATS)} or one of them",
        )
    identity = str(uuid7(now, entropy))
    try:
        with writing():
            hold(tenant)
            said = _own_announcement(tenant, announcement)
            mode = mode or countries.pack_of(tenant).laxest_mode(said.purposes)
            countries.check(tenant, said.purposes, keep_days=said.keep_days, mode=mode)
            row = Line.create(
                id=identity,
                tenant=tenant,
                number=number,
                digits=number.removeprefix("+"),
                label=label,
                mode=mode,
                timing=timing,
                formats=list(dict.fromkeys(formats)),
                announcement=announcement,
                since=now,
            )
            made = {"line": identity, "announcement": announcement, "mode": mode}
            append(tenant, "line.created", made, now, entropy)
            count_up(LINES)
    except IntegrityError as error:
        raise CatalogueError(
            "line.taken",
            f"{number} is recorded for a customer already",
            "end that line first: a number that changes hands starts anew",
        ) from error
    return line_row(row)


def set_line_announcement(
    tenant: str, line_id: str, announcement: str, *, now: datetime, entropy: Entropy
) -> bool:
    """What a line says from the next call on.  False where the tenant has no such line.  Raises
    :class:`CatalogueError` (``announcement.unknown``, ``country.mode``, ``country.keep_days``)."""
    with writing():
        hold(tenant)
        said = _own_announcement(tenant, announcement)
        row = Line.get_or_none(_active(tenant, line_id))
        if row is None:
            return False
        countries.check(tenant, said.purposes, keep_days=said.keep_days, mode=row.mode)
        Line.update(announcement=announcement).where(Line.id == line_id).execute()
        changed = {"line": line_id, "announcement": announcement}
        append(tenant, "line.announcement_changed", changed, now, entropy)
        count_up(LINES)
    return True


def set_line_mode(tenant: str, line_id: str, mode: str, *, now: datetime, entropy: Entropy) -> bool:
    """How a line records from the next call on (one of ``rows.MODES``).  False where the tenant has no such
    line.  Raises :class:`CatalogueError` (``line.settings``, ``country.mode``)."""
    _check_mode(mode)
    with writing():
        hold(tenant)
        row = Line.get_or_none(_active(tenant, line_id))
        if row is None:
            return False
        # The keeping time is the announcement's: one that does not fit any more is no reason to stay lax.
        countries.check(tenant, row.announcement.purposes, keep_days=0, mode=mode)
        Line.update(mode=mode).where(Line.id == line_id).execute()
        append(tenant, "line.mode_changed", {"line": line_id, "mode": mode}, now, entropy)
        count_up(LINES)
    return True


def end_line(tenant: str, line_id: str, *, now: datetime, entropy: Entropy) -> bool:
    """The number is not recorded any more and free for anybody; recordings stay whose they are.  False
    where the tenant has no such line."""
    with writing():
        hold(tenant)
        changed = Line.update(until=now).where(_active(tenant, line_id)).execute()
        if changed:
            append(tenant, "line.ended", {"line": line_id}, now, entropy)
            count_up(LINES)
    return bool(changed)


def sound_duration_ms(wav: bytes) -> int:
    """How long an operator's WAV plays.  Raises :class:`CatalogueError` (``announcement.sound``)."""
    try:
        with wave.open(io.BytesIO(wav)) as sound:
            shape = (sound.getnchannels(), sound.getsampwidth())
            rate, frames = sound.getframerate(), len(sound.readframes(sound.getnframes())) // 2
    except (wave.Error, EOFError) as error:
        raise _bad_sound(f"it is no PCM WAV file: {error}") from error
    if shape != (1, 2) or rate not in SOUND_RATES:
        raise _bad_sound(f"it has {shape[0]} channels of {shape[1] * 8} bit at {rate} Hz")
    duration_ms: int = frames * 1000 // rate
    if not 500 <= duration_ms <= LONGEST_SOUND_MS:
        raise _bad_sound(f"it lasts {duration_ms} ms")
    return duration_ms


def count_up(name: str) -> None:
    """Say, inside the caller's transaction, that something changed."""
    Revision.insert(name=name, number=0).on_conflict_ignore().execute()
    Revision.update(number=Revision.number + 1).where(Revision.name == name).execute()


def revision(name: str) -> int:
    """How often something changed; cheap enough to ask every second."""
    with connected():
        row = Revision.get_or_none(Revision.name == name)
    return 0 if row is None else int(row.number)


def _active(tenant: str, line_id: str) -> Any:
    return (Line.tenant == tenant) & (Line.id == line_id) & Line.until.is_null()


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise CatalogueError("line.settings", f"there is no mode {mode!r}", f"one of {', '.join(MODES)}")


def _own_announcement(tenant: str, announcement: str) -> Announcement:
    row = Announcement.get_or_none((Announcement.tenant == tenant) & (Announcement.id == announcement))
    if row is None:
        raise CatalogueError(
            "announcement.unknown", f"this customer has no announcement {announcement}", "make it first"
        )
    return row


def _check_purposes(tenant: str, purposes: Sequence[str], keep_days: int) -> None:
    if not purposes or len(set(purposes)) != len(purposes):
        raise CatalogueError(
            "announcement.purposes", "an announcement names at least one purpose, each once", ""
        )
    with connected():
        longest = {row.code: row.longest_days for row in Purpose.select().where(Purpose.tenant == tenant)}
    # A purpose of their own never replaces a standard one: it could only be laxer.
    longest |= {code: purpose.longest_keep_days for code, purpose in standard().items()}
    for code in purposes:
        if code not in longest:
            raise CatalogueError(
                "announcement.purposes",
                f"there is no purpose {code!r}",
                f"known: {', '.join(sorted(longest))}",
            )
        if not 1 <= keep_days <= longest[code]:
            raise CatalogueError(
                "announcement.keep_days",
                f"recordings for {code} cannot be kept {keep_days} days",
                f"1 to {longest[code]} days",
            )


def _bad_sound(what: str) -> CatalogueError:
    return CatalogueError(
        "announcement.sound",
        f"the sound cannot be used: {what}",
        "a WAV of PCM 16 bit, one channel, 8000 or 16000 Hz, between half a second and a minute long",
    )
