"""A customer's first week, by the test's clock: registered on Monday, with calls on the practice switch
through the real daemon and the real stages, and what its people see of them in the panel, day by day."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest
import soundfile
from flask import Flask

from demo.practice.pace import Pace
from demo.practice.party import PracticeParty, dialogue
from demo.practice.session import PracticeCall
from demo.practice.switch import PracticeSwitch
from demo.spoken_digits import code_in
from recorder.domain.roles import OPERATOR, PROVIDER
from recorder.features.tenants.duty import SnapshotDuty
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.registration import Registration
from recorder.lifecycle import expiry
from recorder.prompts.composer import SHIPPED
from recorder.spool import layout
from recorder.verification_calls.caller import VerificationCaller
from recorder.verification_calls.policy import CallPolicy
from tests.clock import Clock, PacedClock
from tests.entropy import RepeatableEntropy
from tests.house import PASSWORD as HOUSE_PASSWORD
from tests.house import Customer, House
from tests.scenarios.driver import DaemonProcess
from tests.scenarios.practice_driver import ROOT, free_port
from tests.unit.web.account_mails import shown_link
from tests.unit.web.conftest import Browser, browsers, prepared
from tests.unit.web.page_text import english, text_of
from tests.unit.web.player import open_player
from tests.waiting import until
from web import WebConfig

SPEED = 4.0
"""How many seconds of a call pass in one."""

PASSWORD = "a lamp beside seven rivers"
SWITCH_PASSWORD = "only-for-this-test-1"
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NUMBER = "+3225550177"
KEPT_DAYS = 7
DENISE, LUC = "denise@dubois.example", "luc@dubois.example"
JAN, ELS, PIET, AN, TOM = "+32470123456", "+32485010203", "+32496777888", "+32475334455", "+32468135792"
STATED_NAMES = {PIET: "Piet\u202e  Peeters\x07"}
"""The names that callers send with their calls."""

CALL = re.compile(r'<li class="call[^"]*">.*?</li>', re.DOTALL)

Talk = Callable[["Day", PracticeCall, str], None]
"""What the two do from the call's arrival until they talk; the last argument is the caller's number."""


@dataclass
class Day:
    """A day on which calls arrive: switch and daemon, which both go by a clock that starts with the day."""

    house: House
    start: datetime
    clock: PacedClock = field(init=False)
    switch: PracticeSwitch = field(init=False)
    _daemon: DaemonProcess = field(init=False)

    def __post_init__(self) -> None:
        self.house.clock.at = self.start
        self.clock = PacedClock(self.start, SPEED)
        port = free_port()
        self.switch = PracticeSwitch(
            password=SWITCH_PASSWORD, daemon=f"127.0.0.1:{port}", pace=Pace(SPEED, self.clock)
        )
        self.refresh_snapshot()
        self.switch.start()
        clock = {**asdict(self.clock), "start": self.start.isoformat()}
        settings = {
            "node": "node1", "spool": str(self.house.spool), "snapshot": str(self.house.folder / "snapshot"),
            "password": SWITCH_PASSWORD, "switch_port": self.switch.event_port, "listen_port": port,
            "dial": "sofia/gateway/trunk/{number}", "dial_as": "3225550100", "clock": clock,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "tests/freeswitch/run_daemon.py"), json.dumps(settings)]
        self.log = self.house.folder / f"daemon-{self.start:%d}.log"
        self._daemon = DaemonProcess(command, ROOT, self.log)
        self._daemon.start()
        until("the daemon is ready", lambda: self.switch.has_daemon)

    def refresh_snapshot(self) -> None:
        assert SnapshotDuty(self.house.services, (), SHIPPED).refresh()

    def tell_node(self) -> None:
        """Let the node know what was set up today."""
        before = self.log.read_text().count("snapshot.read")
        self.refresh_snapshot()
        until("the node has read it", lambda: self.log.read_text().count("snapshot.read") > before)

    def folder(self, caller: str) -> Path | None:
        """The folder of a caller's call in the spool."""
        for start in self.house.spool.glob(f"*/{layout.CALL}"):
            if layout.read_start(start.parent).external_party.value == caller:
                return start.parent
        return None

    def wait_for(self, caller: str, kind: str) -> None:
        """Wait for a marker of a caller's call."""

        def there() -> bool:
            folder = self.folder(caller)
            return folder is not None and kind in [each.kind for each in layout.read_markers(folder)]

        until(f"{kind} of {caller}", there)

    def calls(self, *talks: tuple[str, Talk]) -> None:
        """Calls that arrive at once, until what became of them is stored."""
        caller_voice, colleague_voice = dialogue("fr")

        def one(caller: str, talk: Talk) -> None:
            party = PracticeParty(
                caller,
                STATED_NAMES.get(caller, ""),
                rings=0.3,
                early=caller_voice,
                speaks=caller_voice,
                answers_with=colleague_voice,
            )
            call = self.switch.call(NUMBER, party)
            talk(self, call, caller)
            self.switch.pace.sleep(2.0)
            call.hang_up()
            assert call.wait("ended", 60)

        gevent.joinall([gevent.spawn(one, *each) for each in talks], raise_error=True)
        until("the calls are closed", lambda: all(self._closed(caller) for caller, _ in talks))
        self.house.clock.at = self.clock()
        for caller, _ in talks:
            folder = self.folder(caller)
            assert folder is not None
            self.house.work(folder)
            assert not folder.exists(), "it is stored"

    def _closed(self, caller: str) -> bool:
        folder = self.folder(caller)
        return folder is not None and (folder / layout.END).exists()

    def end(self) -> None:
        self._daemon.kill()
        self.switch.stop()


def agree(day: Day, call: PracticeCall, caller: str) -> None:
    """The caller agrees to be recorded, hears the announcement, and talks."""
    day.wait_for(caller, "question_finished")
    day.switch.pace.sleep(0.3)
    call.press("1")
    day.wait_for(caller, "bridged")


def refuse(day: Day, call: PracticeCall, caller: str) -> None:
    day.wait_for(caller, "question_finished")
    day.switch.pace.sleep(0.3)
    call.press("2")
    assert call.wait("bridged", 60)


def answer(key: str) -> Talk:
    """The colleague asks whether the recording may be kept, and the caller presses a key."""

    def talk(day: Day, call: PracticeCall, caller: str) -> None:
        agree(day, call, caller)
        day.switch.pace.sleep(1.0)
        call.callee_presses("*5")
        day.wait_for(caller, "keep_question_heard")
        day.switch.pace.sleep(0.4)
        call.press(key)
        day.wait_for(caller, "keep_answer_confirmed")

    return talk


def connect(_day: Day, call: PracticeCall, _caller: str) -> None:
    assert call.wait("bridged", 60)


@pytest.fixture
def house(tmp_path: Path, catalogue: str, entropy: RepeatableEntropy) -> Iterator[House]:
    house = House(tmp_path, Clock(MONDAY), entropy, url=catalogue)
    yield house
    house.close()


@pytest.fixture
def day(house: House) -> Iterator[Callable[[int], Day]]:
    """Begins a day, so many days after Monday, and ends the one before."""
    days: list[Day] = []

    def begin(number: int) -> Day:
        while days:
            days.pop().end()
        days.append(Day(house, MONDAY + timedelta(days=number)))
        return days[0]

    yield begin
    for each in days:
        each.end()


@pytest.fixture
def panel(house: House) -> Flask:
    registration = Registration(house.keyring, house.changes.signer, "open", entropy=house.entropy)
    registration.open_provider("Telvoip", "en", house.clock())
    house.person(Customer(PROVIDER, None, None), "olga", "Olga Opera", OPERATOR)  # type: ignore[arg-type]
    proofs = NumberProofs(CallPolicy(), now=house.clock, entropy=house.entropy)
    config = WebConfig(secret_key=b"k" * 32, secure_cookies=False)
    return prepared(house.app(config, registration=registration, number_proofs=proofs))


def log_in(panel: Flask, login: str, password: str = PASSWORD) -> Browser:
    person = browsers(panel)()
    assert person.log_in(login, password).status_code == 303
    return english(person)


def register(panel: Flask) -> Browser:
    person = english(browsers(panel)())
    form = {
        "company": "Fromagerie Dubois", "country": "be", "time_zone": "Europe/Brussels", "languages": "fr",
        "name": "Denise Dubois", "login": DENISE, "password": PASSWORD,
    }  # fmt: skip
    assert person.send("/register", **form).status_code == 303
    return person


def add_number(person: Browser, day: Day) -> str:
    """Add the number by the code of a call to it; the path of its pages."""
    address = person.send("/numbers/new", number="02 555 01 77").location
    caller = VerificationCaller("node1", day.house.spool, now=day.house.clock, entropy=day.house.entropy)
    assert gevent.get_hub().threadpool.apply(caller.turn)
    ((_, sound),) = day.switch.called_out
    assert "The call was answered" in text_of(person.get(address).text)
    code = code_in(soundfile.read(sound, dtype="float32")[0], "en")
    return str(person.send(address, code=code).location).removesuffix("/setup")


def digest(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    assert found is not None, text_of(page)
    return found[1]


def switch_on(person: Browser, number: str) -> None:
    """Choose what callers are asked and told, hear it, and switch it on; the keep question, too."""
    choices = {"purposes": "agreement", "mode": "opt-in", "keep_days": str(KEPT_DAYS), "languages": "fr",
               "first": "fr", "wording": "short"}  # fmt: skip
    assert person.send(f"{number}/setup", **choices).status_code == 303
    preview = digest(person.get(f"{number}/preview").text)
    assert person.send(f"{number}/on", digest=preview).status_code == 303
    keep = {"way": "question", "keep_days": "365", "without_yes": "keep", "at_start": "", "wording": "short"}
    preview = digest(person.get(f"{number}/keep-question", query_string=keep).text)
    assert person.send(f"{number}/keep-question/on", digest=preview, **keep).status_code == 303


def join(panel: Flask, admin: Browser, name: str, address: str) -> None:
    """Somebody accepts the admin's invitation, whose link is shown."""
    form = {"name": name, "address": address, "role": "customer", "language": "en", "sees": "all"}
    path = shown_link(admin.send("/team/invite", **form, how="link"))
    guest = browsers(panel)()
    assert guest.send(path, guest.token(path), password=PASSWORD).status_code == 303


def listed(person: Browser, **filters: str) -> list[str]:
    """What the list says of each call, latest first, without its time and length."""
    page = person.get("/recordings", query_string=filters)
    assert page.status_code == 200
    texts = [text_of(f"<main{each}") for each in CALL.findall(page.text)]
    return [re.sub(r"^\d\d:\d\d | \d+:\d\d \d+ seconds$", "", each) for each in texts]


def recording_of(person: Browser, caller: str) -> str:
    """The id of a caller's one recording, as the list links to it."""
    page = person.get("/recordings", query_string={"q": caller}).text
    (found,) = re.findall(r'href="/recordings/([0-9a-f-]{36})"', page)
    return str(found)


def is_heard(person: Browser, recording: str) -> bool:
    return person.get(open_player(person, recording)["audio.opus"]).data.startswith(b"OggS")


def rates_of_the_week(person: Browser) -> str:
    """Calls, announced, refused, asked, agreed and not recorded, each number but the first with its share."""
    found = re.search(r"Week of 23 Nov 2026 ([0-9 %]+)", text_of(person.get("/recordings/rates").text))
    assert found is not None
    return found[1].strip()


def test_first_week(panel: Flask, house: House, day: Callable[[int], Day]) -> None:
    monday = day(0)
    denise = register(panel)
    number = add_number(denise, monday)
    switch_on(denise, number)
    assert "Waiting for your call" in text_of(denise.get("/first-day").text)
    monday.tell_node()
    monday.calls((JAN, agree))
    assert listed(denise) == ["+32 470 12 34 56 called +32 2 555 01 77 Announced"]
    assert "The call was recorded – Done" in text_of(denise.get("/first-day").text)
    jan = recording_of(denise, JAN)
    assert is_heard(denise, jan)

    tuesday = day(1)
    denise = log_in(panel, DENISE)
    join(panel, denise, "Luc Maes", LUC)
    team = denise.get("/team").text
    (of_luc,) = re.findall(r'href="(/team/[0-9a-f-]{36})"', team.partition("Luc Maes")[2])
    assert denise.send(of_luc, role="customer", extensions="02 555 01 77").status_code == 303
    assert "Extensions: +3225550177" in text_of(denise.get("/team").text)
    tuesday.calls((ELS, refuse), (PIET, answer("1")))
    assert sorted(listed(denise)) == [
        "+32 470 12 34 56 called +32 2 555 01 77 · with Luc Maes Announced",
        "+32 485 01 02 03 called +32 2 555 01 77 Not recorded The caller chose not to be recorded.",
        "+32 496 77 78 88 called +32 2 555 01 77 · with Luc Maes Announced Agreed to keep",
    ]

    wednesday = day(2)
    luc = log_in(panel, LUC)
    wednesday.calls((AN, answer("2")))
    assert listed(luc, agreement="refused") == [
        "+32 475 33 44 55 called +32 2 555 01 77 · with Luc Maes Announced Agreed not to keep"
    ]
    piet = recording_of(luc, PIET)
    assert '<input type="hidden" name="name" value="Piet Peeters">' in luc.get(f"/recordings/{piet}").text
    assert luc.send(f"/recordings/{piet}/contact", name="Piet Peeters").status_code == 303
    assert luc.send(f"/recordings/{piet}/notes", text="Rappeler lundi", place="0:02").status_code == 303
    assert luc.send(f"/recordings/{piet}/labels", label="Commande").status_code == 303
    olga = log_in(panel, "olga", HOUSE_PASSWORD)
    (customer,) = {*re.findall(r'href="(/customers/[0-9a-f-]{36})"', olga.get("/customers").text)}
    assert olga.send(f"{customer}{number}/suspension", reason="An unpaid invoice").location == customer

    thursday = day(3)
    denise = log_in(panel, DENISE)
    assert "Reason: An unpaid invoice" in text_of(denise.get("/numbers").text)
    thursday.calls((TOM, connect))
    suspended = "Your provider had suspended recording for this number."
    assert listed(denise)[0] == f"+32 468 13 57 92 called +32 2 555 01 77 Not recorded {suspended}"
    olga = log_in(panel, "olga", HOUSE_PASSWORD)
    assert olga.send(f"{customer}{number}/resume").location == customer
    assert "Recording is on" in text_of(denise.get("/numbers").text)

    house.clock.at = MONDAY + timedelta(days=4)
    denise = log_in(panel, DENISE)
    of_piet = (
        "Piet Peeters +32 496 77 78 88 · called +32 2 555 01 77 · with Luc Maes"
        " Announced Agreed to keep Commande 1 note"
    )
    for words in ("0496 77 78", "peeters", "rappeler"):
        assert listed(denise, q=words) == [of_piet], words
    for filters in ({"label": "Commande"}, {"noted": "yes"}, {"agreement": "agreed"}):
        assert listed(denise, **filters) == [of_piet], filters
    assert [each.partition(" called")[0] for each in listed(denise, q="luc maes")] == [
        "+32 475 33 44 55", "Piet Peeters +32 496 77 78 88 ·", "+32 470 12 34 56",
    ]  # fmt: skip
    assert listed(denise, q="denise") == []
    choice = re.findall(r'name="recording" value="([^"]+)"', denise.get("/recordings?select=yes").text)
    assert choice == [recording_of(denise, AN), piet, jan]
    form = {"recording": [choice[0], jan], "action": "label", "new_label": "Fromages"}
    page = denise.get(denise.send("/recordings/selection", **form).location).text
    assert "2 recordings have the label “Fromages”." in page
    assert len(listed(denise, label="Fromages")) == 2
    table = csv.DictReader(io.StringIO(denise.send("/recordings.csv").get_data().decode("utf-8-sig")))
    columns = (
        "Other party", "Name", "Colleague", "Why not recorded", "Announced", "Agreement to keep", "Labels",
    )  # fmt: skip
    refused, maes = "The caller chose not to be recorded.", "Luc Maes"
    assert sorted(tuple(row[each] for each in columns) for row in table) == [
        ("'+32468135792", "", "", suspended, "", "", ""),
        ("'+32470123456", "", maes, "", "Yes", "Not asked", "Fromages"),
        ("'+32475334455", "", maes, "", "Yes", "Agreed not to keep", "Fromages"),
        ("'+32485010203", "", "", refused, "", "", ""),
        ("'+32496777888", "Piet Peeters", maes, "", "Yes", "Agreed to keep", "Commande"),
    ]
    assert rates_of_the_week(denise) == "5 4 80% 1 20% 2 40% 1 50% 2 40%"
    reasons = text_of(denise.get("/recordings/rates").text)
    assert f"{refused} 1" in reasons
    assert f"{suspended} 1" in reasons

    house.clock.at = MONDAY + timedelta(days=KEPT_DAYS)
    assert expiry.destroy_due(house.services, house.clock()) == 0, "the call ended a little later"
    house.clock.forward(hours=1)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    denise = log_in(panel, DENISE)
    left = [each.partition(" called")[0] for each in listed(denise, show="recorded")]
    assert left == ["+32 475 33 44 55", "Piet Peeters +32 496 77 78 88 ·"]
    page = text_of(denise.get(f"/recordings/{jan}").text)
    assert "This recording has been destroyed." in page
    assert "Its announced retention was over." in page
    assert denise.send(f"/recordings/{jan}", purpose="agreement").status_code == 410
    assert "Kept until 24 November 2027." in text_of(denise.get(f"/recordings/{piet}").text)
    assert is_heard(denise, piet)
    assert rates_of_the_week(denise) == "5 4 80% 1 20% 2 40% 1 50% 2 40%", "what is erased still counts"
