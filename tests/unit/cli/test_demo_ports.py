"""The demo's ports."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

from demo import run
from demo.ports import choose_ports
from demo.switch import configuration


def test_no_two_of_the_switchs_profiles_share_a_port(tmp_path: Path) -> None:
    """Two switches would share the port, and one could not listen (FreeSWITCH continues without it)."""
    ports = choose_ports()
    assert len(set(astuple(ports))) == len(astuple(ports))
    environment = run._environment(tmp_path, ports)
    variables = (configuration() / "vars.xml").read_text("utf-8")
    names = set(re.findall(r"\$(ACCORD_(?:SIP|OUTBOUND)_PORT)", variables))
    assert names == {"ACCORD_SIP_PORT", "ACCORD_OUTBOUND_PORT"}
    assert len({environment[name] for name in names}) == len(names)
