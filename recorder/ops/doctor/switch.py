"""FreeSWITCH: reachable, complete, and enforcing both rules by itself."""

from __future__ import annotations

import pwd
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from recorder.call import transitions
from recorder.config import SwitchSettings
from recorder.errors import ConfigError, SwitchError
from recorder.ops.doctor.findings import DoctorFinding, NotChecked, Patient, ok, warning, wrong
from recorder.processes.spool_holders import DAEMON, SpoolUser, holder, listener, processes_of, user_of
from recorder.spool.snapshot import INFO_PROMPTS, read_snapshot

if TYPE_CHECKING:
    from recorder.switch.commands import SwitchCommand
    from recorder.switch.dialplan_lint import Fault
    from recorder.switch.dialplan_model import LoadedDialplan
    from recorder.switch.esl import Inbound

MODULES = {
    "mod_commands": "the daemon's commands",
    "mod_dialplan_xml": "the guard",
    "mod_dptools": "answering, playing, recording",
    "mod_event_socket": "the daemon's connection",
    "mod_sndfile": "WAV: prompts and recordings",
    "mod_sofia": "SIP",
}
"""Modules of FreeSWITCH that the dialplan and the commands use, and for what."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
EVERYBODY = frozenset({"any_v4.auto", "any_v6.auto"})

DROP_IN = "freeswitch.service.d (of /usr/share/accord/systemd, or deploy/systemd)"
"""The drop-in for the switch's unit, in the package and in the sources."""

SAME_ADDRESS = "give accord_daemon in accord/vars.xml the address of [switch] listen_host and listen_port"


def switch(patient: Patient) -> Iterator[DoctorFinding]:
    """The switch answers, accepts our password, and has loaded the modules that Accord uses."""
    from recorder.switch import commands

    settings = patient.settings.switch
    if not settings.password.get_secret_value():
        raise ConfigError(
            "switch.no_password",
            "no password for the event socket",
            "set ACCORD_SWITCH_PASSWORD (there is no default)",
        )
    with _Connection(settings) as connection:
        status = connection.api(commands.status()).splitlines()
        version = status[1].partition("(")[2].partition(")")[0] if len(status) > 1 else "answers"
        yield ok(f"switch: {settings.host}:{settings.port}, {version}, {status[0] if status else ''}")
        missing = [
            module for module in MODULES if connection.api(commands.module_exists(module)).strip() != "true"
        ]
        for module in missing:
            yield wrong(
                f"switch: {module} is not loaded ({MODULES[module]})",
                f"add it to modules.conf.xml, and run `load {module}`",
            )
        if not missing:
            yield ok(f"switch: has the {len(MODULES)} modules that Accord uses")


def event_socket(patient: Patient) -> Iterator[DoctorFinding]:
    """The event socket, which controls every call, is closed to the network."""
    from recorder.switch import commands

    settings = patient.settings.switch
    with _Connection(settings) as connection:
        found = connection.api(commands.locate("configuration", "configuration", "name", "event_socket.conf"))
    try:
        # The answer holds the password: no part of it is ever shown.
        root = ElementTree.fromstring(found)  # noqa: S314  # the switch's own; expat bounds entities
    except ElementTree.ParseError:
        yield warning(
            "event socket: the switch does not show its configuration",
            "check listen-ip in event_socket.conf.xml",
        )
        return
    values = {each.get("name"): each.get("value", "") for each in root.iter("param")}
    # What FreeSWITCH takes where its file says nothing (mod_event_socket.c).
    listens = values.get("listen-ip") or "127.0.0.1"
    behind = values.get("apply-inbound-acl") or "loopback.auto"
    if listens in LOOPBACK:
        yield ok(f"event socket: listens only on {listens}")
    else:
        yield DoctorFinding(
            "wrong" if behind in EVERYBODY else "warning",
            f"event socket: listens on {listens}, with access list {behind}",
            "set listen-ip to 127.0.0.1: whoever logs in there controls every call",
        )
    if values.get("password") == "ClueCon":  # FreeSWITCH's own, known to everybody
        yield wrong("event socket: it has FreeSWITCH's default password", "set another one")


def key(patient: Patient) -> Iterator[DoctorFinding]:
    """The switch has the running daemon's key, by which the daemon tells its switch from other peers."""
    from recorder.capture.admission import key_variable
    from recorder.switch import commands

    node = patient.settings.node
    if holder(node.spool_folder / DAEMON) is None:
        raise NotChecked("no daemon runs, whose key it would be")
    with _Connection(patient.settings.switch) as connection:
        try:
            # Only whether there is one; the key itself is shown to nobody.
            there = bool(connection.api(commands.global_variable(key_variable(node.name))))
        except SwitchError as error:
            if error.error_id != "switch.refused":
                raise
            there = False
    if there:
        yield ok("key: the switch has the daemon's key, which identifies its calls")
    else:
        yield warning(
            "key: the switch does not have this daemon's key, so the daemon asks the switch about each call",
            "check that the daemon is connected (its log: switch.up, switch.key_failed), and that the "
            "switch's esl-allowed-api permits global_setvar",
        )


def dialplan(patient: Patient) -> Iterator[DoctorFinding]:
    """The loaded dialplan sends calls to this daemon, with a time limit and a guard."""
    from recorder.switch import dialplan_lint

    loaded = loaded_dialplan(patient.settings.switch)
    missing = dialplan_lint.missing_extensions(loaded)
    for name in missing:
        yield wrong(
            f"dialplan: the extension {name} is missing",
            "put freeswitch_conf/dialplan/accord.xml beside the switch's dialplan, then reloadxml",
        )
    if not missing:
        yield ok(f"dialplan: has the {len(dialplan_lint.EXTENSIONS)} extensions")
    entries = list(loaded.entries())
    if not entries:
        yield wrong(
            "dialplan: no extension sends calls to the daemon",
            "copy freeswitch_conf/dialplan/public/00_accord.xml to accord/inbound.xml of the switch's "
            "configuration, include it at the top of the inbound context, then reloadxml",
        )
    folder, place = (
        dialplan_lint.info_prompt_folder(loaded),
        str(patient.settings.node.snapshot_folder.absolute() / INFO_PROMPTS),
    )
    if folder != place:
        yield warning(
            f"dialplan: information prompts are looked for in {folder or 'no folder'}",
            "set accord_info_prompts in accord/vars.xml (ACCORD_INFO_PROMPTS in the switch's environment) to "
            f"{place}, then reloadxml",
        )
    settings = patient.settings.switch
    for entry in entries:
        yield from as_findings("dialplan", dialplan_lint.entry_faults(entry))
        here = [port for host, port in entry.addresses if same_host(host, settings.listen_host)]
        if settings.listen_port in here:
            wait = dialplan_lint.wait_limit(entry)
            yield ok(f"dialplan: context {entry.context} sends calls to this daemon, and waits {wait} s")
        else:
            targets = ", ".join(f"{host}:{port}" for host, port in entry.addresses)
            yield wrong(
                f"dialplan: context {entry.context} sends calls to {targets}, but "
                f"the daemon listens on {settings.listen_host}:{settings.listen_port}",
                SAME_ADDRESS,
            )
    bound = dialplan_lint.fixed_announcement_limit(loaded)
    longest = _longest(patient)
    if bound is not None and bound < longest:
        yield wrong(
            f"dialplan: announcements are cut off after {bound} s, but the longest needs {longest} s",
            "accord_begin must use +${accord_seconds}, the length that the daemon sets",
        )


def guards(patient: Patient) -> Iterator[DoctorFinding]:
    """The guard works: checked state by state against the dialplan that the switch has loaded."""
    from recorder.switch import dialplan_lint

    loaded = loaded_dialplan(patient.settings.switch)
    if dialplan_lint.missing_extensions(loaded):
        raise NotChecked("extensions are missing in the dialplan")
    faults = [
        *as_findings("guard", dialplan_lint.guard_faults(loaded)),
        *as_findings("guard", dialplan_lint.begin_faults(loaded)),
        *as_findings("guard", dialplan_lint.timeout_faults(loaded)),
    ]
    yield from faults
    if not faults:
        yield ok(
            f"guard: in the {len(dialplan_lint.UNANNOUNCED_STATES)} states in which an unannounced call "
            "can be left, the switch stops its recording (checked in the loaded dialplan; no call was made)"
        )


def recording(patient: Patient) -> Iterator[DoctorFinding]:
    """The switch finds the spool under the same path, and its user may write there and read the prompts."""
    from recorder.switch import commands

    node = patient.settings.node
    spool = node.spool_folder.absolute()
    probe = spool / f".doctor-{uuid.uuid4()}"
    with _Connection(patient.settings.switch) as connection:
        probe.write_bytes(b"")
        try:
            sees = connection.api(commands.file_exists(probe)).strip() == "true"
        finally:
            probe.unlink()
        run_dir = ""
        with suppress(SwitchError):  # one that has no run_dir is looked for by its port
            run_dir = connection.api(commands.global_variable("run_dir")).strip()
    user = _switch_user(run_dir, patient.settings.switch.port)
    if user is not None and not user.may(spool, 3):
        yield wrong(
            f"recording: the switch's user {_name(user.uid)} may not write to {spool}",
            f"put {DROP_IN} into /etc/systemd/system, which starts the switch in Accord's group, run "
            "`systemctl daemon-reload` and restart it; the spool has mode 2770, the folders above it g+x",
        )
        return
    if not sees:
        yield wrong(f"recording: the switch does not find {spool}", "give it the same path on both")
        return
    if user is None:
        yield warning(
            "recording: cannot tell which user the switch runs as",
            "make a test call: `accord status` shows whether its recording grows",
        )
        return
    name = _name(user.uid)
    prompts = node.snapshot_folder / "prompts"
    unread = [each for each in (prompts.glob("*.wav") if prompts.is_dir() else ()) if not user.may(each, 4)]
    if unread:
        yield wrong(
            f"recording: the switch's user {name} may not read {len(unread)} prompts: {unread[0].name[:8]} …",
            f"run `chmod g+rX` on {prompts} and the folders above it",
        )
    daemon = holder(spool / DAEMON)
    keeper = user_of(daemon.pid) if daemon else None
    if daemon and keeper and user.uid not in {0, keeper.uid} and daemon.umask & 0o020:
        yield wrong(
            f"recording: the daemon (umask {daemon.umask:03o}) makes folders that {name} may not write to",
            "set UMask=0007 in its unit, or run `umask 0007` before starting it",
        )
    elif not unread:
        yield ok(f"recording: the switch's user {name} may write to the spool and read the prompts")


class _Connection:
    """A connection to the event socket, for a ``with`` block.  Raises as
    :meth:`recorder.switch.esl.Inbound.connect`."""

    def __init__(self, settings: SwitchSettings) -> None:
        from recorder.switch.esl import Inbound

        self._inbound = Inbound(
            settings.host,
            settings.port,
            settings.password.get_secret_value() or "none",
            timeout=settings.command_timeout,
        )

    def __enter__(self) -> Inbound:
        self._inbound.connect()
        return self._inbound

    def __exit__(self, *_: object) -> None:
        self._inbound.stop()


def ask_switch(settings: SwitchSettings, *questions: SwitchCommand) -> list[str]:
    """The switch's answers, empty to what it refuses. Raises :class:`SwitchError`."""
    answers = []
    with _Connection(settings) as connection:
        for each in questions:
            try:
                answers.append(connection.api(each))
            except SwitchError as error:
                if error.error_id != "switch.refused":
                    raise
                answers.append("")
    return answers


def loaded_dialplan(settings: SwitchSettings) -> LoadedDialplan:
    """The dialplan that the switch has loaded. Raises :class:`ConfigError` (``switch.dialplan_hidden``) where
    it does not disclose it, :class:`SwitchError`."""
    from recorder.switch import commands
    from recorder.switch.dialplan_model import LoadedDialplan

    with _Connection(settings) as connection:
        try:
            answer = connection.api(commands.dialplan())
        except SwitchError as error:
            if error.error_id != "switch.refused":
                raise
            answer = ""
    if not answer.lstrip().startswith("<"):
        raise ConfigError(
            "switch.dialplan_hidden",
            "the switch does not show its dialplan, so that neither it nor the guard can be checked",
            "permit xml_locate in the switch's esl-allowed-api",
        )
    return LoadedDialplan(answer)


def dialplan_folder(settings: SwitchSettings) -> Path | None:
    """The folder of the switch's dialplan, if it can be read from here."""
    from recorder.switch import commands

    with _Connection(settings) as connection, suppress(SwitchError, OSError):
        folder = Path(connection.api(commands.global_variable("conf_dir")).strip()) / "dialplan"
        return folder if folder.is_dir() else None
    return None


def as_findings(name: str, found: Iterator[Fault]) -> Iterator[DoctorFinding]:
    """Faults of the dialplan as findings."""
    for fault in found:
        yield DoctorFinding("wrong" if fault.grave else "warning", f"{name}: {fault.what}", fault.hint)


def same_host(host: str, listens: str) -> bool:
    """Whether a connection to ``host`` reaches a socket that listens on ``listens``."""
    return host == listens or listens in {"0.0.0.0", "::"} or {host, listens} <= LOOPBACK  # noqa: S104


def _longest(patient: Patient) -> int:
    """Seconds needed for the longest announcement of this node; 0 where there is none."""
    from datetime import timedelta

    try:
        lines = read_snapshot(patient.settings.node.snapshot_folder).lines.values()
    except ConfigError:
        return 0
    lengths = [one.announcement.duration_ms for line in lines for one in line.languages]
    return max(
        (int(transitions.switch_timeout(timedelta(milliseconds=length))) for length in lengths), default=0
    )


def _switch_user(run_dir: str, port: int) -> SpoolUser | None:
    with suppress(OSError, ValueError):
        pid = int((Path(run_dir) / "freeswitch.pid").read_text().strip("\0\n ")) if run_dir else 0
        if pid and (user := user_of(pid)) is not None:
            return user
    uid = listener(port)
    if uid is None:
        return None
    # Only root can see which process of that user listens there.
    groups = [user.groups for pid in processes_of(uid) if (user := user_of(pid)) is not None]
    return SpoolUser(uid, frozenset().union(*groups))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
