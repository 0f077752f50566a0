"""``accord hold``, ``accord recording`` and ``accord retention``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.lifecycle import amendments, limits
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import Duties as Duties
from recorder.seal import retention_limit
from recorder.seal.amendment import By
from recorder.seal.verification import verify
from tests.clock import Clock
from tests.house import Bakery
from tests.unit.cli.shell import Shell

NAME = "Boulangerie Martin"
MINE = ("--tenant", NAME)


@pytest.fixture
def clock() -> Clock:
    """A little in the past, because commands read the machine's own clock."""
    return Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.join(MINE[1], "claire@example.com")
    return shell


def test_holds_withdrawals_deletion_and_shorter_keeping(shell: Shell, house: Bakery) -> None:
    on_hold, deleted = house.take(talk_ms=300), house.take(talk_ms=300)
    for folder in (on_hold, deleted):
        house.work(folder)
    review = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    hold = ("hold", "set", on_hold.name, "--review", review, "--reason", "contested order")
    assert "logs in as 'nobody'" in shell.bad(*hold, "--owner", "nobody")
    shell.good("user", "invite", *MINE, "luc@example.com", "--link")
    refusal = shell.bad(*hold, "--owner", "Luc@example.com")
    assert "has not accepted the invitation yet" in refusal
    assert "accord user reset-password" in refusal
    assert "recording.amended" not in shell.good(*hold, "--owner", "claire@example.com"), "only warnings"
    (listed,) = shell.json("hold", "list")["holds"]
    assert (listed["recording"], listed["number"], listed["reason"]) == (on_hold.name, 1, "contested order")
    assert shell.json("recording", "show", on_hold.name)["holds"] == [listed]
    delete = ("recording", "delete", "--reason", "asked for", "--yes")
    assert "cannot be deleted" in shell.bad(*delete, on_hold.name)
    shell.good(*delete, deleted.name)
    withdraw = ("recording", "withdraw-consent", on_hold.name, "--reason", "x")
    assert "do not rest on consent" in shell.bad(*withdraw)
    agree = ("recording", "add-consent", on_hold.name, "--purpose", "training", "--reason", "on paper")
    assert "cannot be kept" in shell.bad(*agree, "--days", "4000")
    shell.good(*agree, "--days", "60")
    restrict = ("recording", "restrict", on_hold.name, "--purpose", "training", "--reason", "not needed")
    assert "training" not in shell.json(*restrict, "--dry-run")["purposes_left"]
    shell.good(*restrict, "--yes")
    (limit,) = shell.json("retention", "set", *MINE, "--days", "14", "--yes")["limits"]
    assert (limit["keep_days"], limit["purpose"], limit["number"]) == (14, None, None)
    assert "as long as announced" in shell.good("retention", "set", *MINE, "--as-announced", "--yes")
    assert "has no line" in shell.bad("retention", "set", *MINE, "--line", "+3200", "--days", "1")
    assert "cannot be kept" in shell.bad("retention", "set", *MINE, "--purpose", "quality", "--days", "31")

    clock = Clock(datetime.now(UTC) + timedelta(days=21))
    house.clock.at = clock.at
    keep_house(house, clock)
    assert queries.recording(house.tenant, deleted.name).erasure_reason == "deleted"
    assert verify(house.services.store, held_at(house, on_hold.name), house.services.root).ok
    assert not shell.json("hold", "list")["holds"][0]["review_due"]
    shell.good("hold", "lift", on_hold.name, "1", "--reason", "settled", "--yes")
    assert amendments.holds() == ()


def test_agreements_end_only_if_named_and_confirmed(shell: Shell, house: Bakery) -> None:
    agreed, plain = (
        house.take(formats=("wav",), talk_ms=4000, question="yes"),
        house.take(formats=("wav",), talk_ms=300),
    )
    for folder in (agreed, plain):
        house.work(folder)
    limit = ("retention", "set", *MINE, "--days", "9")
    output = shell.good(*limit, "--yes")
    assert "2 recordings are kept for this now; 1 end earlier:" in output
    assert "For 1 more a longer time was agreed: they stay until that day." in output
    forecast = shell.json(*limit, "--also-agreed", "--dry-run")
    assert (forecast["recordings"], forecast["ending_earlier"], forecast["agreed_longer"]) == (2, 1, 1)
    refused = shell(*limit, "--also-agreed")
    assert refused.exit_code == 2
    assert "For 1 of these a longer time was agreed" in refused.output
    (row,) = shell.json("retention", "show", *MINE)["limits"]
    assert (row["keep_days"], row["covers_consents"], row["applied_at"]) == (9, False, None)
    (row,) = shell.json(*limit, "--also-agreed", "--yes")["limits"]
    assert row["covers_consents"]
    assert shell("retention", "set", *MINE, "--as-announced", "--also-agreed").exit_code == 2
    (row,) = limits.in_force(house.tenant, house.trust)
    assert retention_limit.open_set(row.content, house.services.root)[0].by == By("operator")


def held_at(house: Bakery, recording: str) -> str:
    row = queries.recording(house.tenant, recording)
    assert row is not None
    return row.prefix


def keep_house(house: Bakery, clock: Clock) -> None:
    """Two rounds of the worker's duties: a hold's review is due once a day."""
    keeper = ClockGuard(house.folder / ".clock", {}, clock)
    services = replace(house.services, now=clock, checkpoints_seen={})
    duties = Duties(services, CheckpointWitnesses(), keeper)
    with capture_logs() as logs:
        duties.keep()
        duties.keep()
        clock.forward(days=1)
        duties.keep()
    assert [each["event"] for each in logs].count("hold.review_due") == 2
