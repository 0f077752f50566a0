"""The complete path: calls on a real switch, through all processes, played in a real browser.

The caller is 440 Hz from the first moment to the last, so any of it before the end of the announcement would
be detected."""

from __future__ import annotations

import io
import os
import tempfile
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
from demo.spoken_digits import digits as read_digits
from demo.spoken_digits import likeness
from recorder import config
from recorder.catalogue import database, queries, schema, tenant_queries
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.subject_request_queries import own_requests
from recorder.clock import utc_now
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import ConfigError
from recorder.features.own_call import codes, rules, tenant_rule
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.tenants import announcements, lines, snapshot
from recorder.identity import tenants, users
from recorder.ids import uuid7
from recorder.playback import call_history
from recorder.playback.interface import Actor
from recorder.processes import run
from recorder.processes.gate import PanelGate
from recorder.processes.services import Context
from recorder.processes.supervisor import Supervisor
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.verification import verify
from recorder.spool.snapshot import ROOM_PROMPTS
from tests.chromium import find_chromium
from tests.freeswitch.switches import HOME, NUMBER, RATE, Rig, chirp, level, onset_of, read_wav, until
from tests.processes import Ports, environment, supervised

CALLS = 20
ROOM_NUMBER = "3225550199"
DIAL_AS = "3225550100"
"""The number that calls with a code show."""
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
    sounds: Path

    def recordings(self) -> list[RecordingRow]:
        return list(queries.recordings(self.tenant, limit=200).rows)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    rig = Rig(folder)
    ports = Ports.reserve()
    memory = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-")
    sounds = Path(memory.name)
    sounds.chmod(0o2750)
    store = {
        "ACCORD_STORE_EMBEDDED": "true", "ACCORD_STORE_KIND": "s3",
        "ACCORD_ROOMS_NUMBER": f"+{ROOM_NUMBER}", "ACCORD_ROOMS_SOUNDS": str(sounds),
        "ACCORD_VERIFICATION_CALLS_DIAL":
            f"sofia/accord_outbound/{{digits}}@{rig.environment['ACCORD_TRUNK']}",
        "ACCORD_VERIFICATION_CALLS_DIAL_AS": DIAL_AS, "ACCORD_VERIFICATION_CALLS_COUNTRIES": "be",
    }  # fmt: skip
    variables = environment(folder / HOME, ports.settings, rig.environment, store)
    rig.environment |= {
        "ACCORD_ROOM_NUMBER": rf"^\+?{ROOM_NUMBER}$",
        "ACCORD_ROOM_PROMPTS": str(rig.snapshot / ROOM_PROMPTS),
    }
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
            yield Installation(rig, context, tenant, supervisor, url, sounds)
    finally:
        rig.stop()
        opened.close()
        memory.cleanup()


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


class Caller:
    """Somebody who calls the number of rooms, from any telephone."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.call = rig.call(ROOM_NUMBER)
        self.hears("code.wav")

    def hears(self, name: str) -> None:
        """Wait until a sound begins to play to the caller."""

        def is_heard() -> bool:
            return any(name in each.get("Playback-File-Path", "") for each in events.drain(0.05))

        events = self.rig.switch.esl
        until(f"somebody hears {name}", is_heard, 40)
        events.events.clear()

    def press(self, keys: str) -> None:
        for key in keys:
            self.call.key(key)
            time.sleep(0.15)  # a person presses one key after the other

    def hang_up(self) -> np.ndarray:
        """Returns what they heard."""
        self.call.hang_up()
        self.rig.switch.wait_empty()
        self.rig.phones.wait_empty()
        return read_wav(self.call.heard_by_caller)[:, 0].astype(np.float32)


def test_a_person_hears_their_own_call_by_telephone(installation: Installation) -> None:
    """Two calls from a telephone that takes no part, and one to the number that did."""
    rig, tenant, sounds = installation.rig, installation.tenant, installation.sounds
    try:
        SoundFolder(sounds).check()
    except ConfigError as error:
        pytest.skip(error.message)
    number = "3225501001"
    before = {row.id for row in installation.recordings()}
    call = rig.call(caller=f"+{number}", more=",origination_caller_id_name='Jan Peeters'")
    call.wait_bridged()
    time.sleep(2)
    call.hang_up()
    until("it is listed", lambda: len(installation.recordings()) > len(before), 60, 0.3)
    (recording,) = {row.id for row in installation.recordings()} - before
    code = give_code(installation, recording)
    assert rig.switch.esl.command("event plain PLAYBACK_START").startswith("+OK")
    first = Caller(rig)
    first.press(code)
    first.hears("wrong.wav")
    assert rig.recorded_now() == set()
    first.hang_up()
    file = rig.phones_folder / f"callee-{number}-{DIAL_AS}.wav"
    until("the number that took part is called", file.exists, 40)
    until("they hear something", lambda: len(read_wav(file)) > RATE, 20, 0.5)
    rig.switch.wait_empty(90)
    rig.phones.wait_empty()
    sound_digits = read_digits(read_wav(file)[:, 0].astype(np.float32), "fr")
    print(f"heard {sound_digits}")
    digits = sound_digits[:6]
    assert sound_digits == digits * 2

    person = Caller(rig)
    person.press(code)
    person.hears("wrong.wav")
    person.press(f"{digits}#")
    person.hears("own-menu-fr.wav")
    person.press("2")
    person.hears(f"{sounds}/")
    time.sleep(3)
    person.press("1")
    person.hears(f"{sounds}/")
    time.sleep(call_length(installation, recording) + 1)
    person.press("3")
    person.hears("listens-")
    person.press("4")
    person.hears("own-request-fr.wav")
    person.press("0")
    person.hears("own-requests-fr.wav")
    person.press("7")
    person.hears("own-request-fr.wav")
    person.press("9")
    person.hears("own-keys-fr.wav")
    samples = person.hang_up()
    announced = chirp(2.0)
    assert count(samples, announced) == 2, "the announcement, by itself and in the call"
    assert {each.wants for each in own_requests(tenant, recording)} == {"copy", "listening"}
    history = call_history.history(tenant, recording)
    assert [each.role for each in history if each.how == "listened"] == [EXTERNAL_PARTY] * 2
    until("its sound is gone", lambda: not list(sounds.iterdir()), 30)
    assert {row.id for row in installation.recordings()} == before | {recording}, "no call with codes is kept"


def give_code(installation: Installation, recording: str) -> str:
    """What a colleague gives to the person of a call."""
    context, tenant = installation.context, installation.tenant
    claire = users.users(tenant)[0]
    by, when = By("user", claire.id), {"now": utc_now(), "entropy": os.urandom}
    tenant_rule.change_rule(tenant, on=True, days=14, names=False, by=by, **when)
    gate = PanelGate(context.store(), context.keyring(), context.root())
    facts = gate.facts(Actor(claire.id, tenant, claire.role, "fr"), recording)
    assert facts.parties.caller_name == "Jan Peeters"
    keys = rules.code_keys(context.keyring())
    return codes.give_code(
        facts, by, key=keys[0], policy=context.call_policy(), signer=context.signer(), **when
    )


def call_length(installation: Installation, recording: str) -> float:
    """Seconds."""
    return next(row.duration_ms for row in installation.recordings() if row.id == recording) / 1000


def count(samples: np.ndarray, prompt: np.ndarray) -> int:
    """How often a prompt was heard."""
    score = likeness(samples, prompt.astype(np.float32))
    found = 0
    while score.max() > 0.6:
        best = int(score.argmax())
        score[max(best - len(prompt), 0) : best + len(prompt)] = 0
        found += 1
    return found
