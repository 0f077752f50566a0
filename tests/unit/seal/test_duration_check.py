"""When a recording's sound is not as long as its call, and nothing in its manifest says why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.audio.encoded_take import Gap
from recorder.domain.markers import SealedMarker
from recorder.seal.duration_check import unexplained_ms
from recorder.seal.manifest import Manifest

from .recording import Keys, make_sealed

MINUTE = 60_000
START = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture
def missing(tmp_path: Path, keys: Keys) -> MissingAudio:
    return MissingAudio(make_sealed(tmp_path, keys).manifest)


class MissingAudio:
    """What :func:`unexplained_ms` says of a call of a minute."""

    def __init__(self, sealed: Manifest) -> None:
        self.sealed = sealed

    def __call__(
        self,
        drift: int,
        *,
        duration: int = MINUTE,
        gaps: Iterable[tuple[int, int]] = (),
        holds: Iterable[tuple[int | None, int | None]] = (),
    ) -> int:
        markers = tuple(
            SealedMarker(START + timedelta(seconds=second), kind, {}, 0)
            for begin, end in holds
            for second, kind in ((begin, "hold"), (end, "unhold"))
            if second is not None
        )
        return unexplained_ms(
            replace(
                self.sealed,
                drift_ms=drift,
                duration_ms=duration,
                gaps=tuple(Gap(start, end, "both", "write_error") for start, end in gaps),
                markers=markers,
                ended_at=START + timedelta(minutes=1),
            )
        )


@pytest.mark.parametrize("drift", [0, 300, -300, 1190, -1170])
def test_two_percent_is_no_mismatch(missing: MissingAudio, drift: int) -> None:
    assert missing(drift) == 0


@pytest.mark.parametrize("drift", [1300, -1300, 60_000, -30_000])
def test_mismatch_in_either_direction(missing: MissingAudio, drift: int) -> None:
    assert missing(drift) == drift


def test_short_call_has_an_absolute_threshold(missing: MissingAudio) -> None:
    assert missing(300, duration=4000) == 0


def test_gap_at_the_end_explains_a_mismatch(missing: MissingAudio) -> None:
    assert missing(9000, gaps=[(MINUTE, MINUTE + 9000)]) == 0
    assert missing(12_000, gaps=[(MINUTE - 500, MINUTE + 9000)]) == 3000


def test_hold_explains_missing_audio(missing: MissingAudio) -> None:
    assert missing(9000, holds=[(10, 20)]) == 0
    assert missing(15_000, holds=[(10, 20)]) == 5000
    assert missing(-15_000, holds=[(10, 20)]) == -15_000


def test_overlapping_holds_count_once_and_an_open_hold_lasts_to_the_end(missing: MissingAudio) -> None:
    assert missing(30_000, holds=[(10, None), (12, 18), (None, 20)]) == 20_000
    assert missing(30_000, holds=[(40, None)]) == 10_000
