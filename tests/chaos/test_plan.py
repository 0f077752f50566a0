"""The plan comes from the seed alone."""

from __future__ import annotations

import io
import wave
from collections import Counter
from itertools import islice

from recorder.prompts import composer
from tests.chaos.plan import (
    DEEDS,
    DELETE_QUESTION,
    KEEP_QUESTION,
    NUMBERS,
    ONCE_CONNECTED,
    PER_EPOCH,
    PROCESSES,
    calls,
    epochs,
)


def test_a_seed_gives_the_same_faults_and_calls_and_another_gives_others() -> None:
    assert list(epochs(7, 200)) == list(epochs(7, 200)) != list(epochs(8, 200))
    assert list(islice(calls(7, 3), 300)) == list(islice(calls(7, 3), 300))
    assert list(islice(calls(7, 3), 300)) != list(islice(calls(7, 4), 300))


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    longer = [fault for epoch in epochs(7, 1000) for fault in epoch.faults]
    shorter = [fault for epoch in epochs(7, 60) for fault in epoch.faults]
    assert longer[:60] == shorter
    assert [fault.number for fault in longer] == list(range(1, 1001))


def test_every_process_gets_every_deed_and_each_mode_comes() -> None:
    made = list(epochs(7, 12_000))
    struck = Counter((fault.process, fault.deed) for epoch in made for fault in epoch.faults)
    for process in PROCESSES:
        for deed in DEEDS:
            expected = (process, deed) != ("encoder", "restart")
            assert (struck[process, deed] > 0) == expected, (process, deed)
    assert {epoch.mode for epoch in made} == {"units", "run"}
    assert all(f.process != "supervisor" for e in made if e.mode == "units" for f in e.faults)
    assert all(len(epoch.faults) == PER_EPOCH for epoch in made)


def test_no_two_calls_have_a_caller() -> None:
    callers = [call.caller for epoch in range(40) for call in islice(calls(7, epoch), 200)]
    assert len(callers) == len(set(callers))


def test_a_database_server_is_struck_where_there_is_one() -> None:
    struck = Counter(fault.process for epoch in epochs(7, 200, database=True) for fault in epoch.faults)
    assert struck["database"] > 10
    assert all(fault.process != "database" for epoch in epochs(7, 200) for fault in epoch.faults)


def test_every_kind_of_call_comes_on_every_line_and_none_is_longer_than_a_voice() -> None:
    """The telephones speak for half a minute."""
    made = [call for epoch in range(20) for call in islice(calls(7, epoch), 200)]
    for called in NUMBERS:
        mine = [call for call in made if call.called == called]
        assert {call.outward for call in mine} == {True, False}
        assert {press.keys for call in mine for press in call.presses} >= {"*5", "*6", "*7", "*8", "*9", "1"}
        assert any(call.transfer is not None for call in mine)
        assert {call.at_pickup for call in mine if call.outward} == {called in ONCE_CONNECTED}
    assert {press.who for call in made for press in call.presses} == {"colleague", "outside"}
    for call in made:
        assert call.talks < 25
        assert not (call.presses or call.transfer) or (call.callee == "answers" and call.gives_up is None)
        assert all(press.after < call.talks for press in call.presses)
        assert call.transfer is None or call.transfer < call.talks
        assert call.caller[-2:] not in ("86", "87") or call.callee in ("busy", "silent") or not call.outward


def test_the_questions_are_as_long_as_the_keys_wait_for_them() -> None:
    for spoken, seconds in (
        (composer.keep_question("en"), KEEP_QUESTION),
        (composer.delete_question("en"), DELETE_QUESTION),
    ):
        with wave.open(io.BytesIO(spoken.wav)) as sound:
            assert seconds - 0.3 < sound.getnframes() / sound.getframerate() <= seconds
