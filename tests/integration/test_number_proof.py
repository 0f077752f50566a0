"""A customer shows that a number is theirs: the switch calls it, and the code that is played adds it. The
long test goes from the operator's invitation to the number, through the real processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
import soundfile

from demo.practice.switch import PracticeSwitch
from demo.spoken_digits import code_in, find_start
from recorder.capture.command_listener import CommandListener
from recorder.capture.outbound_call import OutboundCaller
from recorder.catalogue import queries
from recorder.features.tenants.number_proof import NumberProofs
from recorder.identity import tenants
from recorder.verification_calls.caller import VerificationCaller
from recorder.verification_calls.policy import CallPolicy
from tests.integration.ending.conftest import NUMBER as RECORDED
from tests.integration.ending.conftest import Site
from tests.integration.test_control import Panel
from tests.waiting import until

NUMBER = "+3225550177"
DIAL = "sofia/gateway/trunk/{number}"
SENTENCES = ("somebody-sets-up", "if-you-know-nothing", "write-it-down", "once-more")


@pytest.mark.parametrize("language", ["fr", "nl", "de", "en"])
def test_switch_plays_the_code_in_the_customers_language(
    catalogue, clock, entropy, tmp_path: Path, language: str
) -> None:
    tenants.create_tenant(
        "t", name="Martin", wrapped_key="{}", language=language, languages=(language,), now=clock(),
        entropy=entropy,
    )  # fmt: skip
    owner = queries.tenant("t")
    proofs = NumberProofs(CallPolicy(calls_a_day=100), now=clock, entropy=entropy)
    call = proofs.order_call(owner, "02 555 01 77", who="u")
    caller = VerificationCaller("n", tmp_path, now=clock, entropy=entropy)
    with PracticeSwitch(password="x", environment={}) as switch:
        out = OutboundCaller("127.0.0.1", switch.event_port, "x", DIAL, "3225550100")
        ear = CommandListener(tmp_path, {}, None, None, call_out=out.call)  # type: ignore[arg-type]
        ear.start()
        assert gevent.get_hub().threadpool.apply(caller.turn)
        ear.stop()
        ((where, sound),) = switch.called_out
    assert where == f"sofia/gateway/trunk/{NUMBER}"
    assert proofs.find_call("t", call.id).outcome == "done"
    sound_heard = soundfile.read(sound, dtype="float32")[0]
    starts = [find_start(sound_heard, language, name) for name in SENTENCES]
    assert None not in starts
    assert starts == sorted(starts), "in this order"
    for other in ("somebody-asked", "if-not-you", "your-code"):
        assert find_start(sound_heard, language, other) is None, "those of the other call with a code"
    code = code_in(sound_heard, language)
    assert proofs.prove(owner, call.id, f"{(int(code) + 1) % 10**6:06}", who="u") is None
    line = proofs.prove(owner, call.id, code, who="u")
    assert queries.line("t", line).number == NUMBER


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    new_site = Site(tmp_path)
    new_site.install(RECORDED)
    yield new_site
    new_site.close()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_from_the_invitation_to_the_number_through_the_real_processes(site: Site) -> None:
    site.settings["ACCORD_VERIFICATION_CALLS_DIAL"] = DIAL
    invitation = site.output("tenant", "invite", "Reliure Adam", "ada@example.com", "--language", "en")
    web, worker, daemon = site.start("web"), site.start("worker"), site.start("daemon")
    daemon.wait_for_log("snapshot.read")
    web.wait_for_log("web.listening")
    site.call()
    daemon.wait_for_log("switch.up")
    panel = Panel(f"http://127.0.0.1:{site.ports.web}")
    panel.join(invitation.split()[1])
    assert 'href="/numbers/new"' in panel.get("/first-day")
    page = panel.send("/numbers/new", "/numbers/new", number="02 555 01 77")
    found = re.search(r'action="(/numbers/new/[0-9a-f-]{36})"', page)
    assert found is not None
    until("it was called", lambda: "The call was answered" in panel.get(found[1]))
    worker.wait_for_log("verification_call.answered")
    (sound,) = (site.spool / ".outgoing").iterdir()
    code = code_in(soundfile.read(sound, dtype="float32")[0], "en")
    assert "what recordings are used for" in panel.send(found[1], found[1], code=code)
    assert NUMBER in site.output("line", "list", "--tenant", "Reliure Adam")
    audit = site.output("audit", "run")
    assert "wrong" not in audit, audit
