from __future__ import annotations

import pytest

from recorder.catalogue import change_counter, queries, tenant_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.announcement import PurposeTable, SoundTable
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements, lines, rules
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity.tenants import create_tenant
from recorder.lifecycle import line_history
from tests.expected_errors import expect_error


def test_each_announcement_is_a_new_version(tenants, announce) -> None:
    mine, _ = tenants
    first, second = announce(level=500), announce(level=700)
    rows = queries.announcements(mine)
    assert [(row.id, row.version) for row in rows] == [(second, 2), (first, 1)]
    assert rows[0].sound != rows[1].sound
    assert rows[0].duration_ms == 1000


def test_equal_sounds_are_stored_once(tenants, announce) -> None:
    mine, other = tenants
    announce(mine)
    announce(other)
    with connected():
        assert SoundTable.select().count() == 1


@pytest.mark.parametrize(
    ("changes", "error_id"),
    [
        ({"purposes": []}, "announcement.purposes"),
        ({"purposes": ["marketing"]}, "announcement.purposes"),
        ({"purposes": ["agreement", "agreement"]}, "announcement.purposes"),
        ({"keep_days": 0}, "announcement.keep_days"),
        ({"keep_days": 100_000}, "announcement.keep_days"),
        ({"text": "  "}, "announcement.text"),
        ({"wav": b"RIFF"}, "announcement.sound"),
    ],
)
def test_invalid_announcement_is_refused(tenants, clock, entropy, tone, changes, error_id) -> None:
    whole = {
        "name": "default",
        "language": "fr",
        "text": "Cet appel est enregistré.",
        "purposes": ["agreement"],
        "keep_days": 30,
        "wav": tone(1000),
    }
    with expect_error(CatalogueError, error_id):
        announcements.create_announcement(tenants[0], **(whole | changes), now=clock(), entropy=entropy)
    assert queries.announcements(tenants[0]) == ()


@pytest.mark.parametrize("shape", [{"channels": 2}, {"rate": 44100}, {"ms": 100}, {"ms": 61_000}])
def test_unsuitable_sound_is_refused(tone, shape) -> None:
    with expect_error(CatalogueError, "announcement.sound"):
        rules.sound_duration_ms(tone(**shape))


def test_number_has_one_owner_at_a_time(tenants, announce, clock, entropy) -> None:
    mine, other = tenants
    line = lines.create_line(
        mine, number="+3225550100", announcement=announce(mine), now=clock(), entropy=entropy
    )
    line_options = {
        "number": "3225550100",
        "announcement": announce(other),
        "now": clock(),
        "entropy": entropy,
    }
    with expect_error(CatalogueError, "line.taken"):
        lines.create_line(other, **line_options)
    ended_at = clock.forward(hours=1)
    assert line_history.end_line(mine, line.id, now=ended_at, entropy=entropy)
    lines.create_line(other, **line_options)
    assert queries.lines(mine) == ()
    assert queries.lines(mine, ended=True)[0].until == ended_at
    assert queries.line(other, line.id) is None


@pytest.mark.parametrize("number", ["", "32x", "+", "1", "1" * 16, "+32 2 555", "3225550100\n"])
def test_number_must_be_digits(tenants, announce, clock, entropy, number) -> None:
    with expect_error(CatalogueError, "line.number"):
        lines.create_line(tenants[0], number=number, announcement=announce(), now=clock(), entropy=entropy)


@pytest.mark.parametrize("changes", [{"formats": ["mp3"]}, {"mode": "secret"}])
def test_unknown_line_setting_is_refused(tenants, announce, clock, entropy, changes) -> None:
    with expect_error(CatalogueError, "line.settings"):
        lines.create_line(
            tenants[0], number="100", announcement=announce(), **changes, now=clock(), entropy=entropy
        )


def test_line_uses_only_its_tenants_announcements(tenants, announce, clock, entropy) -> None:
    mine, other = tenants
    theirs = announce(other)
    with expect_error(CatalogueError, "announcement.unknown"):
        lines.create_line(mine, number="100", announcement=theirs, now=clock(), entropy=entropy)
    line = lines.create_line(mine, number="100", announcement=announce(mine), now=clock(), entropy=entropy)
    with pytest.raises(CatalogueError):
        change_line(mine, line.id, LineChange(announcements=[theirs]), now=clock(), entropy=entropy)
    assert not change_line(other, line.id, LineChange(announcements=[theirs]), now=clock(), entropy=entropy)
    assert not line_history.end_line(other, line.id, now=clock(), entropy=entropy)
    assert queries.lines(mine) == (line,)


def test_line_changes_are_counted(tenants, announce, clock, entropy) -> None:
    mine, _ = tenants
    before = change_counter.revision(change_counter.LINES)
    line = lines.create_line(mine, number="100", announcement=announce(), now=clock(), entropy=entropy)
    revision = change_counter.revision(change_counter.LINES)
    change_line(mine, line.id, LineChange(announcements=[announce(level=9)]), now=clock(), entropy=entropy)
    changed = change_counter.revision(change_counter.LINES)
    line_history.end_line(mine, line.id, now=clock(), entropy=entropy)
    assert before < revision < changed < change_counter.revision(change_counter.LINES)


def test_tenant_is_created_once(tenants, clock, entropy) -> None:
    with expect_error(CatalogueError, "tenant.exists"):
        create_tenant(tenants[0], name="Again", wrapped_key="{}", now=clock(), entropy=entropy)
    assert {row.id for row in tenant_queries.all_tenants()} == set(tenants)
    assert tenant_queries.tenant_wrapped_key(tenants[0]) == "{}"


def test_own_purpose_cannot_replace_a_standard_one(tenants, tone, clock, entropy) -> None:
    with writing():
        for code in ("quality", "their-own"):
            PurposeTable.create(
                id=code,
                tenant=tenants[0],
                code=code,
                labels={"en": code},
                legal_basis="consent",
                longest_days=10_000,
                roles=["customer"],
                created_at=clock(),
            )
    options = {"language": "en", "text": "Told.", "keep_days": 170, "wav": tone(1000)}
    options |= {"now": clock(), "entropy": entropy}
    announcements.create_announcement(tenants[0], name="own", purposes=["their-own"], **options)
    with expect_error(CatalogueError, "announcement.keep_days"):
        announcements.create_announcement(tenants[0], name="laxer", purposes=["quality"], **options)
