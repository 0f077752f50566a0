"""The page on which a pack is made, and the public page with what checks one."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator

import structlog
from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from recorder.errors import AccordError
from recorder.features.packs import service
from recorder.features.packs.rules import LONGEST_RECIPIENT
from recorder.features.packs.service import Packs
from recorder.seal.signing import key_id, public_pem
from web.account.limits import limit_downloads, limit_refusals
from web.gate import gate, who
from web.language import NAMES, current_language
from web.packs.report import render_texts, verifier_sha256
from web.state import login_required, panel_state

blueprint = Blueprint("packs", __name__, template_folder="templates")

PURPOSE_MISSING = "access.purpose_missing"

log = structlog.get_logger()


@blueprint.get("/recordings/<recording_id>/pack")
@login_required
@limit_refusals
def show_form(recording_id: str) -> ResponseReturnValue:
    """What a pack has, and for what it is made."""
    return _render_form(recording_id)


def _render_form(recording_id: str, error: str = "") -> ResponseReturnValue:
    facts = gate().facts(who(), recording_id)
    if panel_state().packs is None:
        abort(404)
    if gate().why_no_download(who()) == "access.download_role":
        abort(403)
    announced = facts.status.chain.manifest.announced
    form = request.form.to_dict() or {
        "language": current_language() if announced is None else announced.language,
        "purpose": facts.preselected or "",
    }
    page = render_template(
        "packs/form.html",
        recording=facts.status.row,
        allowed=[each.code for each in facts.choices if each.allowed],
        why_no_download=gate().why_no_download(who()),
        languages=[(code, NAMES[code]) for code in NAMES if code in panel_state().config.languages],
        form=form,
        error=error,
        longest=LONGEST_RECIPIENT,
    )
    return page, 400 if error else 200


@blueprint.post("/recordings/<recording_id>/pack")
@login_required
@limit_refusals
@limit_downloads
def make_pack(recording_id: str) -> ResponseReturnValue:
    """Send a pack.  Its name is the recording's id: no number, no time."""
    purpose, language = request.form.get("purpose", "")[:100], request.form.get("language", "")
    if not purpose:
        return _render_form(recording_id, PURPOSE_MISSING)
    if language not in panel_state().config.languages:
        language = current_language()
    packs = _packs()
    release = gate().release(who(), recording_id, purpose)
    pack = packs.prepare(release, recipient=request.form.get("recipient", ""), language=language)
    pieces = packs.stream(pack, *render_texts(pack))
    first = next(pieces)  # what is refused here still has a page of its own
    answer = Response(_send(first, pieces), content_type="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{pack.folder}.zip"'
    answer.call_on_close(getattr(pieces, "close", lambda: None))
    return answer


def _send(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces; an error aborts the connection, so that nobody takes a part for the whole."""
    yield first
    try:
        for piece in pieces:
            yield piece
            time.sleep(0)  # let other greenlets run
    except AccordError as error:
        log.warning("web.response_aborted", object="pack", error_id=error.error_id, error=error.message)
        raise ConnectionResetError(errno.ECONNRESET, error.error_id) from error


@blueprint.get("/verify")
def show_check() -> str:
    """How anybody checks a pack: the program, its hash, and the root's fingerprint, which no pack can vouch
    for."""
    root = _packs().changes.root
    return render_template(
        "packs/check.html", root_id=key_id(root), verifier=service.VERIFIER, verifier_sha256=verifier_sha256()
    )


@blueprint.get(f"/verify/{service.VERIFIER}")
def send_verifier() -> Response:
    """The program that checks packs."""
    answer = Response(service.read_verifier(), content_type="text/x-python; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{service.VERIFIER}"'
    return answer


@blueprint.get("/verify/root.pub")
def send_root() -> Response:
    """The root's public key."""
    answer = Response(public_pem(_packs().changes.root), content_type="application/x-pem-file")
    answer.headers["Content-Disposition"] = 'attachment; filename="root.pub"'
    return answer


def _packs() -> Packs:
    return panel_state().packs or abort(404)
