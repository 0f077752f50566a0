"""``python -m demo``: an installation in ``./.accord``, four calls through the real path, and where to hear
them.

Everything is real: keys, object store, processes, and the switch if FreeSWITCH is installed
(``ACCORD_FREESWITCH``, else the ``PATH``); otherwise the practice switch replaces it.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import click

from demo import switch as demo_switch
from demo.difference import invite_guest
from demo.first_day import FirstDay
from demo.people import make_user
from demo.ports import Ports, choose_ports
from recorder import config
from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.records import KeepOptions, UserRow
from recorder.catalogue.schema import migrate
from recorder.cli.tenant_creation import make_tenant
from recorder.clock import utc_now
from recorder.errors import AccordError, ConfigError
from recorder.features.disputes.dial_in import grouped
from recorder.features.keys.kek_usage import refuse_new_keys
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.tenants import snapshot
from recorder.features.tenants.default_lines import add_line
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users
from recorder.processes import run
from recorder.processes.services import Context
from recorder.processes.supervisor import Program, Supervisor
from recorder.prompts.composer import SHIPPED
from recorder.seal import signing
from recorder.seal.keyring import read_private, write_private
from recorder.spool.snapshot import INFO_PROMPTS, ROOM_PROMPTS, read_snapshot

FOLDER = Path(".accord")
CUSTOMER = "Menuiserie Dubois"
LOGIN = "demo@example.com"
COLLEAGUE = "paul@example.com"
CALLS = (("+3225550101", "fr"), ("+3225550102", "en"), ("+3225550101", "fr"), ("+3225550102", "en"))
"""The numbers that are called, and the language of each one's line."""

ROOM_NUMBER = "+3225550199"
"""What people call to listen together."""

MEMORY = Path("/dev/shm")  # noqa: S108  # nothing is on a disk there
READY_IN = 60.0
HEARD_IN = 150.0

KEPT_DAYS = 365
"""How long a recording is kept once both agreed to that."""

SETTINGS = """\
# Made by `make run` at each start, with the ports and the password that it chose then.
[node]
name = "demo"
data = "{data}"
region = "BE"

[switch]
port = {ACCORD_SWITCH_PORT}
password = "{ACCORD_SWITCH_PASSWORD}"
listen_port = {ACCORD_SWITCH_LISTEN_PORT}

[store]
embedded = true
embedded_port = {ACCORD_STORE_EMBEDDED_PORT}

[keys]
disposable = true  # nothing here needs to outlive this folder

[web]
port = {ACCORD_WEB_PORT}
secure_cookies = false  # the panel is on loopback without HTTPS
registration = "open"  # so that the demo also shows a customer's first day

[verification_calls]
dial = "sofia/accord/{{number}}@{ACCORD_ROUTE}"  # the practice telephones, never the real number
dial_as = "3220000000"
countries = ["be", "de", "fr", "lu", "nl"]

[rooms]
number = "{ACCORD_ROOMS_NUMBER}"
{room_sounds}

[metrics]
daemon_port = {ACCORD_METRICS_DAEMON_PORT}
worker_port = {ACCORD_METRICS_WORKER_PORT}
web_port = {ACCORD_METRICS_WEB_PORT}
"""


class _StopRequested(Exception):  # not an error: somebody asked for the end
    """SIGINT or SIGTERM before the calls could be heard."""


def show(once: bool) -> int:
    """Run the demo and return its exit status. With ``once`` it ends when the calls can be heard, otherwise
    at SIGTERM or SIGINT."""
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - start:5.0f} s  {text}")

    demo_switch.configuration()
    folder = FOLDER.absolute()
    folder.mkdir(mode=0o750, exist_ok=True)
    try:
        lock = _lock(folder)  # noqa: F841  # until this function returns
    except ConfigError as error:
        click.echo(f"accord: {error}", err=True)
        return 1
    ports = choose_ports()
    environment = _environment(folder, ports)
    room_sounds = _make_room_sounds()
    _write_settings(folder, environment, room_sounds)
    os.environ.update(environment)
    context = Context(config.load(folder / "accord.toml", os.environ), folder / "accord.toml")
    tenant, password = prepare(context, folder)
    # The worker would write it a moment later; this way the first call certainly finds its line.
    node = context.settings.node
    snapshot.write(node.snapshot_folder, node.spool_folder, node.never_record, utc_now())
    say("keys, catalogue and a customer with two lines are ready")

    binary = os.environ.get("ACCORD_FREESWITCH") or shutil.which("freeswitch")
    sounds = folder / "sounds"
    shutil.rmtree(sounds, ignore_errors=True)  # of an earlier start
    sounds.mkdir()
    switch = demo_switch.real(Path(binary), folder, ports, sounds, environment) if binary else []
    if binary:
        say(f"the switch is FreeSWITCH ({binary})")
    else:
        say("FreeSWITCH is not on the PATH: the practice switch stands in for it")
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    own = [_logged(program, logs) for program in run.programs(context)]
    before = recording_ids(tenant)
    supervisor = Supervisor([*own, *switch], dict(os.environ))
    _quiet_supervisor(logs)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    thread = threading.Thread(target=supervisor.run, name="supervisor")
    thread.start()
    run.make_bucket(context)
    try:
        _wait(stopped, "the panel and the lines", lambda: _ready(context, ports), READY_IN, logs)
        say("store, daemon, worker and panel are running")
        if binary:
            demo_switch.place_calls(ports, environment["PHONES_PASSWORD"], CALLS, context, say)
        else:
            supervisor.add(demo_switch.practice_switch(ports, CALLS, sounds, ROOM_NUMBER))
        if not _follow(stopped, tenant, before, say):
            raise ConfigError(
                "demo.not_heard", "not all four calls became recordings", f"see the logs in {logs}"
            )
        say("ready\n")
        click.echo(f"    Listen at   http://127.0.0.1:{ports.web}/")
        click.echo(f"    log in as   {LOGIN}")
        click.echo(f"    password    {password}\n")
        issued = invite_guest(context.changes(), _people(tenant), recording_ids(tenant), context.dial_in())
        click.echo("    Two remember a call differently, and listen together: go to its page under Together.")
        click.echo("    The other person's side, in a second window:\n")
        click.echo(
            f"        http://localhost:{ports.web}{issued.path}"
        )  # another host has cookies of its own
        click.echo(f"        code    {issued.code}\n")
        telephone = (
            f"sip:{ROOM_NUMBER}@127.0.0.1:{ports.sip}" if binary else f"http://127.0.0.1:{ports.telephone}/"
        )
        click.echo(
            "    Or by telephone, while you see the room's page: call, enter the code, and press 1, then 5.\n"
        )
        click.echo(f"        {telephone}")
        click.echo(f"        code    {grouped(issued.dial_code or '')}\n")
        if not binary:
            click.echo("    That telephone rings, too, once the other person presses Call me.\n")
        if not once:
            click.echo("    Your own first day: register in a private window, and add a number; practice")
            click.echo("    telephones answer it, and call it once it is recorded.\n")
            click.echo(f"        http://127.0.0.1:{ports.web}/register\n")
            click.echo("    Ctrl-C ends it. Everything is in ./.accord")
            phones_password = environment["PHONES_PASSWORD"] if binary else None
            day = FirstDay(ports, context.settings.node.snapshot_folder, sounds, phones_password, say)
            day.skip_present()
            while not stopped.wait(0.5):
                day.look()
        return 0
    except _StopRequested:
        return 130
    except AccordError as error:
        click.echo(f"accord: {error}", err=True)
        return 1
    finally:
        try:
            click.echo("    ending; the store takes up to 16 s")
        finally:  # nobody may be reading any more
            supervisor.stop()
            thread.join()
            if room_sounds is not None:
                shutil.rmtree(room_sounds, ignore_errors=True)


def _make_room_sounds() -> Path | None:
    """A folder in memory for the sound of rooms by telephone; ``None`` where this machine has none."""
    if not MEMORY.is_dir():
        return None
    path = Path(tempfile.mkdtemp(dir=MEMORY, prefix="accord-demo-"))
    path.chmod(0o2750)
    try:
        SoundFolder(path).check()
    except ConfigError as error:
        click.echo(f"accord: {error}", err=True)
        path.rmdir()
        return None
    return path


def _lock(folder: Path) -> IO[bytes]:
    """Keep the folder to this demo: two would start each process twice in it, and end neither. Raises
    :class:`ConfigError`."""
    file = (folder / "demo.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        port = config.load(folder / "accord.toml", {}).web.port
        raise ConfigError(
            "demo.running",
            f"a demo runs in {folder} already: its panel is http://127.0.0.1:{port}/",
            "end that one with Ctrl-C, or start this one from another checkout",
        ) from None
    return file


def prepare(context: Context, folder: Path) -> tuple[str, str]:
    """Create keys, catalogue, customer, user and lines if they are missing; returns the customer's id and the
    user's password."""
    from recorder.catalogue.database import open_catalogue

    if not (context.settings.keys_folder / signing.KEK).exists():
        refuse_new_keys(context.open_catalogue, context.probe_store)
        signing.init(context.settings.keys_folder, utc_now())
    migrate(context.settings.catalogue_url)
    open_catalogue(context.settings.catalogue_url)
    secret = folder / "login"
    known = next((row for row in tenant_queries.all_tenants() if row.name == CUSTOMER), None)
    if known is not None and secret.exists():
        return known.id, read_private(secret).decode()
    password = secrets.token_urlsafe(12)
    tenant = make_tenant(context, CUSTOMER, language="fr", time_zone="Europe/Brussels", country="be")
    profile = {"name": "Claire Dubois", "role": "customer_admin", "language": "fr"}
    make_user(tenant, LOGIN, context.signer(), **profile, password=password)
    profile = {"name": "Paul Dubois", "role": "customer", "language": "fr"}
    make_user(tenant, COLLEAGUE, context.signer(), **profile, password=secrets.token_urlsafe(12))
    labels = {"fr": "Accueil", "en": "Front desk"}
    for number, language in dict.fromkeys(CALLS):
        line = add_line(
            tenant,
            number,
            language=language,
            label=labels[language],
            sources=SHIPPED,
            now=utc_now(),
            entropy=os.urandom,
        )
        change = LineChange(keep=KeepOptions(KEPT_DAYS))
        change_line(tenant.id, line, change, now=utc_now(), entropy=os.urandom)
    write_private(secret, password.encode())
    return tenant.id, password


def _people(tenant: str) -> tuple[UserRow, UserRow]:
    """Claire, and the colleague who vouches with her."""
    found = {row.login: row for row in users.users(tenant)}
    return found[LOGIN], found[COLLEAGUE]


def recording_ids(tenant: str) -> set[str]:
    """Ids of the customer's recordings."""
    return {row.id for row in queries.recordings(tenant, limit=200).rows}


def _write_settings(folder: Path, environment: dict[str, str], room_sounds: Path | None) -> None:
    """Write the settings for other commands, as `accord doctor` in another shell."""
    settings = folder / "accord.toml"
    settings.unlink(missing_ok=True)
    sounds = "" if room_sounds is None else f'sounds = "{room_sounds}"'
    write_private(settings, SETTINGS.format(data=folder, room_sounds=sounds, **environment).encode())


def _environment(folder: Path, ports: Ports) -> dict[str, str]:
    return {
        "ACCORD_SWITCH_PASSWORD": secrets.token_hex(16),
        "ACCORD_SWITCH_PORT": str(ports.event_socket),
        "ACCORD_SWITCH_LISTEN_PORT": str(ports.daemon),
        "ACCORD_STORE_EMBEDDED_PORT": str(ports.store),
        "ACCORD_WEB_PORT": str(ports.web),
        "ACCORD_METRICS_DAEMON_PORT": str(ports.metrics),
        "ACCORD_METRICS_WORKER_PORT": str(ports.metrics + 1),
        "ACCORD_METRICS_WEB_PORT": str(ports.metrics + 2),
        "ACCORD_SIP_PORT": str(ports.sip),
        "ACCORD_OUTBOUND_PORT": str(ports.outbound),
        "ACCORD_INFO_PROMPTS": str(folder / "snapshot" / INFO_PROMPTS),
        "ACCORD_ROOM_PROMPTS": str(folder / "snapshot" / ROOM_PROMPTS),
        "ACCORD_ROOMS_NUMBER": ROOM_NUMBER,
        "ACCORD_ROOM_NUMBER": rf"^\+?{ROOM_NUMBER.removeprefix('+')}$",
        "ACCORD_ROUTE": f"127.0.0.1:{ports.phones_sip}",
        "PHONES_PASSWORD": secrets.token_hex(16),
    }


def _logged(program: Program, logs: Path) -> Program:
    if program.output is not None:
        return program
    return replace(program, output=logs / f"{program.name}.log")


def _quiet_supervisor(logs: Path) -> None:
    from recorder.cli.logs import configure

    configure(open(logs / "supervisor.log", "a"))  # noqa: SIM115  # for the life of the process


def _ready(context: Context, ports: Ports) -> bool:
    """Whether the panel reaches catalogue and store, the node has its lines, and the daemon accepts calls."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", ports.web, timeout=2)
        connection.request("GET", "/readyz")
        if connection.getresponse().status != 200:
            return False
        socket.create_connection(("127.0.0.1", ports.daemon), timeout=2).close()
        return len(read_snapshot(context.settings.node.snapshot_folder).lines) >= len(set(CALLS))
    except (OSError, AccordError):
        return False


def _wait(
    stopped: threading.Event, what: str, condition: Callable[[], bool], seconds: float, logs: Path
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if stopped.wait(0.2):
            raise _StopRequested
        if time.monotonic() > deadline:
            raise ConfigError(
                "demo.not_ready", f"not ready within {seconds:.0f} s: {what}", f"see the logs in {logs}"
            )


def _follow(stopped: threading.Event, tenant: str, before: set[str], say: Callable[[str], None]) -> bool:
    """Print a line for each call that can be heard; false if they do not come in time."""
    deadline = time.monotonic() + HEARD_IN
    count = 0
    while count < len(CALLS):
        new = recording_ids(tenant) - before
        for _ in range(len(new) - count):
            count += 1
            say(f"{count} of {len(CALLS)} recordings sealed, stored and listed")
        if stopped.wait(0.3):
            raise _StopRequested
        if time.monotonic() > deadline:
            return count >= len(CALLS)
    sys.stdout.flush()
    return True
