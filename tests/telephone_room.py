"""A room with people on the telephone: a dispute, the daemon's part on a switch, and the worker's thread. The
same for the real switch and the practice switch."""

from __future__ import annotations

import os
import random
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from recorder import config
from recorder.capture.command_listener import CommandListener
from recorder.capture.room_conferences import RoomConferences
from recorder.clock import utc_now
from recorder.domain.room_caller import SESSION_VARIABLE
from recorder.errors import ConfigError
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.rooms.rules import RoomCommand
from recorder.features.rooms.service import Rooms
from recorder.features.rooms.sound_folder import SoundFolder
from recorder.features.rooms.telephone import TelephoneRooms
from recorder.identity import users
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.mail.outbox import Outbox
from recorder.playback.conference_gate import ConferenceGate
from recorder.playback.interface import Actor, ConferenceListener
from recorder.processes.telephone_rooms import RoomAdmissions, open_telephone_rooms
from recorder.prompts.composer import ROOM_SENTENCES, room_sentence
from recorder.prompts.sound_sources import Sources
from recorder.seal.dispute_kinds import ACCEPTED, OutcomeConfirmed
from recorder.spool.snapshot import ROOM_PROMPTS
from recorder.switch.conference_events import MAINTENANCE
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import Node
from tests.house import House
from tests.room_panel import make_rooms
from tests.scenarios.mechanics import write_tone
from tests.tone_speech import Tone

RATE: Final = 8000
GUEST, NEUTRAL = "701", "702"
"""The numbers that lead into the room: as the person who was recorded, and as somebody who was not."""
STRANGER: Final = "703"
"""… and as nobody."""

PART: Final = "704"
"""… and as somebody who may hear :data:`PASSAGE` alone, in milliseconds."""
PASSAGE: Final = (11_000, 14_000)


class TelephoneRoom:
    """The room. Write its extensions (:meth:`write_extensions`), start a switch, then :meth:`connect`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (facts,) = make_rooms(folder, "", 1, 1)
        self.house = House(folder, utc_now, os.urandom, url="")
        self.id: str = facts["room"]
        self.tenant = _tenant_of(self.id)
        disputes = Disputes(self.house.changes)
        invitations = GuestInvitations(disputes, Outbox())
        link = invitations.open_link(facts["links"][1][0].rpartition("/")[2])
        invitations.answer(link, ACCEPTED, notice="You may say no.", language="en")
        self.dispute = disputes.find(self.tenant, self.id)
        (self.recording,) = self.dispute.recording_ids
        self._invite_to_part(invitations)
        self.dispute = disputes.find(self.tenant, self.id)
        self.sessions = {
            number: self._open_session(guest.id)
            for number, guest in zip((GUEST, NEUTRAL, PART), self.dispute.guests, strict=True)
        }
        self._sounds = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-")
        self.folder = Path(self._sounds.name)
        self.folder.chmod(0o2750)
        try:
            SoundFolder(self.folder).check()
        except ConfigError as error:
            pytest.skip(error.message)
        self.rooms = Rooms(utc_now)
        self.worker: TelephoneRooms | None = None

    def _invite_to_part(self, invitations: GuestInvitations) -> None:
        people = self.dispute.opened_by.id, self.dispute.guests[0].id
        claire, jan = (users.user(self.tenant, each or "") for each in people)
        assert claire is not None
        assert jan is not None
        Agreements(invitations.disputes).mark_passage(claire, self.id, self.recording, *PASSAGE, "The date")
        passage = invitations.disputes.find(self.tenant, self.id).passages[-1].id
        issued = invitations.invite_neutral(
            claire, self.id, [passage], name="Ann", language="en", address=None
        )
        invitations.agree_to_guest(jan, self.id, issued.guest, ACCEPTED, passages=[passage])
        link = invitations.open_link(issued.path.rpartition("/")[2])
        invitations.answer(link, ACCEPTED, notice="You may say no.", language="en")

    def _open_session(self, user: str) -> str:
        person = users.user(self.tenant, user)
        assert person is not None
        return users.open_session(
            person, token_sha256=token_hash(new_token(os.urandom)), now=utc_now(),
            until=utc_now() + timedelta(hours=2), entropy=os.urandom,
        ).id  # fmt: skip

    def write_extensions(self, conf: Path) -> None:
        """The ways into the room, in the dialplan of a switch."""
        extensions = "".join(
            f'<extension name="room_{number}"><condition field="destination_number" expression="^{number}$">'
            f'<action application="set" data="{SESSION_VARIABLE}={self.sessions.get(number, "")}"/>'
            f'<action application="answer"/>'
            f'<action application="conference" data="accord-room-{self.id}@accord_room"/>'
            "</condition></extension>"
            for number in (GUEST, NEUTRAL, STRANGER, PART)
        )
        path = conf / "dialplan" / "public" / "00_a.xml"
        path.write_text(f"<include>\n{extensions}\n</include>\n")  # the switch drops a line with <include>

    def connect(self, port: int, password: str) -> None:
        """Connect to the switch as the daemon does, and start the worker's thread."""
        self.node = Node(
            "127.0.0.1", port, password, names=("CHANNEL_HANGUP_COMPLETE",), subclasses=(MAINTENANCE,),
            on_event=self._handle, on_up=lambda live: self.conferences.reconcile(live),
            on_down=lambda _reason: None, random=random.random,
        )  # fmt: skip
        self.conferences = RoomConferences(self.node)
        self.sentences = self.house.services.snapshot / ROOM_PROMPTS
        self.sentences.mkdir(parents=True, exist_ok=True)
        self.write_sentence("keys")
        spool = self.house.services.spool
        spool.mkdir(exist_ok=True)
        self.listener = CommandListener(spool, {}, self.node, utc_now, rooms=self.conferences.answer)
        self.listener.start()
        self.node.start()
        assert self.node.up.wait(10)
        self.start_worker()

    def write_sentence(self, name: str) -> None:
        """Have the switch find a sentence; others play to nobody."""
        write_tone(self.sentences / f"{name}-en.wav", 440, 0.4)

    def speak(self) -> None:
        """Have a speech engine, before anybody calls."""
        assert self.worker is not None
        self.worker.sources = Sources(engines=(Tone(),))

    def write_sentences(self) -> None:
        """Have the switch find all sentences, as the worker writes them."""
        for name in ROOM_SENTENCES:
            (self.sentences / f"{name}-en.wav").write_bytes(room_sentence(name, ("en",)).wav)

    def write_outcome(self) -> str:
        """What somebody of the company writes in a browser; returns its hash."""
        person = users.user(self.tenant, self.dispute.opened_by.id or "")
        assert person is not None
        disputes = Disputes(self.house.changes)
        Agreements(disputes).write_outcome(person, self.id, "anew", "Delivery on Friday.")
        outcome = disputes.find(self.tenant, self.id).outcome
        assert outcome is not None
        return outcome.sha256

    def confirmation(self) -> OutcomeConfirmed | None:
        """The newest statement, if it confirms an outcome."""
        data = Disputes(self.house.changes).find(self.tenant, self.id).statements[-1].data
        return data if isinstance(data, OutcomeConfirmed) else None

    def _handle(self, event: EslEvent) -> None:
        if event.subclass == MAINTENANCE:
            self.conferences.handle_event(event)

    def start_worker(self) -> None:
        settings = config.validate({"rooms": {"sounds": str(self.folder)}})
        self.worker = open_telephone_rooms(settings, self.house.services)
        assert self.worker is not None
        self.worker.start()

    def command(self, action: Any, **more: Any) -> None:
        """What somebody in a browser does."""
        room = self.rooms.find(self.tenant, self.id, self.recording)
        self.rooms.command(
            room,
            RoomCommand(action, **more),
            "claire",
            seq=room.seq,
            durations={self.recording: self.duration_ms},
        )

    @property
    def duration_ms(self) -> int:
        assert self.worker is not None
        admissions = self.worker.callers
        assert isinstance(admissions, RoomAdmissions)
        found = admissions.find(self.id, self.sessions[GUEST])
        assert found is not None
        return found.durations[self.recording]

    def sound(self) -> np.ndarray:
        """All of the recording's sound, as on the telephone."""
        assert self.worker is not None
        gate, session = self.worker.gate, self.sessions[GUEST]
        assert isinstance(gate, ConferenceGate)
        user = users.user_of_session(session)
        assert user is not None
        who = Actor(user.id, user.tenant, user.role, user.language, session)
        grant = gate.grant(who, self.recording, self.dispute.purposes[0])
        return np.frombuffer(b"".join(gate.open_together([ConferenceListener(who, grant)])), "<i2")

    def close(self) -> None:
        if self.worker is not None:
            self.worker.stop()
        self.listener.stop()
        self.node.stop()
        self.house.close()
        self._sounds.cleanup()


def _tenant_of(dispute: str) -> str:
    from recorder.catalogue.database import connected
    from recorder.catalogue.tables.dispute import DisputeTable

    with connected():
        return str(DisputeTable.get(DisputeTable.id == dispute).tenant_id)


def place_of(piece: np.ndarray, sound: np.ndarray) -> tuple[float, float]:
    """Where in ``sound`` a piece is from, in milliseconds, and how well it fits (to 1)."""
    piece, whole = piece.astype(float), sound.astype(float)
    size = 1 << (len(whole) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)
    product = product[: len(whole) - len(piece)]
    energy = np.concatenate([[0.0], np.cumsum(whole**2)])
    norms = np.sqrt((energy[len(piece) :] - energy[: -len(piece)])[: len(product)] * np.sum(piece**2))
    scores = np.where(norms > 1e6, product / np.maximum(norms, 1), 0)
    best = int(scores.argmax())
    return best * 1000 / RATE, float(scores[best])
