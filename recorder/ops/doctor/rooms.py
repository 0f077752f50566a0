"""Checks rooms by telephone: where the settings name a number for them, callers get there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.ops.doctor.switch import ask_switch, loaded_dialplan
from recorder.spool.snapshot import ROOM_PROMPTS

if TYPE_CHECKING:
    from recorder.switch.dialplan_model import LoadedDialplan

CONTEXT: Final = "accord_room"
"""The context of callers to rooms, its first extension, and the conferences' profile."""

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
                "room sounds: callers in a room talk, and nothing is played to them",
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
