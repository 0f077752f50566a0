"""A clock that was ahead for a while gives nobody more time."""

from __future__ import annotations

import pytest

from recorder.errors import AccessError
from tests.expected_errors import expect_error


def test_refuses_a_grant_from_the_future(gate, ada, recording, house) -> None:
    house.clock.forward(days=1)
    grant = gate.grant(ada, recording.id, "agreement")
    list(gate.open(ada, grant.id, "audio.wav", "p").read(0, 100))
    house.clock.forward(days=-1)
    with expect_error(AccessError, "access.grant_over"):
        gate.open(ada, grant.id, "audio.wav", "p")
    with pytest.raises(AccessError):
        gate.renew(ada, grant.id)


def test_tolerates_a_clock_that_is_slightly_behind(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    house.clock.forward(seconds=-50)
    assert list(gate.open(ada, grant.id, "audio.wav", "p").read(0, 100))


def test_grants_and_log_continue_after_the_clock_is_set_back(gate, ada, recording, house) -> None:
    """Leaves are ordered by number, whatever their times."""
    from recorder.catalogue.database import connected
    from recorder.catalogue.tables.audit_log import LeafTable

    house.clock.forward(days=2)
    gate.grant(ada, recording.id, "agreement")
    house.clock.forward(days=-1)
    gate.grant(ada, recording.id, "agreement")
    with connected():
        leaves = list(
            LeafTable.select(LeafTable.number, LeafTable.at, LeafTable.kind)
            .where(LeafTable.tenant == house.tenant)
            .order_by(LeafTable.number)
        )
    assert [leaf.number for leaf in leaves] == list(range(len(leaves)))
    assert [leaf.kind for leaf in leaves[-2:]] == ["grant.given", "grant.given"]
    assert leaves[-1].at < leaves[-2].at
