"""Where a leg and its peer receive audio."""

from __future__ import annotations

import pytest

from recorder.switch.media_address import own_addresses, peer_address

OFFER = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 16400 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


@pytest.mark.parametrize(
    ("sdp", "expected"),
    [
        (OFFER, ("192.0.2.1", "16400")),
        (f"{OFFER}c=IN IP6 2001:db8::1\r\n", ("2001:db8::1", "16400")),
        (f"{OFFER}m=video 16402 RTP/AVP 96\r\nc=IN IP4 192.0.2.9\r\n", ("192.0.2.1", "16400")),
        ("v=0\r\nm=audio 16400 RTP/AVP 0\r\n", None),
        ("", None),
    ],
    ids=["session", "media", "video", "no_address", "no_offer"],
)
def test_reads_the_offer_of_a_call_that_is_not_answered(sdp: str, expected: tuple[str, str] | None) -> None:
    assert peer_address({"variable_switch_r_sdp": sdp}) == expected


def test_reads_the_switchs_own_data_of_an_answered_call() -> None:
    data = {
        "variable_local_media_ip": "10.0.0.1",
        "variable_advertised_media_ip": "192.0.2.2",
        "variable_local_media_port": "20000",
        "variable_remote_media_ip": "192.0.2.3",
        "variable_remote_media_port": "30000",
        "variable_switch_r_sdp": OFFER,
    }
    assert own_addresses(data) == {("10.0.0.1", "20000"), ("192.0.2.2", "20000")}
    assert peer_address(data) == ("192.0.2.3", "30000")
    assert own_addresses({}) == frozenset()
