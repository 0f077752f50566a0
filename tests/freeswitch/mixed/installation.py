"""A real installation for a plan of mixed calls: switch, daemon, worker, catalogue and store, with a line for
each call, whose sentences are recognisable wherever they are heard."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from demo.people import make_user
from recorder import config
from recorder.catalogue import database, queries, schema, tenant_queries
from recorder.catalogue.records import KeepOptions, RecordingRow
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.clock import utc_now
from recorder.features.tenants import announcements, lines, snapshot
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.rules import OwnSound
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.identity import tenants, users
from recorder.ids import uuid7
from recorder.playback.interface import Actor
from recorder.processes import object_store, run
from recorder.processes.gate import PanelGate
from recorder.processes.services import Context
from recorder.prompts.sentences import ClipText
from recorder.prompts.sound_sources import Clip, Sources
from recorder.seal import signing
from tests.freeswitch.internal_phones import configuration
from tests.freeswitch.mixed.history import SENTENCES, Listed
from tests.freeswitch.mixed.plan import OUTBOUND, TOGETHER, Call
from tests.freeswitch.mixed.signals import FRAME, RATE, classify, runs, sentence
from tests.freeswitch.switches import HOME, Rig, free_ports, until
from tests.processes import environment, supervised

FIRST_CLIPS = {
    "recorded": "transfer_notice", "keep-this": "keep_question", "agreed": "keep_yes",
    "stays-as-announced": "keep_no",
    "unanswered-as-announced": "keep_none", "delete-it-1": "delete_question", "deleted": "deleted",
}  # fmt: skip
"""Which of our sentences a clip of the product's begins."""


@dataclass(frozen=True, slots=True)
class Signals(Sources):
    """Provides signals instead of the product's own sentences; a clip that begins no sentence is a short
    noise."""

    def clip(self, text: ClipText) -> Clip:
        name = FIRST_CLIPS.get(text.clip)
        if name is None:
            length = 9600 if text.clip == "ask-now" else 1600  # that one is a sentence by itself
            short = np.random.default_rng(1).uniform(-0.02, 0.02, length).astype(np.float32)
            return Clip(short, "signal")
        return Clip(sentence(SENTENCES.index(name), 16000), "signal")


def wav(name: str) -> bytes:
    """Return a sentence as a customer's own file."""
    content = io.BytesIO()
    soundfile.write(content, sentence(SENTENCES.index(name)), RATE, subtype="PCM_16", format="WAV")
    return content.getvalue()


MODES = {
    "opt_in_yes": "opt-in", "opt_in_no": "opt-in", "opt_in_silent": "opt-in", "opt_out": "opt-out",
    "opt_out_refused": "opt-out",
}  # fmt: skip
"""Of a line, by how its call begins; else it only announces."""


@dataclass
class MixedInstallation:
    """Switch, daemon, worker and store, and the resulting catalogue."""

    rig: Rig
    context: Context
    tenant: str

    def listed(self) -> list[tuple[str, RecordingRow | None, str | None]]:
        """Return the recordings, or the reasons for none, by the external party's number."""
        found: list[tuple[str, RecordingRow | None, str | None]] = [
            (row.external_party.value.removeprefix("+") if row.external_party else "", row, None)
            for row in self._recordings()
        ]
        with database.connected():
            others = list(NotRecordedTable.select())
        return found + [(other.external_value.removeprefix("+"), None, other.reason) for other in others]

    def _recordings(self) -> Iterator[RecordingRow]:
        page = queries.recordings(self.tenant, limit=100)
        yield from page.rows
        while page.more is not None:
            page = queries.recordings(self.tenant, limit=100, after=page.more)
            yield from page.rows

    def listed_calls(self) -> tuple[Listed, ...]:
        """Return every row, with each recording played through the gate."""
        listener = users.users(self.tenant)[0]
        who = Actor(listener.id, self.tenant, listener.role, "fr")
        gate = PanelGate(self.context.store(), self.context.keyring(), self.context.root())
        return tuple(self._one(gate, who, *each) for each in self.listed())

    def _one(
        self, gate: PanelGate, who: Actor, number: str, row: RecordingRow | None, reason: str | None
    ) -> Listed:
        if row is None:
            return Listed(number, reason)
        if not row.announced:
            return Listed(number, "the announcement is not in it")
        grant = gate.grant(who, row.id, "agreement")
        manifest = gate.manifest(who, grant.id)
        opened = gate.open(who, grant.id, "audio.wav", "a" * 22)
        content, _rate = soundfile.read(io.BytesIO(b"".join(opened.read(0, opened.length))))
        whole = content[: len(content) // FRAME * FRAME]
        left, right = (
            tuple(runs(classify(whole[:, side].reshape(-1, FRAME))[0].tolist(), fewest=2)) for side in (0, 1)
        )
        gaps = tuple(gap.reason for gap in manifest.gaps)
        markers = tuple(
            f"{each.offset_ms / 1000:.2f} {each.kind} {dict(each.data)}" for each in manifest.markers
        )
        return Listed(number, None, left, right, gaps, row.keep_answer, manifest.drift_ms, markers)


@contextmanager
def run_installation(folder: Path, calls: Sequence[Call], sip_port: int) -> Iterator[MixedInstallation]:
    """Run the installation for these calls, whose phones are at a port."""
    conf = configuration(folder)
    way_out = conf / "dialplan" / "outbound" / "90_route.xml"
    way_out.write_text(way_out.read_text().replace("hangup_after_bridge=true", "hangup_after_bridge=false"))
    route = f"127.0.0.1:{sip_port}"
    (worker_port,) = free_ports(1)
    more = {
        "ACCORD_ROUTE": route, "ACCORD_TRUNK": route,
        "ACCORD_EXTERNAL_NUMBER": r"^\+?32499[0-9]+$", "ACCORD_PAUSE_SECONDS": "120",
        "ACCORD_NEVER_RECORD": "^none$",
    }  # fmt: skip
    rig = Rig(folder, conf, more)
    # The other switch, which plays telephones elsewhere, is not there: its ports are this one's.
    rig.environment["ACCORD_RTP_END"] = rig.phones.environment["PHONES_RTP_END"]
    variables = environment(
        folder / HOME,
        rig.environment,
        {
            "ACCORD_WORKER_PROCESSES": "2",
            "ACCORD_METRICS_WORKER_PORT": str(worker_port),
            "ACCORD_LOG_PATH": str(folder / "daemon.log"),
        },
    )
    context = Context(config.load(None, variables), None)
    signing.init(context.settings.keys_folder, utc_now())
    schema.migrate(context.settings.catalogue_url)
    opened = database.open_catalogue(context.settings.catalogue_url)
    object_store.directory(context.settings).init()
    tenant = _customer(context, calls)
    node = context.settings.node
    (node.snapshot_folder / "snapshot.json").unlink()  # the rig's own
    snapshot.write(node.snapshot_folder, node.spool_folder, (), utc_now())
    programs = [each for each in run.programs(context, variables) if each.name != "web"]
    try:
        rig.switch.start()
        with supervised(programs, variables):
            rig.wait_daemon()
            until("the daemon watches", lambda: b"switch.up" in (folder / "daemon.log").read_bytes(), 20)
            yield MixedInstallation(rig, context, tenant)
    finally:
        rig.switch.stop()
        opened.close()


def _customer(context: Context, calls: Sequence[Call]) -> str:
    now = utc_now()
    tenant = str(uuid7(now))
    key = context.keyring().new_tenant_key(tenant).to_bytes().decode()
    tenants.create_tenant(tenant, name="Menuiserie Dubois", wrapped_key=key, now=now, entropy=os.urandom)
    announcements = {mode: _announcement(tenant, mode) for mode in ("notice", "opt-in", "opt-out")}
    for call in calls:
        if call.opening == "no_line":
            continue
        line = lines.create_line(
            tenant, number=call.line, announcement=announcements[MODES.get(call.opening, "notice")],
            formats=("wav",), timing="at_pickup" if call.opening == "at_pickup" else "before_ringing",
            now=now, entropy=os.urandom,
        )  # fmt: skip
        _settings(tenant, line.id, call)
    owner = next(row for row in tenant_queries.all_tenants() if row.id == tenant)
    announcements = {"name": "Claire", "role": "customer", "language": "fr"}
    make_user(owner, "claire@example.com", context.signer(), **announcements, password="let us listen")
    return tenant


def _announcement(tenant: str, mode: str) -> str:
    question_fields = {}
    if mode != "notice":
        question_fields = {name: OwnSound(name, wav(name)) for name in ("question", "declined")}
    return announcements.create_announcement(
        tenant, name=mode, language="fr", text="Un signal.", purposes=("agreement",), keep_days=30,
        wav=wav("announcement"), mode=mode, now=utc_now(), entropy=os.urandom, **question_fields,
    ).id  # fmt: skip


def _settings(tenant: str, line: str, call: Call) -> None:
    """Return a line's settings beside its announcement, as its call needs them."""
    sources, now, actions = Signals(), utc_now(), call.actions
    if any(action.startswith("keep_") for action in actions):
        change_line(
            tenant, line, LineChange(keep=KeepOptions(365)), sources=sources, now=now, entropy=os.urandom
        )
    if "delete" in actions:
        change_line(tenant, line, LineChange(deletable=True), sources=sources, now=now, entropy=os.urandom)
    if call.notified:
        change_line(
            tenant,
            line,
            LineChange(notice=NoticeChoice(call.notified)),
            sources=sources,
            now=now,
            entropy=os.urandom,
        )
    if call.opening in OUTBOUND:
        how = "once_connected" if call.opening in TOGETHER else "before_connected"
        change_line(tenant, line, LineChange(outbound=how), now=now, entropy=os.urandom)
