"""Everybody in an open question dials into one room on the real switch: the person who was recorded, and
whoever handles the call, each with their own code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.clock import utc_now
from recorder.features.disputes.dial_in import DialIn
from tests.freeswitch.process import binary
from tests.freeswitch.test_room_faults import NUMBER, Site, wait

pytestmark = [pytest.mark.long, pytest.mark.skipif(binary() is None, reason="needs FreeSWITCH")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def test_who_handles_the_call_and_who_was_recorded_hear_one_room(site: Site) -> None:
    guest = site.listen()
    claire, dispute = site.scene.claire, site.scene.find(site.dispute)
    site.code = (
        DialIn(NUMBER, site.house.keyring, site.house.trust).code_of(dispute, claire.id, utc_now()) or ""
    )
    host = site.come_in()
    wait(lambda: present(site) == {claire.id, site.jan.id})
    site.hears_room(host)
    site.hears_room(guest)
    host.press("2")
    wait(lambda: not guest.hears(0.5) and not host.hears(0.5))
    host.press("5")
    wait(lambda: guest.hears() and host.hears())
    site.scene.disputes.close(claire, dispute.id)
    wait(lambda: not site.members(), 40)


def present(site: Site) -> set[str]:
    members = site.rooms.members(site.dispute.tenant, site.dispute.id)
    return {each.user for each in members if each.by_telephone and each.is_present(site.rooms.now_ms())}
