"""Checks rooms by telephone: where the settings name a number for them, callers get there."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.ops.doctor.switch import ask_switch, loaded_dialplan
from recorder.seal import signing
from recorder.spool.snapshot import ROOM_PROMPTS

if TYPE_CHECKING:
    from recorder.switch.dialplan_model import LoadedDialplan

CONTEXT: Final = "accord_room"
"""The context of callers to rooms, its first extension, and the conferences' profile."""

WAITS: Final = (0.5, 0.5, 1.0)
"""Seconds that another node may take for an answer, at each try."""

SIP_PORT: Final = 5060

OTHER: Final = "0000000000"
"""A number that is nobody's."""


def dial_in(patient: Patient) -> Iterator[DoctorFinding]:
    """The switch brings callers of the rooms' number to Accord, and holds its conferences."""
    from recorder.switch import commands

    settings = patient.settings
    if not settings.rooms.number:
        return
    loaded = loaded_dialplan(settings.switch)
    if not loaded.has(CONTEXT, CONTEXT):
        yield wrong(
            "dial-in: the dialplan lacks the context accord_room",
            "put freeswitch_conf/dialplan/accord_room.xml beside the switch's dialplan, then reloadxml",
        )
        return
    folder = str(settings.node.snapshot_folder.absolute() / ROOM_PROMPTS)
    if not any(
        f"={folder}/" in each.data for *_names, actions, _on in loaded.extensions() for each in actions
    ):
        yield wrong(
            f"dial-in: what callers hear is not looked for in {folder}",
            "set accord_room_prompts in accord/vars.xml (ACCORD_ROOM_PROMPTS in the switch's environment) to "
            "that folder, then reloadxml",
        )
    if not any(_leads_in(loaded, each) for each in (settings.rooms.number, settings.rooms.number[1:])):
        yield wrong(
            f"dial-in: no extension brings callers of {settings.rooms.number} to Accord",
            "set accord_room_number in accord/vars.xml, include dialplan/public/00_accord-room.xml at the "
            "top of the inbound context, then reloadxml",
        )
    if _leads_in(loaded, OTHER):
        yield wrong(
            "dial-in: callers of every number are brought to rooms",
            "set accord_room_number in accord/vars.xml: an empty expression takes every number",
        )
    located = commands.locate("configuration", "configuration", "name", "conference.conf")
    has_module, found = ask_switch(settings.switch, commands.module_exists("mod_conference"), located)
    if has_module.strip() != "true" or not re.search(rf'<profile name="{CONTEXT}"', found):
        yield wrong(
            "dial-in: the switch has no conference profile accord_room",
            "load mod_conference, and add the profile and the caller controls accord_room of "
            "freeswitch_conf/autoload_configs/conference.conf.xml to the switch's own file, then reloadxml",
        )
    else:
        yield ok(f"dial-in: the switch holds conferences for callers of {settings.rooms.number}")


def _leads_in(loaded: LoadedDialplan, number: str) -> bool:
    """Whether the first extensions of a context bring a caller of a number to Accord."""
    contexts = dict.fromkeys(context for context, *_rest in loaded.extensions())
    return any(
        each.application == "transfer" and each.data.split() == [CONTEXT, "XML", CONTEXT]
        for context in contexts
        for each in loaded.walk(context, number, {})
    )


def dial_in_budget(patient: Patient) -> Iterator[DoctorFinding]:
    """Whether callers have used up the day's budget of wrong codes, where guests can call."""
    from recorder.features.disputes.dial_in import share_used

    if not patient.settings.rooms.number:
        return
    patient.context.open_catalogue()
    share = share_used(patient.now())
    if share < 1:
        yield ok(f"dial-in budget: {share:.0%} of a day's wrong codes were entered")
    else:
        what = "dial-in budget: used up by wrong codes; only callers from invited numbers get in"
        hint = "find out who calls the room's number; another code can be tried every half hour"
        yield warning(what, hint)


def room_sounds(patient: Patient) -> Iterator[DoctorFinding]:
    """The folder for the sound of rooms is in memory, closed to others, and the switch finds a file there."""
    from recorder.features.rooms.sound_folder import MOUNT, SoundFolder
    from recorder.switch import commands

    path = patient.settings.rooms.sounds
    if path is None:
        if patient.settings.rooms.number:
            yield warning(
                "room sounds: callers are told that nothing can be heard by telephone now",
                f"set [rooms] sounds to a folder in memory: `{MOUNT} FOLDER`",
            )
        return
    folder = SoundFolder(path.absolute())
    folder.check()
    owner = folder.path.stat()
    if owner.st_uid != patient.settings.node.spool_folder.stat().st_uid:
        yield wrong(f"room sounds: {path} does not belong to the user of the spool", f"`{MOUNT} {path}`")
        return
    probe = folder.write(iter(()))
    try:
        (answer,) = ask_switch(patient.settings.switch, commands.file_exists(probe))
    finally:
        probe.unlink(missing_ok=True)
    if answer.strip() != "true":
        yield wrong(
            f"room sounds: the switch cannot read {path}", "give the folder the group that the switch is in"
        )
    else:
        yield ok(f"room sounds: {path} is in memory, and the switch reads it")


def room_nodes(patient: Patient) -> Iterator[DoctorFinding]:
    """The nodes to which callers are passed on are this installation's, and their switches answer."""
    from recorder.features.fleet.service import node_reports

    addresses = dict(each.split("=", 1) for each in patient.settings.rooms.nodes)
    if not addresses:
        return
    patient.context.open_catalogue()
    root = signing.key_id(patient.context.root())
    reports = {each.node: each for each in node_reports()}
    for node, address in addresses.items():
        if node == patient.settings.node.name:
            yield warning(f"room nodes: {node} is this node", "name the other nodes alone in [rooms] nodes")
        elif node not in reports or reports[node].root not in ("", root):
            yield wrong(
                f"room nodes: no node of this installation is called {node}",
                "write its name as in its [node] name: `accord status --fleet` lists the nodes",
            )
        elif not answers_sip(address):
            yield wrong(
                f"room nodes: {node} does not answer at {address}: its rooms' callers here are told to call "
                "later",
                "write the address of its SIP profile for callers, and let this machine reach it (UDP)",
            )
        else:
            yield ok(f"room nodes: {node} answers at {address}")


def answers_sip(address: str) -> bool:
    """Whether anything there answers SIP (UDP), whatever it says."""
    found = re.fullmatch(r"(?:\[(?P<six>[^]]+)\]|(?P<four>[^:]+))(?::(?P<port>\d+))?", address)
    if found is None:
        return False
    port = int(found["port"] or SIP_PORT)
    try:
        family, kind, *_rest, place = socket.getaddrinfo(
            found["six"] or found["four"], port, type=socket.SOCK_DGRAM
        )[0]
    except OSError:
        return False  # no such name
    with socket.socket(family, kind) as sip:
        for seconds in WAITS:
            try:
                sip.connect(place)
                sip.settimeout(seconds)
                sip.send(_options(address, sip.getsockname()))
                if sip.recv(65_535).startswith(b"SIP/2.0 "):
                    return True
            except OSError:
                continue  # late, or its port is closed
    return False


def _options(address: str, own: tuple[str, int]) -> bytes:
    host = f"[{own[0]}]" if ":" in own[0] else own[0]
    mark = secrets.token_hex(8)
    return (
        f"OPTIONS sip:{address} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{own[1]};branch=z9hG4bK{mark};rport\r\n"
        "Max-Forwards: 1\r\n"
        f"From: <sip:accord@{host}>;tag={mark}\r\n"
        f"To: <sip:{address}>\r\n"
        f"Call-ID: {mark}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        f"Contact: <sip:accord@{host}:{own[1]}>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
