"""A line whose sound the catalogue lacks, or has changed, concerns no other line."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow
from recorder.features.tenants import composition
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.lifecycle import line_history
from tests.lost_sounds import damage_sound, lose_sound, restore_sound

pytestmark = pytest.mark.postgresql

EVENT = "line.sound_missing"


def sound_of(line: LineRow) -> str:
    return queries.announcement(line.tenant, queries.line(line.tenant, line.id).announcement).sound


@pytest.mark.parametrize("harm", [lose_sound, damage_sound])
def test_line_without_sound_is_not_recorded_and_all_others_are(tenants, line, read, harm) -> None:
    mine, other = line("100", 700), line("200", 900, tenants[1])
    harm(sound_of(mine))
    with capture_logs() as logs:
        found = read()
        read()
    policy = found.line("100")
    assert policy is None or policy.sounds <= found.damaged, "nothing is recorded without its announcement"
    assert (found.line("200").line, found.line("200").sounds & found.damaged) == (other.id, frozenset())
    (report,) = [each for each in logs if each["event"] == EVENT]
    assert (report["line"], report["number"], report["tenant"]) == (mine.id, "100", tenants[0])
    assert report["error_id"] == "announcement.sound_missing"
    assert "accord line set" in report["hint"]


@pytest.mark.parametrize("harm", [lose_sound, damage_sound])
def test_line_keeps_its_last_version_until_its_sound_is_back(
    tenants, line, read, announce, clock, entropy, harm
) -> None:
    mine = line("100", 700)
    former = read().line("100")
    change_line(
        tenants[0], mine.id, LineChange(announcements=[announce(level=800)]), now=clock(), entropy=entropy
    )
    latest = sound_of(mine)
    wav = harm(latest)
    other = line("200", 900, tenants[1])
    for _ in range(2):
        found = read()
        assert (found.line("100"), found.damaged) == (former, frozenset())
        assert found.line("200").line == other.id
    restore_sound(latest, wav, clock())
    with capture_logs() as logs:
        found = read()
    assert (found.line("100").announcement.sha256, found.damaged) == (latest, frozenset())
    assert [each["fault"] for each in logs if each["event"] == "line.recovered"] == [EVENT]


def test_last_version_is_not_kept_for_another_mode(tenants, line, read, clock, entropy) -> None:
    """What asks callers is never replaced by what only tells them."""
    mine = line("100", 700)
    read()
    opt_in = composition.compose(
        tenants[0], name="asks", language="fr", mode="opt-in", purposes=["agreement"], keep_days=30,
        now=clock(), entropy=entropy,
    )  # fmt: skip
    change_line(tenants[0], mine.id, LineChange(announcements=[opt_in.id]), now=clock(), entropy=entropy)
    lose_sound(opt_in.question.sha256)
    assert read().line("100") is None


def test_fault_ends_with_its_line(line, read, faults, tenants, clock, entropy) -> None:
    mine = line("100", 700)
    lose_sound(sound_of(mine))
    read()
    assert faults.lasts(EVENT)
    line_history.end_line(tenants[0], mine.id, now=clock(), entropy=entropy)
    read()
    assert not faults.lasts(EVENT)
