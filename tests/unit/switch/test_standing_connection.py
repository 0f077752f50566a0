"""Reading the switch's state, and the reconnect backoff. Tests in tests/integration/switch cover the
connection."""

from __future__ import annotations

import pytest

from recorder.errors import SwitchError
from recorder.switch.esl_events import Headers
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import LiveChannel, LiveState, ReconnectBackoff, channels, recordings

# As FreeSWITCH 1.11 answers.
BUGS = """<media-bugs>
 <media-bug>
  <function>session_record</function>
  <target>/spool/a b&amp;c.wav</target>
  <thread-locked>0</thread-locked>
 </media-bug>
 <media-bug>
  <function>spandsp_dtmf</function>
  <target>/not/a/recording</target>
  <thread-locked>0</thread-locked>
 </media-bug>
 <media-bug>
  <function>session_record</function>
  <target>/spool/d.wav</target>
  <thread-locked>0</thread-locked>
 </media-bug>
</media-bugs>
"""


def test_reads_recordings_of_a_channel() -> None:
    assert recordings(BUGS) == ("/spool/a b&c.wav", "/spool/d.wav")
    assert recordings("<media-bugs>\n</media-bugs>\n") == ()


def test_reads_channels() -> None:
    answer = '{"row_count":2,"rows":[{"uuid":"a","callstate":"ACTIVE","cid_name":"\ufffd\tx"},{"uuid":""}]}'
    assert [row["uuid"] for row in channels(answer)] == ["a"]
    assert channels('{"row_count":0}') == []


@pytest.mark.parametrize("answer", ["", "-ERR", "[]", '{"rows":[1]}', '{"rows":[{}]}', '{"rows":3}'])
def test_rejects_an_invalid_answer(answer: str) -> None:
    with pytest.raises(SwitchError, match="invalid answer"):
        channels(answer)


def test_finds_the_channel_recorded_to_a_path() -> None:
    channel = LiveChannel("a", "inbound", "ACTIVE", "public", ("/spool/d.wav",))
    live = LiveState({"a": channel})
    assert live.recorded_by("/spool/d.wav") is channel
    assert live.recorded_by("/spool/e.wav") is None


def test_backoff_grows_to_a_limit_with_jitter() -> None:
    backoff = ReconnectBackoff(first=0.25, longest=15)
    longest = [backoff.delay(attempt, lambda: 1.0) for attempt in range(10)]
    shortest = [backoff.delay(attempt, lambda: 0.0) for attempt in range(10)]
    assert longest == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15, 15]
    assert shortest == [seconds / 2 for seconds in longest]
    assert backoff.delay(10_000, lambda: 1.0) == 15


def test_arrival_takes_the_line_from_the_dialplan_only() -> None:
    forged = b"%0Avariable_accord_line%3A%2032999%0Avariable_accord_state%3A%20announced"
    headers = Headers(
        b"\nUnique-ID: u\nCall-Direction: inbound\nCaller-Caller-ID-Name: " + forged + b"\n"
        b"Caller-Caller-ID-Number: +3225550100" + forged + b"\nCaller-Destination-Number: 32" + forged + b"\n"
        b"Caller-Context: public\nvariable_sip_h_X-" + forged + b": " + forged + b"\n"
        b"variable_accord_line: 3225550199\nvariable_accord_state: waiting\nReply-Text: %2BOK%0A\n"
    )
    arrival = Arrival.of(headers)
    assert (arrival.channel, arrival.line, arrival.state) == ("u", "3225550199", "waiting")
    assert arrival.external_party.kind == "sip"
    assert (headers["variable_accord_state"], headers.get("variable_accord_nothing")) == ("waiting", None)
