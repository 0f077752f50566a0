"""The offboarding download, and imported recordings, in the panel."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from recorder.audit.service import Audit
from recorder.catalogue import offboarding_progress, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, HandoverFetchTable
from recorder.features.imports.service import Importer
from recorder.features.imports.table import ImportRow
from recorder.features.offboarding import service
from recorder.features.offboarding.plan import prepare_handover
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import signing

FILE = "/offboarding/recordings.tar"


@pytest.fixture
def leaves(house, bakery) -> str:
    """The bakery's offboarding archive is ready; returns the id of its only recording."""
    call = house.call(bakery)
    house.call(bakery, announced=False)
    when = {"now": house.clock(), "entropy": house.entropy}
    office = replace(house.changes, signer=house.services.signer)
    service.announce(office, bakery.id, house.clock() + timedelta(days=30))
    sign = partial(service.hand_over, office, bakery.id)
    seals = RecordingVerifier(house.store, house.keyring, house.root_public)
    prepare_handover(
        bakery.id, seals, house.store, signing.public_pem(house.root_public), sign, anew=False, **when
    )
    return call


@pytest.fixture
def old(house, bakery, tmp_path, tone) -> str:
    """The id of an imported recording."""
    file = tmp_path / "old.wav"
    file.write_bytes(tone(1000, channels=2))
    owner = queries.tenant(bakery.id)
    until = house.clock() + timedelta(days=60)
    importer = Importer(owner, until, house.services)
    start = house.clock() - timedelta(days=90)
    outcome = importer.bring(ImportRow(2, file, start, "+32470123456", "+3225550100", "inbound", ""))
    assert outcome.recording is not None, outcome.error
    return outcome.recording


def test_admin_downloads_everything_in_one_archive(browser, leaves, clock) -> None:
    paul = browser("paul")
    assert "Votre entreprise quitte le service" in paul.get("/recordings").text
    page = paul.get("/offboarding").text
    assert "1 enregistrement," in page
    assert "jusqu’au 25 décembre 2026" in page
    assert "Il n’est pas certain que chacun" in page
    whole = paul.get(FILE)
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    assert whole.headers["Content-Disposition"].startswith("attachment; filename=handover-")
    with tarfile.open(fileobj=io.BytesIO(whole.data)) as archive:
        assert f"accord/recordings/{leaves}/audio.opus" in archive.getnames()


def test_interrupted_download_resumes(browser, leaves) -> None:
    paul = browser("paul")
    whole, mark = paul.get(FILE), paul.head(FILE).headers["ETag"]
    first = paul.get(FILE, headers={"Range": "bytes=0-99999"})
    rest = paul.get(FILE, headers={"Range": "bytes=100000-", "If-Range": mark})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert rest.headers["Content-Range"] == f"bytes 100000-{len(whole.data) - 1}/{len(whole.data)}"
    assert first.data + rest.data == whole.data
    other = paul.get(FILE, headers={"Range": "bytes=100000-", "If-Range": '"another"'})
    assert (other.status_code, len(other.data)) == (200, len(whole.data)), "put together anew: from the start"
    assert paul.get(FILE, headers={"Range": f"bytes={len(whole.data)}-"}).status_code == 416


def test_logs_each_downloader_once_an_hour(house, browser, bakery, leaves, clock) -> None:
    """Also on each recording's page; a thousand ranges add no further leaves."""
    house.person(bakery, "luc", "Luc Martin", role="customer_admin")
    paul, luc = browser("paul"), browser("luc")
    whole = paul.get(FILE).data
    assert paul.get(FILE, headers={"Range": "bytes=-500"}).data == whole[-500:]
    assert paul.get(FILE, headers={"Range": f"bytes=-{len(whole) + 1}"}).data == whole
    for _ in range(100):
        clock.forward(milliseconds=20)
        assert len(paul.get(FILE, headers={"Range": "bytes=-1"}).data) == 1

    def counted(kind: str) -> list[tuple[str, str | None]]:
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        with connected():
            return [(json.loads(row.body)["user"], row.recording_id) for row in rows]

    me, other = bakery.people["paul"].id, bakery.people["luc"].id
    assert (counted("handover.opened"), counted("recording.handed_over")) == ([(me, None)], [(me, leaves)])
    with writing():
        HandedRecordingTable.update(sent_at=clock()).where(
            HandedRecordingTable.recording_id == leaves
        ).execute()  # a row cannot suppress another user's leaf
        HandoverFetchTable.update(
            id=f"{offboarding_progress.find_offboarding(bakery.id).handover}/{other}"
        ).execute()
    assert luc.get(FILE).data == whole
    assert counted("handover.opened") == [(me, None), (other, None)]
    assert counted("recording.handed_over") == [(me, leaves), (other, leaves)]
    page = paul.get(f"/recordings/{leaves}").text
    for text in ("Paul Martin", "Luc Martin", "L’a téléchargé avec tous les enregistrements"):
        assert text in page
    clock.forward(hours=1)
    luc.get(FILE, headers={"Range": "bytes=0-0"})
    assert len(counted("handover.opened")) == 3
    assert list(Audit(house.store, house.root_public, house.clock(), house.keyring).tenant(bakery.id)) == []


def test_admins_download_until_the_deadline(browser, leaves, clock) -> None:
    assert "quitte le service" not in browser("claire").get("/recordings").text
    clock.forward(days=30)
    paul = browser("paul")
    assert paul.get(FILE).status_code == 410
    assert "période de téléchargement est terminée" in paul.get("/offboarding").text


@pytest.mark.long
def test_page_says_when_the_archive_is_not_ready(house, browser, bakery) -> None:
    assert browser("paul").get("/offboarding").status_code == 404
    office = replace(house.changes, signer=house.services.signer)
    service.announce(office, bakery.id, house.clock() + timedelta(days=30))
    assert "Pas encore prêt" in browser("paul").get("/offboarding").text
    assert browser("paul").get(FILE).status_code == 404


def test_imported_recording_is_listed_and_given_a_purpose(browser, bakery, old) -> None:
    paul, claire = browser("paul"), browser("claire")
    listed = claire.get("/recordings?number=470123456").text
    assert "Importé" in listed
    assert "Importé" in claire.get("/recordings").text
    assert "a été importé" in claire.get(f"/recordings/{old}").text
    refused = claire.send(f"/recordings/{old}", purpose="agreement")
    assert refused.status_code == 403
    assert "a été importé" in refused.text
    retention_page = f"/recordings/{old}/retention"
    assert "Indiquer à quoi il peut servir" in paul.get(f"/recordings/{old}").text
    assert "Indiquer à quoi il peut servir" not in claire.get(f"/recordings/{old}").text
    form = {"purpose": "agreement", "days": "365", "reason": "Lettre du 2 septembre"}
    assert claire.send(f"{retention_page}/basis", **form).status_code == 403
    for wrong, sentence in (
        ({"days": "0"}, "1 ou plus"),
        ({"days": "30"}, "est déjà écoulée"),
        ({"days": "99999"}, "pays ne permettent pas"),
        ({"purpose": "marketing"}, "Choisissez l’un des usages"),
        ({"reason": " "}, "Indiquez la raison"),
    ):
        answer = paul.send(f"{retention_page}/basis", **{**form, **wrong})
        assert (answer.status_code, sentence in answer.text) == (403, True), wrong
    assert paul.send(f"{retention_page}/basis", **form).status_code == 303
    assert claire.get(claire.listen_to(old)).status_code == 200
    assert f'href="/recordings/{old}"' in claire.get("/recordings?number=470123456").text


@pytest.mark.long
def test_own_recording_gets_no_stated_purpose(house, browser, bakery) -> None:
    call = house.call(bakery)
    form = {"purpose": "training", "days": "30", "reason": "x"}
    assert browser("paul").send(f"/recordings/{call}/retention/basis", **form).status_code == 403
    assert queries.recording(bakery.id, call).purposes == ("agreement",)
