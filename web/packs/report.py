"""What people read in a pack: its report and its ``README.txt``, in the language that was asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from flask import render_template, url_for
from flask_babel import force_locale

from recorder.clock import to_iso
from recorder.domain.parties import E164
from recorder.features.packs import service
from recorder.features.packs.rules import SOUND_FILES, RecordingPack
from recorder.playback import call_history
from recorder.playback.call_history import WAS_REFUSED, HistoryEntry
from recorder.seal.consent_record import KeepQuestion
from recorder.seal.manifest import Manifest
from recorder.seal.signing import key_id
from web.language import LOCALES
from web.playback import view_model
from web.state import changes, current_visitor

MEDIA_TYPES: Final = {"audio.opus": 'audio/ogg; codecs="opus"', "audio.wav": "audio/wav"}


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A sound file as the report plays it, from the report's own folder."""

    src: str
    type: str


@dataclass(frozen=True, slots=True)
class AgreedPassage:
    """A keep question, and where it can be heard, with its answer, in milliseconds of audio."""

    question: KeepQuestion
    begin_ms: int
    end_ms: int


def verifier_sha256() -> str:
    return hashlib.sha256(service.read_verifier()).hexdigest()


def render_texts(pack: RecordingPack) -> tuple[str, str]:
    """``README.txt`` and the report."""
    with force_locale(LOCALES.get(pack.language, pack.language)):
        facts = _facts(pack)
        return render_template("packs/readme.txt", **facts), render_template("packs/report.html", **facts)


def _facts(pack: RecordingPack) -> dict[str, Any]:
    release, manifest = pack.release, pack.release.chain.manifest
    tenant = current_visitor().tenant
    return {
        "pack": pack,
        "customer": tenant,
        "manifest": manifest,
        "view": view_model.from_manifest(manifest, release.parties),
        "is_number": release.parties.external_party.kind == E164,
        "external_party": release.parties.external_party,
        "sources": [
            ReportSource(SOUND_FILES[name].removeprefix("data/"), MEDIA_TYPES[name])
            for name, _ in pack.sounds
        ],
        "passages": [_passage(each, manifest) for each in manifest.keep_questions],
        "amendments": release.chain.amendments,
        "history": _history(tenant.id, manifest.recording),
        "log": pack.log,
        "signing_key": manifest.signing_key_id,
        "root_id": key_id(changes().root),
        "verifier": service.VERIFIER,
        "verifier_sha256": verifier_sha256(),
        "address": url_for("packs.show_check", _external=True),
        "utc": to_iso,
        "at_fragment": _fragment,
    }


def _history(tenant: str, recording: str) -> list[HistoryEntry]:
    """Who was given the sound, the earliest first."""
    found = call_history.history(tenant, recording)
    return [each for each in reversed(found) if each.how != WAS_REFUSED]


def _passage(question: KeepQuestion, manifest: Manifest) -> AgreedPassage:
    """From the question to the end of what both heard of its answer."""
    place = None if question.question is None else question.question.found
    begin_ms = question.offset_ms if place is None else place.offset_ms
    ends = [begin_ms + 5000, question.answered_offset_ms or 0]
    if question.confirmation is not None and question.confirmation.found is not None:
        ends.append(question.confirmation.found.end_ms)
    return AgreedPassage(question, begin_ms, min(max(ends) + 1000, manifest.duration_ms))


def _fragment(begin_ms: int, end_ms: int) -> str:
    """A stretch of a sound, for the address of an ``audio`` element (W3C media fragments)."""
    return f"#t={begin_ms / 1000:.3f},{end_ms / 1000:.3f}"
