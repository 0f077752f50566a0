"""SIP and RTP over IPv6 on a real switch: announced, recorded on two channels, and bridged as over IPv4."""

from __future__ import annotations

import shutil
import socket
import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from recorder.audio.encoding import encode
from tests.freeswitch.switches import (
    HERE,
    NUMBER,
    RATE,
    CallUnderTest,
    Rig,
    heard_whole,
    level,
    read_wav,
    until,
)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def rig6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    folder = tmp_path_factory.mktemp("ipv6")
    phones = folder / "phones"
    shutil.copytree(HERE / "phones", phones)
    conf = phones / "freeswitch.xml"
    conf.write_text(
        conf.read_text()
        .replace('ip" value="127.0.0.1"', 'ip" value="::1"')
        .replace('"listen-ip" value="::1"', '"listen-ip" value="127.0.0.1"')
    )
    rig = Rig(folder / "rig", extra={"ACCORD_SIP_IP": "::1"})
    rig.phones.conf = phones
    rig.environment["ACCORD_ROUTE"] = f"[::1]:{rig.phones.environment['PHONES_SIP_PORT']}"
    with rig.run():
        yield rig


def test_call_over_ipv6_is_announced_and_recorded(rig6: Rig) -> None:
    number, caller, phone = f"{NUMBER}01", "32470006001", str(uuid.uuid4())
    answer = rig6.phones.esl.command(
        f"bgapi originate {{origination_uuid={phone},origination_caller_id_number={caller},"
        f"absolute_codec_string=PCMU}}sofia/phones/{number}@[::1]:{rig6.sip_port} talk XML caller"
    )
    assert "ERR" not in answer, answer
    call = CallUnderTest(rig6, phone, number, caller)
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    assert call.variable("remote_media_ip") == call.variable("local_media_ip") == "::1"
    time.sleep(2.0)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert heard_whole(read_wav(call.heard_by_caller)[:, 0], rig6.prompt)
    announced = encode(take, next((rig6.snapshot / "prompts").glob("*.wav"))).announced
    assert announced is not None
    talk = read_wav(take.audio)[announced.end_ms * RATE // 1000 + RATE // 2 :]
    assert np.median(level(talk[:, 0], 440)) > 0.2, "left is not the caller"
    assert np.median(level(talk[:, 1], 1000)) > 0.2, "right is not the colleague"
