"""A panel with rooms to be entered, for tests and benchmarks.

python -m tests.room_panel make FOLDER --rooms 3 [--url URL] [--times 12]   prints the rooms as JSON
python -m tests.room_panel serve FOLDER [--url URL] [--port PORT]           prints its port
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

SECRET = b"b" * 32


def serve_panel(folder: Path, url: str, port: int, *, secure: bool) -> None:
    """Serve the panel in this process until it is told to end; print its port."""
    from gevent import monkey

    monkey.patch_all()
    from recorder.clock import utc_now
    from tests.house import House
    from web import WebConfig, create_app, serve
    from web.state import PanelState

    house = House(folder, utc_now, os.urandom, url=url)
    config = WebConfig(SECRET, secure_cookies=secure, proxies=1)
    app = create_app(PanelState(config, gate=house.gate, changes=house.changes, factors=house.factors))
    serve(app, "127.0.0.1", port, ready=lambda port: print(port, flush=True))


def make_rooms(folder: Path, url: str, count: int, times: int) -> list[dict[str, Any]]:
    """Disputes, each with a handler of its own and two guests who may listen to all of the call: its room,
    the handler's log-in, and the guests' links with their codes. A call has ``times`` conversations of 22
    seconds."""
    from recorder.catalogue import queries
    from recorder.clock import utc_now
    from recorder.domain.roles import ADMIN
    from recorder.features.disputes.agreements import Agreements
    from recorder.features.disputes.invitations import GuestInvitations
    from recorder.features.disputes.service import Disputes
    from recorder.mail.outbox import Outbox
    from recorder.seal.dispute_kinds import ACCEPTED
    from tests.house import House

    house = House(folder, utc_now, os.urandom, url=url)
    customer = house.customer("Bench", "+3225550100")
    claire, paul = (house.person(customer, each, each.title(), role=ADMIN) for each in ("claire", "paul"))
    for number in range(count):
        house.person(customer, f"host{number}", "Claire", role=ADMIN, language="en")
    at = utc_now() - timedelta(hours=2)
    recordings = [
        house.call(customer, at=at + timedelta(minutes=n), times=times) for n in range(min(count, 10))
    ]
    row = queries.recording(customer.id, recordings[0])
    assert row is not None
    disputes, day = Disputes(house.changes), (utc_now() + timedelta(days=9)).date()
    invitations, agreements = GuestInvitations(disputes, Outbox()), Agreements(disputes)
    found = []
    for number in range(count):
        recording = recordings[number % len(recordings)]
        dispute = disputes.open(claire, [recording], subject=f"Order {number}", settle_by=day)
        guest = invitations.invite(claire, dispute.id, name="Jan", language="en", address=None)
        link = invitations.open_link(guest.path.rpartition("/")[2])
        user = invitations.answer(link, ACCEPTED, notice="You may say no.", language="en")
        assert user is not None
        for person in (claire, paul):
            invitations.vouch(person, dispute.id, guest.guest, "His voice")
        agreements.mark_passage(claire, dispute.id, recording, 0, row.duration_ms, "All of it")
        passage = disputes.find(customer.id, dispute.id).passages[0].id
        neutral = invitations.invite_neutral(
            claire, dispute.id, [passage], name="Nora", language="en", address=None
        )
        invitations.agree_to_guest(user, dispute.id, neutral.guest, ACCEPTED, passages=[passage])
        links = [(each.path, each.code) for each in (guest, neutral)]
        found.append({"room": dispute.id, "login": f"host{number}", "links": links})
    house.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("make", "serve"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--rooms", type=int, default=1)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secure", action="store_true", help="cookies for HTTPS alone")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if options.action == "serve":
        serve_panel(options.folder, options.url, options.port, secure=options.secure)
    else:
        print(json.dumps(make_rooms(options.folder, options.url, options.rooms, options.times)))


if __name__ == "__main__":
    main()
