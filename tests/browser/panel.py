"""Serves the panel in its own process, with an installation for the browser tests.

    python -m tests.browser.panel FOLDER

Prints one line of JSON once it listens: the port and the ids of the recordings.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import gevent
import structlog
from argon2 import PasswordHasher

from recorder import __version__
from recorder.auditlog import checkpoint
from recorder.catalogue import queries
from recorder.catalogue.records import LineRow
from recorder.clock import utc_now
from recorder.domain.live_command import DONE
from recorder.domain.parties import Party
from recorder.domain.roles import ADMIN, OPERATOR, PROVIDER, SUPPORT
from recorder.features.access_log.verification import EntryProofs
from recorder.features.branding.service import CurrentBranding
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.fleet.doctor_reports import DoctorReport, report_findings
from recorder.features.fleet.service import NodeReport, report_node
from recorder.features.live import queries as live
from recorder.features.live.queries import LiveRow
from recorder.features.notifications import service as notifications
from recorder.features.team.invitations import Invitations
from recorder.features.tenants import composition
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.features.usage import service as usage
from recorder.identity.throttle import RateLimit
from recorder.ids import uuid7
from recorder.lifecycle import plans
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from tests.house import CALLER, Customer, House, hash_with
from tests.ports import free_ports
from web import WebConfig, serve
from web.config import LoginLimits

IDS = "ids.json"
NEW_CUSTOMERS = {"fr": "Reliure Adam", "en": "Adam Bookbinders"}
"""By the language of their first admin's invitation."""
PLANS = "plans.toml"
SMALL_PLAN = """
[starter]
features = ["download", "export", "api"]
longest_keep_days = 0
formats = ["opus", "wav"]

[basic]
features = ["export"]
longest_keep_days = 14
formats = ["opus"]
name.en = "Basic"
name.fr = "Essentiel"
"""


# These tests are about pages, and log in a hundred times.
hash_with(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


def fill(folder: Path) -> None:
    """Customers, people and calls; their ids by names are written down."""
    folder.mkdir()
    house = House(folder, utc_now, os.urandom)
    bakery = house.customer(
        "Boulangerie Martin", "+3225550100", label="Magasin", purposes=("agreement", "quality", "legal-duty")
    )
    house.person(bakery, "claire", "Claire Martin")
    house.person(bakery, "paul", "Paul Martin", role="customer_admin", language="en")
    house.person(bakery, "zoe", "Zoé Lambert")  # she and Tom set up second factors
    house.person(bakery, "tom", "Tom Maes", language="en")
    house.person(bakery, "norah", "Norah Claes")  # she and Ben add passkeys
    house.person(bakery, "ben", "Ben Peeters", language="en")
    Registration(house.keyring).open_provider("Accord", "fr", utc_now())
    provider = Customer(PROVIDER, bakery.line, bakery.announcement)
    house.person(provider, "olga", "Olga Opera", role=OPERATOR)
    house.person(provider, "sam", "Sam Support", role=SUPPORT)
    studio = house.customer("Studio Lune", "+3225550188", label="Studio")
    house.person(studio, "eva", "Eva Lune", role="customer_admin")
    house.person(studio, "max", "Max Roth", role="customer_admin", language="en")
    house.person(studio, "ida", "Ida Blum")
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(rival, "dyck", "An Van Dyck", language="en")
    house.person(rival, "rik", "Rik Van Dyck", role="customer_admin")
    florist = house.customer("Fleurs Lambert", "+3225550122", label="Atelier")
    house.person(florist, "lea", "Léa Lambert", role="customer_admin")
    house.person(florist, "luce", "Luce Lambert")
    optician = house.customer("Optique Petit", "+3225550133", label="Comptoir")
    house.person(optician, "anne", "Anne Petit", role="customer_admin")
    house.person(optician, "marc", "Marc Petit")
    garage = house.customer("Garage Dumont", "+3225550144", label="Accueil")
    house.person(garage, "nina", "Nina Dumont", role="customer_admin")
    plumber = house.customer("Plomberie Nagels", "+3225550177", label="Accueil")
    house.person(plumber, "nagels", "Nora Nagels")
    house.person(plumber, "noel", "Noël Nagels", role="customer_admin")
    newcomer = house.customer("Nouvelle Maison", "+3225550178", label="Bureau")
    house.person(newcomer, "nell", "Nell Nieuw")
    invited = {language: invite(house, name, language) for language, name in NEW_CUSTOMERS.items()}
    laundry = house.customer("Pressing Soleil", "+3225550171", label="Caisse")  # the provider changes it
    house.person(laundry, "sol", "Sol Soleil", role="customer_admin")
    house.customer("Pressing Lune", "+3225550172")
    workshop = house.customer("Atelier Nord", "+3225550166", label="Bureau")
    house.person(workshop, "ines", "Inès Nord")
    joiner = house.customer("Menuiserie Claes", "+3225550155", label="Atelier")
    house.person(joiner, "rose", "Rose Claes", role="customer_admin")
    house.person(joiner, "hugo", "Hugo Claes", role="customer_admin", language="en")
    mill = house.customer("Moulin Vert", "+3225550111", label="Moulin")
    house.person(mill, "mila", "Mila Vert", role="customer_admin")
    house.person(mill, "milo", "Milo Vert", language="en")
    at = utc_now()
    options = {"now": at, "entropy": os.urandom}
    cellar = house.customer("Cave Morel", "+3225550161", label="Boutique")
    house.person(cellar, "cleo", "Cléo Morel", role="customer_admin")
    house.person(cellar, "remy", "Rémy Morel")
    promise = {"language": "fr", "mode": "notice", "purposes": ["agreement"], "keep_days": 30}
    for number, label in (("+3225550162", "Entrepôt"), ("+3225550163", "Bureau")):
        row = composition.compose(cellar.id, name=number, **promise, **options)
        house.add_line(cellar.id, number, row.id, label=label)
    house.call(cellar, at=at - timedelta(hours=6))
    (folder / PLANS).write_text(SMALL_PLAN)
    plans.use_file(folder / PLANS)
    plans.change_plan(plumber.id, "basic", **options)
    change_line(bakery.id, bakery.line.id, LineChange(deletable=True), **options)
    change_line(bakery.id, bakery.line.id, LineChange(beep="both"), **options)
    house.not_recorded(
        bakery, "daemon_away", at=at - timedelta(hours=30), external_party=Party("withheld", "")
    )
    house.not_recorded(optician, "declined", at=at - timedelta(hours=28))
    house.not_recorded(bakery, "never_connected", at=at - timedelta(hours=5))
    house.not_recorded(bakery, "not_kept", at=at - timedelta(hours=4))
    house.not_recorded(bakery, "unclear", at=at - timedelta(hours=4, minutes=10))
    for n in range(120):
        number = Party("e164", f"+32470{100000 + n * 7:06}")
        house.not_recorded(
            plumber, "never_connected", at=at - timedelta(minutes=30 * n), external_party=number
        )
    house.not_recorded(joiner, "full_disk", at=at - timedelta(hours=5))
    notifications.update(joiner.id, at - timedelta(hours=4, minutes=50), os.urandom)
    house.call(joiner, at=at - timedelta(hours=4))
    house.not_recorded(joiner, "daemon_away", at=at - timedelta(hours=2))
    notifications.update(joiner.id, at, os.urandom)
    notifications.note_import(
        joiner.id, b"", imported=12, failed=1, until=at + timedelta(days=90), now=at, entropy=os.urandom
    )
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
            questions=[
                {"answer": "none"},
                {"answer": "no", "by": "internal", "how": "aloud"},
                {"answer": "yes", "by": "external", "how": "key"},
            ],
        ),
        "paused": house.call(
            bakery,
            at=at - timedelta(hours=7),
            times=3,
            events=[
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
        "garage": house.call(garage, at=at - timedelta(hours=11), caller_name="Élodie Peeters (atelier)"),
        "transferred": house.call(
            bakery,
            at=at - timedelta(minutes=75),
            times=3,
            external_party=Party("e164", "+32475987654"),
            events=[
                (12_000, "bridged", {"party": "extension", "value": "1001", "leg": "a"}),
                (25_000, "bridged", {"party": "extension", "value": "1002", "leg": "b"}),
            ],
        ),
        "rival": house.call(rival, at=at - timedelta(minutes=30)),
        "together": house.call(mill, at=at - timedelta(minutes=50), times=6),
        "alone": house.call(mill, at=at - timedelta(minutes=20)),
        "waiting": house.call(mill, at=at - timedelta(minutes=35), mode="opt-out"),
    }
    checkpoint.sign_due(house.services, utc_now())
    bakery_row = queries.tenant(bakery.id)
    assert bakery_row is not None
    usage.count_due(bakery_row, utc_now() + timedelta(days=1), os.urandom)
    more = {
        "bakery": bakery.id,
        "cellar": cellar.id,
        "plumber": plumber.id,
        "workshop": workshop.id,
        "newcomer": newcomer.id,
        **invited,
    }
    for name in ("", "late-", "agreed-"):  # the rooms of tests that must not meet
        more |= {name + key: each for key, each in invite_guest(house, mill, ids["together"]).items()}
    more |= {"waits-" + key: each for key, each in invite_guest(house, mill, ids["waiting"]).items()}
    now = utc_now()
    node = NodeReport("north", now, now, __version__, 5, 12, now, 0, 200 * 10**9, 56 * 10**9)
    report_node(replace(node, calls=register.USES))
    report_findings(
        DoctorReport("north", now - timedelta(minutes=40), ("dialplan", "guards"), ("key_copies",))
    )
    (folder / IDS).write_text(json.dumps({**ids, **more}))
    house.close()


def invite(house: House, name: str, language: str) -> str:
    """Make a customer as the operator does; returns the path of its first admin's invitation."""
    signer = house.services.signer
    owner = Registration(house.keyring, signer).create_customer(
        name, language=language, languages=(language,), time_zone="Europe/Brussels", country="be",
        now=utc_now(),
    )  # fmt: skip
    team = Invitations(signer, house.trust, Outbox(), utc_now, os.urandom)
    issued = team.invite(
        owner.id, address=f"ada@{language}.example.com", name="Ada Adam", role=ADMIN, lines=None,
        language=language, by=By("operator"),
    )  # fmt: skip
    return issued.path


def invite_guest(house: House, customer: Customer, recording: str) -> dict[str, str]:
    """A difference with a guest who was recognised: its id, the guest's link, and the code with it."""
    disputes, day = Disputes(house.changes), (utc_now() + timedelta(days=14)).date()
    invitations = GuestInvitations(disputes, Outbox())
    mila, milo = customer.people["mila"], customer.people["milo"]
    dispute = disputes.open(mila, [recording], subject="Le prix de la farine", settle_by=day)
    issued = invitations.invite(mila, dispute.id, name="Jan Peeters", language="fr", address=None)
    link = invitations.open_link(issued.path.rpartition("/")[2])
    invitations.answer(link, ACCEPTED, notice="Vous pouvez refuser.", language="fr")
    for person in (mila, milo):
        invitations.vouch(person, dispute.id, issued.guest, "Sa voix")
    return {"difference": dispute.id, "guest-link": issued.path, "guest-code": issued.code or ""}


def answer_phones(folder: Path) -> None:
    """Answer the calls with a code, and write each code down, by its number."""
    while True:
        claim = register.take("node1", utc_now(), os.urandom)
        if claim is not None:
            (folder / f"code-{claim[0].number}").write_text(claim[1])
            register.answer("node1", claim[0], DONE, utc_now(), os.urandom)
        gevent.sleep(0.2)


def run(folder: Path) -> None:
    house = House(folder, utc_now, os.urandom)
    plans.use_file(folder / PLANS)
    ids = json.loads((folder / IDS).read_text())
    (line,) = queries.lines(ids["bakery"])
    gevent.spawn(keep_talking, line)
    gevent.spawn(answer_phones, folder)
    gevent.spawn(end_a_call, house, find_customer(ids["workshop"]))
    # All browser tests come from one address.
    often = LoginLimits(*[RateLimit(10000, 60)] * 5)
    port = free_ports(1)
    address = f"http://localhost:{port}"
    config = WebConfig(
        b"k" * 32,
        secure_cookies=False,
        login_limits=often,
        address=address,
        mail_sender="calls@telvoip.example",
    )
    app = house.app(
        config,
        outbox=Outbox(house.keyring, "https://accord.example.com"),
        proofs=EntryProofs(house.store, house.root_public),
        number_proofs=NumberProofs(CallPolicy(calls_a_day=100)),
        registration=Registration(house.keyring, house.changes.signer, "open"),
        branding=CurrentBranding(house.trust, utc_now),
    )
    description = json.dumps({"port": port, "ids": ids})
    serve(app, "127.0.0.1", port, ready=lambda _port: print(description, flush=True))
    house.close()


def find_customer(tenant: str) -> Customer:
    """A customer with its line and announcement."""
    (line,), (announcement,) = queries.lines(tenant), queries.announcements(tenant)
    return Customer(tenant, line, announcement)


def end_a_call(house: House, customer: Customer) -> None:
    """A call that ends when a test writes the file ``hang-up``, and is stored when it writes ``store``."""
    while not (house.folder / "hang-up").exists():
        gevent.sleep(0.2)
    folder, end = house.finished(customer, at=utc_now() - timedelta(minutes=1))
    line = customer.line
    row = LiveRow(
        id=folder.name, tenant=customer.id, node="node3", line=line.id, number=line.number,
        direction="inbound", external_party=CALLER, started_at=utc_now() - timedelta(minutes=1),
        announced=True, paused_until=None, deletable=False, ended_at=end,
    )  # fmt: skip
    live.put("node3", [row], utc_now())
    while not (house.folder / "store").exists():
        gevent.sleep(0.2)
    house.work(folder, end)
    live.put("node3", [], utc_now())


def keep_talking(line: LineRow) -> None:
    """Active calls on a node that executes commands, and one on a node that does not answer."""
    start = utc_now() - timedelta(minutes=3)
    row = LiveRow(
        id=str(uuid7(start, os.urandom)), tenant=line.tenant, node="node1", line=line.id,
        number=line.number, direction="inbound", external_party=CALLER, started_at=start,
        announced=True, paused_until=None, deletable=True,
        keep_asked_at=start + timedelta(minutes=1), keep_answer="yes",
    )  # fmt: skip
    announcing_call = replace(
        row, id=str(uuid7(utc_now(), os.urandom)), announced=False, started_at=utc_now(), keep_asked_at=None
    )
    silent = replace(
        row, id=str(uuid7(start, os.urandom)), node="node2", external_party=Party("withheld", ""),
        direction="outbound", deletable=False,
    )  # fmt: skip
    while True:
        for command in live.open_commands("node1"):
            if live.take("node1", command.id, utc_now(), os.urandom):
                until = {"pause": utc_now() + timedelta(minutes=2), "resume": None}
                row = replace(row, paused_until=until.get(command.action, row.paused_until))
                live.put("node1", [row, announcing_call], utc_now())
                live.answer("node1", command.id, DONE, utc_now(), os.urandom)
        live.put("node1", [row, announcing_call], utc_now())
        live.put("node2", [silent], utc_now())
        gevent.sleep(0.2)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    (fill if "--fill" in sys.argv else run)(Path(sys.argv[1]))
