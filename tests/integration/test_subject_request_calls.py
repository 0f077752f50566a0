"""A subject request: the switch calls the person's number with a code, and the copy given afterwards is
opened and checked. The long test uses the real processes."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import gevent
import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from demo.practice.demo import CALLERS
from demo.practice.switch import PracticeSwitch
from demo.spoken_digits import code_in
from recorder.capture.command_listener import CommandListener
from recorder.capture.outbound_call import OutboundCaller
from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.live_command import BUSY, DONE, NO_ANSWER, NO_SWITCH, NO_WAY_OUT, CallOut
from recorder.features.subject_requests import service, verification_code
from recorder.identity import tenants
from recorder.spool.command_socket import send_request
from recorder.verification_calls.caller import NOT_ALLOWED, PLAYED, VerificationCaller
from recorder.verification_calls.policy import CallPolicy
from tests.integration.ending.conftest import NUMBER as RECORDED
from tests.integration.ending.conftest import Site
from tests.integration.test_control import Panel
from tests.waiting import until

NUMBER = CALLERS[0]
DIAL = "sofia/gateway/trunk/{number}"
CODE_CALL = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"


def test_outbound_call_reports_its_result() -> None:
    sound = Path("/var/spool/accord/.outgoing/a.wav")
    with PracticeSwitch(password="x", environment={}) as switch:

        def call(dial: str = DIAL, number: str = NUMBER, password: str = "x", port: int = 0) -> str:
            return OutboundCaller("127.0.0.1", port or switch.event_port, password, dial, "3225550100").call(
                number, sound
            )

        assert call() == DONE
        assert switch.called_out == [(f"sofia/gateway/trunk/{NUMBER}", sound)]
        assert call("sofia/x/{digits}@192.0.2.1") == DONE
        assert switch.called_out[1][0] == f"sofia/x/{NUMBER[1:]}@192.0.2.1"
        assert call("user/{digits}") == NO_WAY_OUT, "the switch cannot"
        assert call("") == call("loopback/{number}") == call(number="112") == NO_WAY_OUT
        assert call(password="y") == call(port=1) == NO_SWITCH
        assert len(switch.called_out) == 2


@pytest.fixture
def controls(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A daemon's ear, whose way out is a list of what was called; carries something to it."""
    placed_calls: list[tuple[str, Path]] = []

    def out(number: str, sound: Path, _room: str) -> str:
        placed_calls.append((number, sound))
        return BUSY

    ear = CommandListener(tmp_path, {}, None, None, call_out=out)  # type: ignore[arg-type]  # not asked of calls
    ear.start()

    def bring(ident: str = CODE_CALL, left: float = 5.0) -> str:
        request = CallOut(ident, NUMBER, time.monotonic() + left)
        return str(gevent.get_hub().threadpool.apply(send_request, (tmp_path, request)))

    bring.placed_calls = placed_calls  # type: ignore[attr-defined]
    yield bring
    ear.stop()


def test_daemon_dials_once_in_time_from_its_own_folder(controls, tmp_path: Path) -> None:
    assert controls(left=-1.0) == NO_ANSWER
    assert controls.placed_calls == []
    assert controls() == BUSY
    assert controls() == BUSY, "asked again"
    assert controls.placed_calls == [(NUMBER, tmp_path / ".outgoing" / f"{CODE_CALL}.wav")]
    assert controls("../../etc/passwd") != BUSY
    assert len(controls.placed_calls) == 1


@pytest.fixture
def subject_request(catalogue, clock, entropy) -> str:
    """The id of a request of somebody whose call was not recorded."""
    tenants.create_tenant("t", name="Martin", wrapped_key="{}", now=clock(), entropy=entropy)
    with writing():
        NotRecordedTable.create(
            id="n", tenant="t", number="+3225550100", direction="inbound", node="n", external_kind="e164",
            external_value=NUMBER, started_at=clock(), ended_at=clock(), reason="declined", listed_at=clock(),
        )  # fmt: skip
    return service.enter(
        "t", number=NUMBER, wants="copy", language="en", received_on=clock().date(), by_kind="operator",
        by=None, now=clock(), entropy=entropy,
    ).id  # fmt: skip


@pytest.mark.parametrize("change", ["budget", "country"])
def test_node_asks_the_policy_again_before_it_dials(
    catalogue, clock, entropy, tmp_path, subject_request: str, change: str
) -> None:
    """A row may be anybody's: what was ordered is not called for that alone."""
    policy = CallPolicy(calls_a_day=0) if change == "budget" else CallPolicy()
    caller = VerificationCaller("n", tmp_path, policy=policy, now=clock, entropy=entropy)
    verification_code.order_call("t", subject_request, who="operator", now=clock(), entropy=entropy)
    if change == "country":
        with writing():
            TenantTable.update(country="fr").execute()
    with capture_logs() as logs:
        assert caller.turn()
    assert verification_code.latest_call("t", subject_request).outcome == NOT_ALLOWED
    assert not (tmp_path / ".outgoing").exists()
    assert "verification_call.not_allowed" in [each["event"] for each in logs]


def test_worker_makes_and_removes_the_sound_of_a_code(
    catalogue, clock, entropy, tmp_path, subject_request: str
) -> None:
    caller = VerificationCaller("n", tmp_path, now=clock, entropy=entropy)
    assert not caller.turn()
    verification_code.order_call("t", subject_request, who="operator", now=clock(), entropy=entropy)
    assert caller.turn()
    assert verification_code.latest_call("t", subject_request).outcome == NO_ANSWER, "nobody listens here"
    (file,) = (tmp_path / ".outgoing").iterdir()
    assert file.stat().st_mode & 0o007 == 0
    code = code_in(soundfile.read(file, dtype="float32")[0], "en")
    assert verification_code.try_code("t", subject_request, code, who="u", now=clock(), entropy=entropy)
    clock.at += timedelta(seconds=time.time() - clock().timestamp() + PLAYED + 1)
    assert not caller.turn()
    assert list((tmp_path / ".outgoing").iterdir()) == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    own_site = Site(tmp_path)
    own_site.install(RECORDED)
    yield own_site
    own_site.close()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_copy_through_the_real_processes(site: Site) -> None:
    site.settings["ACCORD_VERIFICATION_CALLS_DIAL"] = DIAL
    site.settings["ACCORD_VERIFICATION_CALLS_COUNTRIES"] = "be"  # the customer has no country of its own
    tenant = ("--tenant", "Menuiserie Dubois")
    who = (*tenant, "anne@example.com", "--role", "customer_admin", "--language", "en")
    web, worker, daemon = site.start("web"), site.start("worker"), site.start("daemon")
    daemon.wait_for_log("snapshot.read")
    web.wait_for_log("web.listening")
    switch = site.call()
    switch.wait_for_log("has hung up", 90)
    panel = Panel(f"http://127.0.0.1:{site.ports.web}")
    panel.join(site.output("user", "invite", *who))
    until("the recording is stored", lambda: 'id="day-1"' in panel.get("/recordings"))

    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 12 * 3600))
    page = panel.send(
        "/subject-requests", "/subject-requests", number=NUMBER, wants="both", language="en", received=today
    )
    found = re.search(r"/subject-requests/[0-9a-f-]{36}", page)
    assert found is not None
    request_page = found[0]
    panel.send(f"{request_page}/call", request_page)
    until("it was called", lambda: "heard a code" in panel.get(request_page))
    (sound,) = (site.spool / ".outgoing").iterdir()
    code = code_in(soundfile.read(sound, dtype="float32")[0], "en")
    assert "The number was called" in panel.send(f"{request_page}/code", request_page, code=code)
    page = panel.get(request_page)
    (recording,) = set(re.findall(r'name="given-([0-9a-f-]{36})"', page))
    panel.send(f"{request_page}/review", request_page, **{f"given-{recording}": "own"})

    archive = zipfile.ZipFile(io.BytesIO(_fetched(panel, f"{request_page}/copy", request_page)))
    assert archive.testzip() is None
    facts = json.loads(archive.read("copy.json"))
    (recording_facts,) = facts["recordings"]
    assert recording_facts["id"] == recording
    samples, rate = soundfile.read(io.BytesIO(archive.read(recording_facts["sound"]["file"])), dtype="int16")
    assert abs(len(samples) / rate * 1000 - recording_facts["duration_ms"]) < 2
    assert not samples[:, 1].any(), "others are silent"
    assert np.abs(samples[:, 0]).max() > 1000, "and they are heard"
    assert recording_facts["announcement"]["text"] in archive.read("README.txt").decode()
    listing = site.output("subject-request", "list", *tenant)
    assert NUMBER in listing

    page = panel.send(f"{request_page}/erase", request_page, sure="yes")
    assert "It is erased" in page
    assert "None at the moment" in page
    worker.wait_for_log("recording.erased", 90)
    panel.send(f"{request_page}/close", request_page, how="answered")
    audit = site.output("audit", "run")
    assert "wrong" not in audit, audit


def _fetched(panel: Panel, path: str, page: str) -> bytes:
    from urllib.parse import urlencode

    from tests.integration.test_control import TOKEN

    found = TOKEN.search(panel.get(page))
    assert found is not None
    form = urlencode({"csrf_token": found[1]}).encode()
    return bytes(panel._open(panel.address + path, form, timeout=60).read())
