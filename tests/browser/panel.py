"""The panel in a process of its own, as it is served, with an installation that the browser can look at.

    python -m tests.browser.panel FOLDER

Prints one line of JSON once it listens: the port and the ids of what is there.
"""

# ruff: noqa: E402
from gevent import monkey

from recorder.features.tenants import keep_options

monkey.patch_all()

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import gevent
import structlog

from recorder.clock import utc_now
from recorder.domain.live_command import DONE
from recorder.domain.parties import Party
from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from recorder.identity.throttle import RateLimit
from recorder.ids import uuid7
from tests.house import CALLER, Customer, House
from web import WebConfig, create_app, serve
from web.config import LoginLimits


def main(folder: Path) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    house = House(folder, utc_now, os.urandom)
    bakery = house.customer(
        "Boulangerie Martin", "+3225550100", label="Magasin", purposes=("agreement", "quality", "legal-duty")
    )
    house.person(bakery, "claire", "Claire Martin")
    house.person(bakery, "paul", "Paul Martin", role="customer_admin", language="en")
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(rival, "dyck", "An Van Dyck", language="en")
    florist = house.customer("Fleurs Lambert", "+3225550122", label="Atelier")
    house.person(florist, "lea", "Léa Lambert", role="customer_admin")
    optician = house.customer("Optique Petit", "+3225550133", label="Comptoir")
    house.person(optician, "anne", "Anne Petit", role="customer_admin")
    house.person(optician, "marc", "Marc Petit")
    at = utc_now()
    said = {"now": at, "entropy": os.urandom}
    keep_options.set_line_deletable(bakery.id, bakery.line.id, True, **said)
    keep_options.set_line_beep(bakery.id, bakery.line.id, "both", **said)
    house.not_recorded(
        bakery, "daemon_away", at=at - timedelta(hours=30), external_party=Party("withheld", "")
    )
    house.not_recorded(optician, "declined", at=at - timedelta(hours=28))
    house.not_recorded(bakery, "never_connected", at=at - timedelta(hours=5))
    house.not_recorded(bakery, "not_kept", at=at - timedelta(hours=4))
    house.not_recorded(bakery, "unclear", at=at - timedelta(hours=4, minutes=10))
    ids = {
        "short": house.call(bakery, at=at - timedelta(hours=3)),
        "long": house.call(bakery, at=at - timedelta(hours=2), times=30),
        "unannounced": house.call(
            bakery, at=at - timedelta(hours=1), announced=False, external_party=Party("e164", "+33142685300")
        ),
        "agreed": house.call(
            bakery,
            at=at - timedelta(hours=6),
            mode="opt-in",
            asked=[
                {"answer": "none"},
                {"answer": "no", "by": "internal", "how": "aloud"},
                {"answer": "yes", "by": "external", "how": "key"},
            ],
        ),
        "paused": house.call(
            bakery,
            at=at - timedelta(hours=7),
            times=3,
            dialled=[
                (30_000, "paused", {"seconds": "120"}),
                (38_000, "resumed", {}),
                (41_000, "moment_marked", {}),
                (20_000, "supervisor_joined", {}),
                (24_000, "supervisor_heard", {"heard_by": "both", "channel": "left"}),
                (27_000, "supervisor_left", {}),
            ],
        ),
        "damaged": house.call(bakery, at=at - timedelta(minutes=40), times=12),
        "held": house.call(florist, at=at - timedelta(hours=8), mode="opt-in"),
        "later": house.call(florist, at=at - timedelta(hours=10)),
        "deleted": house.call(florist, at=at - timedelta(hours=9)),
        "asked": house.call(optician, at=at - timedelta(hours=10)),
        "asked-too": house.call(optician, at=at - timedelta(hours=26), mode="opt-in"),
        "asked-silent": house.call(optician, at=at - timedelta(hours=25), announced=False),
        "rival": house.call(rival, at=at - timedelta(minutes=30)),
    }
    gevent.spawn(keep_talking, bakery)
    # All of these tests come from one address.
    often = LoginLimits(*[RateLimit(10000, 60)] * 5)
    config = WebConfig(b"k" * 32, secure_cookies=False, login_limits=often)
    app = create_app(config, gate=house.gate, changes=house.changes)
    serve(app, "127.0.0.1", 0, ready=lambda port: print(json.dumps({"port": port, "ids": ids}), flush=True))
    house.close()


def keep_talking(customer: Customer) -> None:
    """Calls that go on, on a node that does what is asked of them, and one on a node that does nothing."""
    began = utc_now() - timedelta(minutes=3)
    row = LiveRow(
        id=str(uuid7(began, os.urandom)), tenant=customer.id, node="node1", line=customer.line.id,
        number=customer.line.number, direction="inbound", external_party=CALLER, started_at=began,
        announced=True,
        paused_until=None, deletable=True,
    )  # fmt: skip
    telling = replace(row, id=str(uuid7(utc_now(), os.urandom)), announced=False, started_at=utc_now())
    silent = replace(
        row, id=str(uuid7(began, os.urandom)), node="node2", external_party=Party("withheld", ""),
        direction="outbound", deletable=False,
    )  # fmt: skip
    while True:
        for asked in queries.open_of("node1"):
            if queries.take("node1", asked.id, utc_now(), os.urandom):
                until = {"pause": utc_now() + timedelta(minutes=2), "resume": None}
                row = replace(row, paused_until=until.get(asked.action, row.paused_until))
                queries.put("node1", [row, telling], utc_now())
                queries.answer("node1", asked.id, DONE, utc_now(), os.urandom)
        queries.put("node1", [row, telling], utc_now())
        queries.put("node2", [silent], utc_now())
        gevent.sleep(0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
