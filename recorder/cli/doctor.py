"""``accord doctor``: looks at everything that a recording needs and says what to do about the rest."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from recorder.call import policy
from recorder.catalogue import customers
from recorder.catalogue.snapshot import has_prompt
from recorder.cli.context import Context
from recorder.clock import from_iso, to_iso, utc_now
from recorder.errors import AccordError, SealError, SwitchError, TakeError
from recorder.seal.keys import WrappedKey
from recorder.take.spool import END, closed_folders, finished_takes, read_start

if TYPE_CHECKING:
    from recorder.switch.esl import Inbound

MODULES = ("mod_sofia", "mod_dptools", "mod_commands", "mod_event_socket", "mod_dialplan_xml", "mod_sndfile")
"""Modules of FreeSWITCH that the dialplan and the commands use."""

EXTENSIONS = (
    "accord_begin",
    "accord_announced",
    "accord_timeout",
    "accord_after_announced",
    "accord_after_any",
)
"""Extensions without which a call could be recorded unannounced, or wait for ever."""

CONTEXT = "accord"
"""Where the dialplan has them."""

RENEW_WITHIN = timedelta(days=30)

WAITS_LONG = timedelta(minutes=10)
"""After which a finished call that is still in the spool is worth a look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``state`` is ``ok``, ``look`` (works, but not for long) or
    ``wrong``."""

    state: str
    what: str
    hint: str = ""


Check = Callable[[Context], Iterator[Finding]]


def catalogue(context: Context) -> Iterator[Finding]:
    """The database is there and has this version's schema."""
    context.open_catalogue()
    yield Finding("ok", f"catalogue: {context.settings.catalogue_url}, schema is current")


def keys(context: Context) -> Iterator[Finding]:
    """The keys are there, closed to others, and the signing key is endorsed by the root for now."""
    context.keyring()
    endorsed = context.signer().endorsement
    now = utc_now()
    endorsed.check(context.root(), "manifest", now)
    yield Finding("ok", f"keys: signing key {endorsed.key_id}, endorsed until {to_iso(endorsed.not_after)}")
    if endorsed.not_after - now < RENEW_WITHIN:
        yield Finding(
            "look", "keys: the endorsement ends soon", "run `accord keys renew` with the root's key"
        )
    if (context.settings.keys_folder / "root.key").exists():
        yield Finding(
            "look",
            "keys: the root's private key lies on this machine",
            "move it to where no machine reads it",
        )


def customer_keys(context: Context) -> Iterator[Finding]:
    """The key-encryption key is the one that the customers' keys were wrapped by."""
    context.open_catalogue()
    keyring = context.keyring()
    known = customers.tenants()
    closed = 0
    for row in known:
        wrapped = customers.tenant_wrapped_key(row.id)
        try:
            if wrapped is not None:
                keyring.open_tenant_key(WrappedKey.from_bytes(wrapped.encode()))
                continue
            error = SealError("seal.key_missing", f"{row.name} has no key", "restore the catalogue's copy")
        except SealError as raised:
            error = raised
        closed += 1
        yield Finding("wrong", f"customers: {error.message}", error.hint)
    if known and not closed:
        yield Finding("ok", f"customers: {len(known)}, the key-encryption key opens the key of each")


def store(context: Context) -> Iterator[Finding]:
    """The bucket takes, compares and gives back."""
    able = context.store().abilities()
    yield Finding(
        "ok" if able.put_if_absent else "look", f"store: put only if absent: {_yes(able.put_if_absent)}"
    )
    yield Finding(
        "ok" if able.checks_sha256 else "look", f"store: compares SHA-256: {_yes(able.checks_sha256)}"
    )
    yield Finding("ok", f"store: versions: {_yes(able.versioning)}, locks: {_yes(able.object_lock)}")


def spool(context: Context) -> Iterator[Finding]:
    """The spool takes files, its disk has room, nothing lies in quarantine."""
    node = context.settings.node
    folder = node.spool_folder
    folder.mkdir(mode=0o2770, parents=True, exist_ok=True)
    probe = folder / f".doctor-{uuid.uuid4()}"
    probe.write_bytes(b"accord")
    probe.unlink()
    usage = shutil.disk_usage(folder)
    share = usage.used / usage.total
    full = share >= node.full_at
    yield Finding(
        "wrong" if full else "ok",
        f"spool: {folder}, disk {share:.0%} in use",
        f"no new recording starts from {node.full_at:.0%}: make room, nothing in the spool may be deleted"
        if full
        else "",
    )
    closed = len(closed_folders(folder))
    if closed:
        yield Finding(
            "wrong",
            f"spool: {closed} folders cannot be looked into",
            "switch, daemon and worker need one group: `chgrp -R` and `chmod -R g+rwX` those folders",
        )
    set_aside = len(list((folder / "quarantine").glob("*"))) if (folder / "quarantine").is_dir() else 0
    if set_aside:
        yield Finding(
            "look", f"spool: {set_aside} takes in quarantine", "each folder's quarantine.json says why"
        )


def takes(context: Context) -> Iterator[Finding]:
    """No finished call waits in the spool for something that does not come by itself."""
    context.open_catalogue()
    node = context.settings.node
    strangers, silent, broken, long, total = set(), set(), 0, 0, 0
    for folder in finished_takes(node.spool_folder):
        total += 1
        ended = datetime.fromtimestamp((folder / END).stat().st_mtime, UTC)
        long += utc_now() - ended > WAITS_LONG
        try:
            start = read_start(folder)
        except TakeError:
            broken += 1
            continue
        if start.tenant is not None and customers.tenant_wrapped_key(start.tenant) is None:
            strangers.add(start.tenant)
        told = start.announcement
        if told is not None and not has_prompt(node.snapshot_folder, told.sha256):
            silent.add(told.sha256)
    for tenant in sorted(strangers):
        yield Finding(
            "wrong",
            f"takes: calls wait for customer {tenant}, whom the catalogue does not know",
            "is this the catalogue that the node's snapshot was made from? nothing is lost until it is back",
        )
    for sha256 in sorted(silent):
        yield Finding(
            "wrong",
            f"takes: calls wait for the sound {sha256[:12]} of their announcement, which is nowhere",
            f"put the WAV at {node.snapshot_folder / 'prompts' / sha256}.wav, or restore the catalogue",
        )
    if broken:
        yield Finding("look", f"takes: {broken} cannot be read", "the worker sets them aside")
    if long:
        yield Finding(
            "look",
            f"takes: {long} of {total} finished calls wait for more than {WAITS_LONG.seconds // 60} minutes",
            "the worker's log says what each waits for (take.waits)",
        )
    if not (strangers or silent or broken or long):
        yield Finding("ok", f"takes: {total} finished calls on their way")


def snapshot(context: Context) -> Iterator[Finding]:
    """The node knows its lines, and every prompt is what its hash says."""
    read = policy.read(context.settings.node.snapshot_folder)
    yield Finding("ok", f"snapshot: {len(read.lines)} lines, made {to_iso(from_iso(read.made_at))}")
    for sha256 in sorted(read.damaged):
        yield Finding(
            "wrong", f"snapshot: prompt {sha256[:12]} is damaged", "delete it; the worker writes it again"
        )
    if not read.lines:
        yield Finding("look", "snapshot: no line is recorded", "`accord line add` switches one on")


def switch(context: Context) -> Iterator[Finding]:
    """FreeSWITCH answers, has the modules, the dialplan and the guard, and writes to the same spool."""
    from recorder.switch import commands
    from recorder.switch.esl import Inbound

    settings = context.settings.switch
    password = settings.password.get_secret_value()
    if not password:
        yield Finding(
            "wrong",
            "switch: no password for the event socket",
            "set ACCORD_SWITCH_PASSWORD (there is no default)",
        )
        return
    connection = Inbound(settings.host, settings.port, password, timeout=settings.command_timeout)
    connection.connect()
    try:
        first = connection.api(commands.status()).splitlines()
        yield Finding("ok", f"switch: {settings.host}:{settings.port}, {first[0] if first else 'answers'}")
        for module in MODULES:
            if connection.api(commands.module_exists(module)).strip() != "true":
                yield Finding("wrong", f"switch: {module} is not loaded", "add it to modules.conf.xml")
        yield from dialplan(connection)
    finally:
        connection.stop()


def dialplan(connection: Inbound) -> Iterator[Finding]:
    """The switch's running dialplan has the extensions."""
    from recorder.switch import commands

    try:
        # By context: extensions are not found by name, they lie one level deeper.
        found = connection.api(commands.locate("dialplan", "context", "name", CONTEXT))
    except SwitchError as error:
        if error.error_id != "switch.refused":
            raise
        yield Finding("look", "switch: it does not show its dialplan, which was therefore not looked at")
        return
    missing = [name for name in EXTENSIONS if f'<extension name="{name}"' not in found]
    for name in missing:
        yield Finding(
            "wrong",
            f"switch: the dialplan has no extension {name}",
            "put freeswitch_conf/dialplan/accord.xml beside the switch's dialplan, then reloadxml",
        )
    if not missing:
        yield Finding("ok", "switch: the dialplan has every extension")


CHECKS: tuple[Check, ...] = (catalogue, keys, customer_keys, store, spool, takes, snapshot, switch)


@click.command()
@click.pass_obj
def doctor(context: Context) -> None:
    """Say what is wrong and what to do; exits with 1 where something is."""
    wrong = False
    for check in CHECKS:
        for finding in look(check, context):
            wrong = wrong or finding.state == "wrong"
            click.echo(f"{finding.state:<6}{finding.what}")
            if finding.hint:
                click.echo(f"      {finding.hint}")
    sys.exit(1 if wrong else 0)


def look(check: Check, context: Context) -> Iterator[Finding]:
    """What a check finds; an error of ours is a finding too."""
    try:
        yield from check(context)
    except AccordError as error:
        yield Finding("wrong", f"{check.__name__}: {error.message}", error.hint)
    except OSError as error:
        yield Finding("wrong", f"{check.__name__}: {error}", "check the path, its owner and its mode")


def _yes(able: bool) -> str:
    return "yes" if able else "no"
