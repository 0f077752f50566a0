"""``accord key revoke``: afterwards no command follows statements that the key backdated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recorder.catalogue import queries
from recorder.lifecycle import amendments
from recorder.seal.amendment_kinds import ConsentAdded
from tests.clock import Clock
from tests.house import Bakery
from tests.stored_recordings import forge, put_small
from tests.unit.cli.shell import Shell

NAME = "Boulangerie Martin"
CODE = "seal.key_revoked"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(days=2))


def test_no_command_follows_a_statement_of_a_revoked_key(house: Bakery, shell: Shell) -> None:
    recording = put_small(house)
    row = queries.recording(house.tenant, recording)
    at = house.clock.forward(hours=1)
    since = (at + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    shell.good("key", "revoke", house.services.signer.key_id, "--since", since, "--yes")
    longer = ConsentAdded("agreement", row.keep_until + timedelta(days=300), "be", "…")
    forge(house, recording, longer, at)
    house.user(house.tenant, "c@example.com")
    day = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    output = shell.bad("hold", "set", recording, "--owner", "c@example.com", "--review",
                      day, "--reason", "order 12")  # fmt: skip
    assert "was revoked from" in output
    assert CODE in shell.bad("rebuild")
    shell.good("key", "renew")  # the revoked key offboards nobody
    shell.good("offboarding", "start", NAME, "--until", day, "--yes")
    assert f"left out: 1 ({CODE})" in shell.good("offboarding", "export", NAME)
    assert queries.recording(house.tenant, recording) == row
    assert amendments.listed_hashes(house.tenant, recording) == ()
    shell.good("rebuild", "--believe-dates")
    assert queries.recording(house.tenant, recording).keep_until == longer.until
