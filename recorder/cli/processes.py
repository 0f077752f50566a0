"""``accord run | daemon | worker | web | migrate``: the processes of an installation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click
import structlog

from recorder import environment
from recorder.cli import logs
from recorder.errors import ConfigError, StoreError
from recorder.processes.services import Context
from recorder.processes.supervisor import Program, Supervisor, heartbeat

log = structlog.get_logger()

AGAIN: Final = 0.5
"""Seconds, at most, until a daemon that keeps ending is started again: calls go on unrecorded meanwhile."""

LINGER: Final = 3.0
"""Seconds that a daemon that nobody watches over goes on after SIGTERM."""

DAEMON_GRACE: Final = 19.0
"""Seconds that announcements have to come to their end, and what they leave to be written."""

STORE_GRACE: Final = 3.0
"""The store takes up to 16 s, and loses nothing where it is killed."""


@click.command()
@click.option(
    "--replace", is_flag=True, help="Take over from the daemon that runs: no call goes unrecorded for it."
)
@click.pass_obj
def daemon(context: Context, replace: bool) -> None:
    """The process beside the switch: announces, starts recordings, writes the spool."""
    from recorder.capture import Daemon, DaemonSettings

    logs.begin(context.settings.log.path)
    settings = context.settings
    node, switch = settings.node, settings.switch
    password = switch.password.get_secret_value()
    if not password:
        raise ConfigError(
            "switch.no_password",
            "there is no password for the switch's event socket",
            "set ACCORD_SWITCH_PASSWORD, or ACCORD_SWITCH_PASSWORD_FILE: there is no default",
        )
    beat = heartbeat(os.environ)
    Daemon(
        DaemonSettings(
            node=node.name,
            spool=node.spool_folder.absolute(),
            snapshot=node.snapshot_folder.absolute(),
            password=password,
            switch_host=switch.host,
            switch_port=switch.port,
            listen_host=switch.listen_host,
            listen_port=switch.listen_port,
            command_timeout=switch.command_timeout,
            full_at=node.full_at,
            warn_at=node.warn_at,
            region=node.region or None,
            dial=settings.persons.dial,
            dial_as=settings.persons.dial_as,
            metrics_host=settings.metrics.host,
            metrics_port=settings.metrics.daemon_port,
            metrics_allow=tuple(str(network) for network in settings.metrics.allow),
            replace=replace,
        ),
        beat=beat,
        leaving=beat.stopping,
        # Under a supervisor that is asked, and at a terminal the signal says that it is gone.
        renew=None if beat.supervised or sys.stderr.isatty() else start_next,
        hand_on=beat.hand_on,
        # Who ends us and starts the next one by hand, or by a script, does both at once.
        linger=LINGER if beat.alone else 0.0,
    ).run()


def start_next() -> None:
    """Start the daemon that takes over from this one: what is installed now where this one was started."""
    argv = sys.argv
    if not os.access(argv[0], os.X_OK):
        argv = [sys.executable, "-m", "recorder", *argv[1:]]
    if argv[-1] != "--replace":
        argv = [*argv, "--replace"]
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        log.error("daemon.next_not_started", command=argv[0], error=str(error))
    else:
        log.info("daemon.next_started", pid=process.pid)


@click.command()
@click.pass_obj
def worker(context: Context) -> None:
    """Encodes, seals, stores and lists what the daemon recorded; destroys what has ended."""
    from recorder.features.live.relay import Desk
    from recorder.features.subject_requests.verification_call import VerificationCaller
    from recorder.lifecycle.clock_guard import NAME, Timekeeper
    from recorder.processes import checkpoint_witnesses, object_store
    from recorder.processes.duties import CheckpointWitnesses
    from recorder.processes.worker import Worker, WorkerOptions
    from recorder.processes.worker_status import Overseer
    from recorder.prompts.sound_sources import sources

    logs.begin(context.settings.log.path)
    settings = context.settings
    context.open_catalogue()
    signer = context.signer()
    working = Worker(
        WorkerOptions(
            spool=settings.node.spool_folder.absolute(),
            snapshot=settings.node.snapshot_folder.absolute(),
            processes=settings.worker.processes,
            nice=settings.worker.nice,
            never_record=settings.node.never_record,
            warn_at=settings.node.warn_at,
            full_at=settings.node.full_at,
            sources=sources(settings.prompts),
            lock_days=settings.ledger.lock_days,
            outward=CheckpointWitnesses(
                checkpoint_witnesses.authority(settings), checkpoint_witnesses.server(settings)
            ),
            backups_end_after=timedelta(days=settings.keys.backups_kept_days),
        ),
        store=context.store(),
        keyring=context.keyring(),
        signer=signer,
        root_public=context.root(),
        revoked=context.revoked(),
        lock=object_store.lock(settings),
        erasing=object_store.open_erasing(settings),
        timekeeper=Timekeeper(settings.node.spool_folder.absolute() / NAME, context.witnesses()),
        beat=heartbeat(os.environ),
        desk=Desk(
            settings.node.name,
            settings.node.spool_folder.absolute(),
            context.root(),
            revoked=context.revoked(),
        ),
        caller=VerificationCaller(
            settings.node.name, settings.node.spool_folder.absolute(), sources(settings.prompts)
        )
        if settings.persons.dial
        else None,
    )
    Overseer(
        working,
        object_store.probe(settings),
        signer.endorsement.not_after,
        settings.metrics.host,
        settings.metrics.worker_port,
        tuple(str(network) for network in settings.metrics.allow),
    ).start()
    if not working.run():
        # Python would wait for threads that wait for a store.  Every stage can be broken off anywhere.
        os._exit(0)


@click.command()
@click.pass_obj
def web(context: Context) -> None:
    """The panel."""
    from recorder.lifecycle.amendment_service import Changes
    from recorder.processes import object_store
    from recorder.processes.gate import PanelGate
    from recorder.status_server import Neighbours, in_thread
    from recorder.store.ping import reach
    from web.app import create_app
    from web.config import WebConfig
    from web.health import watched_by
    from web.server import serve

    logs.begin(context.settings.log.path)
    settings = context.settings.web
    context.open_catalogue()
    app = create_app(
        WebConfig(
            secret_key=context.web_secret(),
            secure_cookies=settings.secure_cookies,
            proxies=settings.proxies,
            proxy_networks=tuple(str(network) for network in settings.proxy_networks),
            backups_kept=timedelta(days=context.settings.keys.backups_kept_days),
        ),
        gate=PanelGate(
            store := context.store(), context.keyring(), context.root(), revoked=context.revoked()
        ),
        changes=None
        if (signer := context.panel_signer()) is None
        else Changes(store, context.root(), signer, revoked=context.revoked()),
        checks={"store": partial(reach, object_store.probe(context.settings))},
    )
    seen = context.settings.metrics
    neighbours = Neighbours(str(network) for network in seen.allow)
    stop = in_thread(watched_by(app, neighbours), seen.host, seen.web_port)
    try:
        serve(app, settings.host, settings.port, beat=heartbeat(os.environ))
    finally:
        stop()


@click.command()
@click.pass_obj
def migrate(context: Context) -> None:
    """Bring the catalogue's schema up to this version, making it where there is none, and with it the
    store's folder."""
    from recorder.catalogue.schema import FIRST
    from recorder.catalogue.schema import migrate as apply
    from recorder.processes import object_store

    context.settings.node.data.mkdir(mode=0o750, parents=True, exist_ok=True)
    applied = apply(context.settings.catalogue_url)
    if FIRST in applied and context.settings.store.kind == "directory":
        object_store.directory(context.settings).init()
    click.echo("\n".join(applied) if applied else "the schema is current")


@click.command()
@click.pass_obj
def run(context: Context) -> None:
    """Start all processes of one machine, restart what ends, kill what hangs."""
    logs.begin(context.settings.log.path)
    supervisor = Supervisor(programs(context), dict(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, supervisor.renew)
    make_bucket(context)
    supervisor.run()


def make_bucket(context: Context) -> None:
    """Make the embedded store's bucket as soon as the server answers; in a thread, since nothing waits
    for it: a store that is away only makes the spool grow."""
    if not context.settings.store.embedded:
        return
    from recorder.processes import object_store

    def wait() -> None:
        server = object_store.embedded(context.settings)
        while True:
            try:
                server.wait_ready()
            except StoreError as error:
                # However late it comes (its ports were taken, say): without a bucket nothing is stored.
                log.error("store.not_ready", error=error.message, hint=error.hint)
                if error.error_id == "store.embedded_open":
                    return  # looking again changes nothing
            else:
                return

    threading.Thread(target=wait, name="make-bucket", daemon=True).start()


def programs(context: Context, given: Mapping[str, str] = os.environ) -> list[Program]:
    """The processes of one machine; the embedded store, where it is chosen, is started first.  Each gets what
    it works with (:mod:`recorder.environment`) of the environment that is ``given``."""
    own = [sys.executable, "-m", "recorder"]
    if context.config_path is not None:
        own += ["--config", str(context.config_path.absolute())]
    found = [
        Program(
            "daemon",
            [*own, "daemon"],
            watched=True,
            environment=environment.of("daemon", given),
            replacing=[*own, "daemon", "--replace"],
            longest=AGAIN,
            turn=2,  # it watches calls until the others have ended
            grace=DAEMON_GRACE,
        ),
        Program("worker", [*own, "worker"], watched=True, environment=environment.of("worker", given)),
        Program("web", [*own, "web"], tied=True, environment=environment.of("web", given)),
    ]
    return [*store_programs(context), *found]


def store_programs(context: Context) -> list[Program]:
    """The embedded store, where the settings ask for it.  Raises :class:`ConfigError`."""
    if not context.settings.store.embedded:
        return []
    from recorder.processes import object_store

    weed = object_store.embedded(context.settings)
    weed.prepare()
    argv, own = weed.command()
    folder = context.settings.node.data.absolute() / "seaweedfs"
    return [
        Program(
            "store",
            argv,
            environment=own,
            folder=folder,
            output=Path(folder / "seaweedfs.log"),
            turn=1,  # the others store what they have at hand first
            grace=STORE_GRACE,
            lasting=True,
        )
    ]
