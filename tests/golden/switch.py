"""What is sent to the switch: each command, made of sample arguments, in the order in which they are made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recorder.domain.room_caller import CallerDirection
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

CALL = "5c6e9f3a-0000-4000-8000-000000000001"
LEG = "5c6e9f3a-0000-4000-8000-000000000002"
AUDIO = Path("/var/spool/accord/0198c0de-0000-7000-8000-000000000001/audio.wav")
SOUND = Path("/var/lib/accord/prompts/question.wav")
STATE = (CALL, "accord_state", "announced")
OUT = ("sofia/gateway/out/{number}", "+32470123456", SOUND)

SAMPLES: Mapping[Callable[..., Any], tuple[tuple[Any, ...], ...]] = {
    commands.auth: (("s3cret:word",),),
    commands.connect: ((),),
    commands.leave: ((),),
    commands.my_events: ((),),
    commands.linger: ((10,),),
    commands.subscribe: ((("DTMF", "RECORD_STOP"),), (("DTMF", "CUSTOM", "DTMF"), ("accord::keep",))),
    commands.only_channel: ((CALL,),),
    commands.execute: (("execute_extension", "accord_begin XML accord"),),
    commands.execute_extension: (("accord_begin",), ("accord_begin", commands.CALLEE)),
    commands.status: ((),),
    commands.show_channels: ((),),
    commands.show_channel: ((CALL,),),
    commands.media_bugs: ((CALL,),),
    commands.get_variable: ((CALL, "accord_state"),),
    commands.channel_data: ((CALL,),),
    commands.answer_in_state: (STATE,),
    commands.play_to_both: ((*STATE, SOUND),),
    commands.end_playback: ((LEG,),),
    commands.end_conference_playback: (("3000",), ("3000", "12")),
    commands.play_to: ((*STATE, LEG, SOUND),),
    commands.play_in_conference: ((*STATE, "3000", SOUND), (*STATE, "3000", SOUND, "12")),
    commands.play_sound: (("accord-room-1", SOUND), ("accord-room-1", SOUND, "12")),
    commands.stop_sounds: (("accord-room-1",), ("accord-room-1", "12")),
    commands.toggle_sound: (("accord-room-1",),),
    commands.seek_sound: (("accord-room-1", 5000),),
    commands.let_hear: (("accord-room-1", "12"),),
    commands.hang_up_member: (("accord-room-1", "12"),),
    commands.mix_in: ((*STATE, LEG, SOUND),),
    commands.take_aside: ((CALL, LEG, CALL, SOUND, 5000, False), (CALL, LEG, CALL, SOUND, 5000, True)),
    commands.return_from_aside: ((LEG, SOUND), (LEG, None)),
    commands.direct_caller: (
        (LEG, "code", CallerDirection("ask", str(SOUND))),
        (LEG, "answer", CallerDirection("enter", room=CALL, session=CALL)),
        (LEG, "answer", CallerDirection("forward", session=CALL, address="10.0.0.2:5080", token="a.b.1.c")),
        (LEG, "code", None),
    ),
    commands.start_beep: ((*STATE, LEG),),
    commands.stop_beep: ((LEG,),),
    commands.play_marker_tone: ((*STATE, LEG),),
    commands.start_pause_tone: ((CALL, LEG, 120),),
    commands.stop_pause_tone: ((LEG,),),
    commands.pause: ((CALL, AUDIO, 120),),
    commands.undo_pause: ((CALL,),),
    commands.resume: ((CALL, AUDIO),),
    commands.change_variable: ((CALL, "accord_state", "announcing", "announced"),),
    commands.clear_variable: ((CALL, "accord_paused"),),
    commands.put_variable: ((CALL, "accord_a", "x y"),),
    commands.record_stop: ((CALL, AUDIO),),
    commands.record_start: ((*STATE, AUDIO, "0198c0de-0000-7000-8000-000000000001"),),
    commands.record_stop_unless: ((*STATE, AUDIO),),
    commands.schedule: ((7, "r-1", commands.record_stop(CALL, AUDIO)),),
    commands.unschedule: (("r-1",),),
    commands.call_out: ((*OUT, "", 40), ("sofia/gateway/out/0{digits}", *OUT[1:], "+3225550100", 40)),
    commands.call_to_room: (("sofia/gateway/out/{number}", "+32470123456", "fr", "3225550100", 40),),
    commands.list_conferences: ((),),
    commands.module_exists: (("mod_sofia",),),
    commands.locate: (("configuration", "configuration", "name", "switch.conf"),),
    commands.dialplan: ((),),
    commands.global_variable: (("run_dir",),),
    commands.set_global_variable: (("accord_key", "s3cret"),),
    commands.file_exists: ((AUDIO,),),
}


def command_texts() -> str:
    """Every command on the wire; where a log shows less of one, that as well."""
    makes = {
        each
        for name, each in vars(commands).items()
        if inspect.isfunction(each) and not name.startswith("_") and "Command" in _returns(each)
    }
    assert makes == {*SAMPLES}, "each command has a sample"
    command_list = [function(*arguments) for function, samples in SAMPLES.items() for arguments in samples]
    return "".join(_text(each if isinstance(each, list) else [each]) for each in command_list)


def _returns(function: Callable[..., Any]) -> str:
    return str(inspect.get_annotations(function).get("return", ""))


def _text(several: list[SwitchCommand]) -> str:
    lines = "".join(
        each.wire.decode().removesuffix("\n") + (f"  in a log: {each}\n" if each.secret else "")
        for each in several
    )
    return f"{lines}\n"
