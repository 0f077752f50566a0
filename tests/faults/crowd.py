"""Customers with many calls each, made cheaply: one real take, under many ids."""

from __future__ import annotations

import io
import json
import os
import shutil
import wave
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from recorder.audio import encoding
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from tests.house import wav_of

RATE = 8000
TOLD = 2 * RATE
TALK = 2 * RATE


def _prompt() -> np.ndarray:
    """Two seconds that sound like nothing else: noise, the same each time."""
    return np.random.default_rng(7).integers(-6000, 6000, TOLD).astype("<i2")


def _wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return out.getvalue()


@dataclass
class Customer:
    """``calls`` are the ids of theirs, in the order in which they were made."""

    tenant: str
    template: CallStart
    calls: list[str] = field(default_factory=list)


class Crowd:
    """Makes customers of a house, and their calls in its spool."""

    def __init__(self, house: Any) -> None:
        self._house = house
        self._sound = house.folder / "crowd.wav"
        self._made = 0
        said = np.concatenate([_prompt(), np.zeros(TALK, "<i2")])
        heard = (5000 * np.sin(np.arange(TOLD + TALK) * 0.5)).astype("<i2")
        self._sound.write_bytes(wav_of(np.stack([heard, said], axis=1)))

    def customer(self, name: str) -> Customer:
        house = self._house
        tenant = str(uuid7(house.clock(), house.entropy))
        common = {"now": house.clock(), "entropy": house.entropy}
        key = house.means.keyring.new_tenant_key(tenant, house.entropy)
        tenants.create_tenant(tenant, name=name, wrapped_key=key.to_bytes().decode(), **common)
        row = announcements.create_announcement(
            tenant,
            name="short",
            language="en",
            text="This call is recorded.",
            purposes=("agreement",),
            keep_days=30,
            wav=_wav(_prompt()),
            **common,
        )
        self._made += 1
        number = f"+32255502{self._made:02}"
        line = lines.create_line(tenant, number=number, announcement=row.id, **common)
        told = Announcement(
            row.id, row.version, row.language, row.text, row.purposes, row.keep_days, row.sound,
            row.duration_ms,
        )  # fmt: skip
        start = CallStart(
            "", tenant, line.id, number, "inbound", "node1", "channel", Party("e164", "+32470123456"),
            house.clock(), ("opus",), told,
        )  # fmt: skip
        return Customer(tenant, start)

    def call(self, customer: Customer, encoded: bool = False) -> str:
        """A call of theirs that has just ended, in the spool; or that was encoded before the store went
        away, once for all."""
        house = self._house
        house.clock.forward(milliseconds=7)
        at = house.clock()
        recording = str(uuid7(at, house.entropy))
        body = layout.start_body(customer.template) | {"recording": recording}
        # Elsewhere first: a worker must not see half of it.
        folder = house.spool / f".making-{recording}"
        folder.mkdir(mode=0o2770)
        self._fill(folder, body, customer.template)
        if encoded:
            for path in self._encoded(customer).iterdir():
                self._link(path, folder / path.name)
        folder.rename(house.spool / recording)
        customer.calls.append(recording)
        return recording

    def _encoded(self, customer: Customer) -> Path:
        """What the encoder makes of this sound, which is the same for all."""
        made = self._house.folder / "encoded"
        if not made.exists():
            work = self._house.folder / "encoding"
            work.mkdir()
            self._fill(
                work, layout.start_body(customer.template) | {"recording": "template"}, customer.template
            )
            prompt = self._house.folder / "prompt.wav"
            prompt.write_bytes(_wav(_prompt()))
            encoding.encode_take(work, prompt)
            for name in (layout.CALL, layout.EVENTS, layout.AUDIO, layout.END):
                (work / name).unlink()
            work.rename(made)
        return made

    def _fill(self, folder: Path, body: dict[str, Any], template: CallStart) -> None:
        began = template.started_at
        ended = began + timedelta(seconds=(TOLD + TALK) / RATE)
        (folder / layout.CALL).write_text(json.dumps(body))
        marks = [
            Marker(began, "recording_started"),
            Marker(began, "announcement_started"),
            Marker(began + timedelta(seconds=TOLD / RATE), "announcement_finished"),
            Marker(began + timedelta(seconds=TOLD / RATE), "bridged", {"party": "extension", "value": "1"}),
            Marker(ended, "hangup", {"cause": "NORMAL_CLEARING"}),
            Marker(ended, "recording_stopped"),
        ]
        with open(folder / layout.EVENTS, "w") as events:
            for mark in marks:
                at_ = mark.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                events.write(json.dumps({"at": at_, "kind": mark.kind, **mark.data}) + "\n")
        self._link(self._sound, folder / layout.AUDIO)
        end = CallEnd("recorded", None, ended, Party("extension", "1"))
        (folder / layout.END).write_text(json.dumps(layout.end_body(end)))

    def _link(self, path: Path, name: Path) -> None:
        try:
            os.link(path, name)
        except OSError:  # more links than the file system gives one file
            shutil.copy(path, path.with_suffix(".new"))
            path.with_suffix(".new").rename(path)
            os.link(path, name)
