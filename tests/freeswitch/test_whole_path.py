"""The complete path: calls on a real switch, through all processes, played in a real browser.

The caller is 440 Hz from the first moment to the last, so any of it before the end of the announcement would
be detected."""

from __future__ import annotations

import io
import os
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, sync_playwright

from demo.people import make_user
from recorder import config
from recorder.catalogue import database, queries, schema, tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.clock import utc_now
from recorder.features.tenants import announcements, lines, snapshot
from recorder.identity import tenants, users
from recorder.ids import uuid7
from recorder.playback.interface import Actor
from recorder.processes import run
from recorder.processes.gate import PanelGate
from recorder.processes.services import Context
from recorder.processes.supervisor import Supervisor
from recorder.seal import signing
from recorder.seal.verification import verify
from tests.chromium import find_chromium
from tests.freeswitch.switches import HOME, NUMBER, RATE, Rig, chirp, level, onset_of, until
from tests.processes import Ports, environment, supervised

CALLS = 20
LOGIN, PASSWORD = "claire@example.com", "let us listen together"
TONE = 0.01
"""A level of a pitch that is there: the caller speaks at 0.3."""


@dataclass
class Installation:
    rig: Rig
    context: Context
    tenant: str
    supervisor: Supervisor
    url: str

    def recordings(self) -> list[RecordingRow]:
        return list(queries.recordings(self.tenant, limit=200).rows)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    rig = Rig(folder)
    ports = Ports.reserve()
    store = {"ACCORD_STORE_EMBEDDED": "true", "ACCORD_STORE_KIND": "s3"}
    variables = environment(folder / HOME, ports.settings, rig.environment, store)
    context = Context(config.load(None, variables), None)
    signing.init(context.settings.keys_folder, utc_now())
    schema.migrate(context.settings.catalogue_url)
    opened = database.open_catalogue(context.settings.catalogue_url)
    tenant = set_up_customer(context)
    node = context.settings.node
    (node.snapshot_folder / "snapshot.json").unlink()  # the rig's own
    snapshot.write(node.snapshot_folder, node.spool_folder, (), utc_now())
    try:
        rig.start()
        with supervised(run.programs(context, variables), variables) as supervisor:
            run.make_bucket(context)
            url = f"http://127.0.0.1:{ports.web}"
            until("the panel answers", lambda: answers(f"{url}/healthz"), 60, 0.2)
            rig.wait_daemon()
            yield Installation(rig, context, tenant, supervisor, url)
    finally:
        rig.stop()
        opened.close()


def set_up_customer(context: Context) -> str:
    """Create a customer with two lines, whose announcement is a chirp of two seconds."""
    now = utc_now()
    tenant = str(uuid7(now))
    tenants.create_tenant(
        tenant,
        name="Menuiserie Dubois",
        wrapped_key=context.keyring().new_tenant_key(tenant).to_bytes().decode(),
        now=now,
        entropy=os.urandom,
    )
    sound = io.BytesIO()
    soundfile.write(sound, chirp(2.0), RATE, subtype="PCM_16", format="WAV")
    announcement = announcements.create_announcement(
        tenant,
        name="chirp",
        language="fr",
        text="Un son qui monte.",
        purposes=("agreement",),
        keep_days=30,
        wav=sound.getvalue(),
        now=now,
        entropy=os.urandom,
    )
    for last in ("01", "88"):
        lines.create_line(
            tenant,
            number=f"{NUMBER}{last}",
            announcement=announcement.id,
            formats=("opus", "wav"),
            now=now,
            entropy=os.urandom,
        )
    owner = next(row for row in tenant_queries.all_tenants() if row.id == tenant)
    make_user(
        owner, LOGIN, context.signer(), name="Claire", role="customer", language="fr", password=PASSWORD
    )
    return tenant


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def decoded(sound: bytes) -> np.ndarray:
    """Return the samples (n, 2) at 8 kHz of an Opus or WAV file, decoded by ffmpeg."""
    out = []
    with av.open(io.BytesIO(sound)) as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in container.decode(audio=0):
            out += [piece.to_ndarray().reshape(-1, 2) for piece in resampler.resample(frame)]
        out += [piece.to_ndarray().reshape(-1, 2) for piece in resampler.resample(None)]
    return np.concatenate(out) / 32768


def test_twenty_calls_from_phone_to_browser(installation: Installation, tmp_path: Path) -> None:
    rig = installation.rig
    calls = [rig.call() for _ in range(CALLS // 2)]
    for _ in range(CALLS // 2):
        time.sleep(0.2)
        calls.append(rig.call(f"{NUMBER}88"))
    for call in calls:
        call.wait_bridged()
    time.sleep(3)
    assert all(call.alive() for call in calls)
    for call in calls:
        call.hang_up()
    hung_up = time.monotonic()
    until("all calls are listed", lambda: len(installation.recordings()) >= CALLS, 90, 0.3)
    print(f"20 calls sealed, stored and listed {time.monotonic() - hung_up:.1f} s after hanging up")

    rows = installation.recordings()
    assert len(rows) == CALLS
    assert {row.external_party.value.removeprefix("+") for row in rows if row.external_party} == {
        c.caller for c in calls
    }
    until("the spool is empty", lambda: not [p for p in rig.spool.iterdir() if p.name[0] != "."], 20)
    listener = users.users(installation.tenant)[0]
    who = Actor(listener.id, installation.tenant, listener.role, "fr")
    gate = PanelGate(
        installation.context.store(), installation.context.keyring(), installation.context.root()
    )
    store = installation.context.store()
    wrong = []
    for row in rows:
        assert row.announced
        assert row.purposes == ("agreement",)
        report = verify(store, row.prefix, installation.context.root(), installation.context.keyring())
        assert report.ok, report.findings
        grant = gate.grant(who, row.id, "agreement")
        manifest = gate.manifest(who, grant.id)
        sounds = {}
        for name in ("audio.wav", "audio.opus"):
            opened = gate.open(who, grant.id, name, "a" * 22)
            sounds[name] = decoded(b"".join(opened.read(0, opened.length)))
        truth = onset_of(sounds["audio.wav"][:, 1], chirp(2.0))
        assert truth is not None
        assert manifest.announced is not None
        wrong.append(abs(manifest.announced.offset_ms - truth * 1000 / RATE))
        announcement_end = manifest.announced.end_ms * RATE // 1000
        for name, sound in sounds.items():
            caller, callee = sound[:, 0], sound[:, 1]
            assert level(caller[:announcement_end], 440).max(initial=0) < TONE, (
                f"{name}: the caller before being told"
            )
            assert np.median(level(caller[announcement_end + RATE * 2 :], 440)) > 0.2, (
                f"{name}: the caller is on the left"
            )
            assert np.median(level(callee[announcement_end + RATE * 2 :], 1000)) > 0.2, (
                f"{name}: the callee is on the right"
            )
    print(f"the announcement was found within {max(wrong):.1f} ms of the truth in {CALLS} calls")
    assert max(wrong) <= 20

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page(locale="fr-BE")
        log_in(page, installation.url)
        for row in rows:
            assert plays(page, installation.url, row.id), row.id
        page.screenshot(path=tmp_path / "played.png")
        browser.close()


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login", wait_until="load")
    page.locator("input[name=login]").fill(LOGIN)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit].is-primary").click()
    page.wait_for_load_state()


def plays(page: Page, url: str, recording: str) -> bool:
    """Choose the purpose, press play, and wait until playback advances."""
    page.goto(f"{url}/recordings/{recording}")
    if not page.locator("[name=purpose]:checked").count():
        page.locator("#purpose .choice:not(.is-disabled) label").first.click()
    page.locator("#toggle").click()
    page.wait_for_function("() => document.querySelector('#audio').currentTime > 0.3", timeout=60000)
    page.evaluate("() => { document.querySelector('#audio').currentTime = 4 }")
    page.wait_for_function("() => document.querySelector('#audio').currentTime > 4.2", timeout=60000)
    return bool(page.evaluate("() => document.querySelector('#audio').error === null"))
