"""Users of the panel during a run: they log in, list their calls and listen to one; some leave in the middle
of it."""

from __future__ import annotations

import hashlib
import http.client
import http.cookies
import random
import re
import threading
import urllib.parse
from dataclasses import dataclass, field

SOURCE = re.compile(r'<source src="([^"]+)"')
CHOICE = re.compile(r'href="(/recordings/[0-9a-f-]{36})"')
TOKEN = re.compile(r'name="csrf_token"[^>]* value="([^"]+)"|value="([^"]+)"[^>]* name="csrf_token"')
CLOSE = re.compile(r'data-close="([^"]+)".*?data-play="([^"]+)" data-csrf="([^"]+)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class FetchedSound:
    """A sound that was fetched; ``sha256`` if it arrived completely."""

    grant: str
    play: str
    name: str
    status: int
    received: int
    sha256: str | None


@dataclass
class Visitor:
    """One user, in a thread.  ``failed``: responses that nobody should get, with their place."""

    port: int
    login: str
    password: str
    seed: str
    pause: float = 1.5
    fetched: list[FetchedSound] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    logged_in: int = 0
    broken_off: int = 0
    _cookies: dict[str, str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"visitor {self.login}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(60)

    def _run(self) -> None:
        chance = random.Random(self.seed)
        while not self._ended.wait(self.pause * (0.5 + chance.random())):
            try:
                self._visit(chance)
            except (OSError, http.client.HTTPException):
                self.broken_off += 1

    def _visit(self, chance: random.Random) -> None:
        status, page, _ = self._ask("GET", "/recordings")
        if status in (302, 303):
            self._log_in()
            status, page, _ = self._ask("GET", "/recordings")
        calls = CHOICE.findall(page)
        if status != 200 or not calls:
            return
        place = chance.choice(calls)
        status, page, _ = self._ask("GET", place)
        token = TOKEN.search(page)
        if status != 200 or token is None or 'value="agreement"' not in page:
            return
        form = {"purpose": "agreement", "csrf_token": token[1] or token[2]}
        status, _, where = self._ask("POST", place, form)
        if status != 303:
            return
        status, page, _ = self._ask("GET", where)
        for address in SOURCE.findall(page) if status == 200 else ():
            self._listen(address.replace("&amp;", "&"), chance)
        if (close := CLOSE.search(page)) and chance.random() < 0.6:
            self._ask("POST", close[1], {"play": close[2], "csrf_token": close[3]})

    def _log_in(self) -> None:
        _, page, _ = self._ask("GET", "/login")
        token = TOKEN.search(page)
        if token is None:
            return
        form = {
            "login": self.login,
            "password": self.password,
            "csrf_token": token[1] or token[2],
            "next": "",
        }
        status, _, _ = self._ask("POST", "/login", form)
        self.logged_in += status == 303

    def _listen(self, address: str, chance: random.Random) -> None:
        part = chance.choice((None, None, "bytes=0-99", "bytes=1000-"))
        leaves = chance.random() < 0.2
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        split = urllib.parse.urlsplit(address)
        grant, name = split.path.split("/")[-2:]
        play = urllib.parse.parse_qs(split.query)["play"][0]
        status, received, whole = 0, 0, hashlib.sha256()
        complete = False
        try:
            headers = self._headers() | ({"Range": part} if part else {})
            connection.request("GET", address, headers=headers)
            response = connection.getresponse()
            status = response.status
            if status not in (200, 206):
                response.read()
                return
            while piece := response.read(512 if leaves else 65536):
                whole.update(piece)
                received += len(piece)
                if leaves:
                    return
            complete = status == 200 and received == int(response.headers["Content-Length"])
        finally:
            connection.close()
            sound = received if status in (200, 206) else 0
            sha256 = whole.hexdigest() if complete else None
            self.fetched.append(FetchedSound(grant, play, name, status, sound, sha256))

    def _ask(self, method: str, place: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = self._headers()
            body = None
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                body = urllib.parse.urlencode(form)
            connection.request(method, place, body, headers)
            response = connection.getresponse()
            page = response.read().decode("utf-8", "replace")
            for value in response.headers.get_all("Set-Cookie") or ():
                for name, morsel in http.cookies.SimpleCookie(value).items():
                    self._cookies[name] = morsel.value
            if response.status >= 500 and response.status != 503:
                self.failed.append(f"{method} {place} was answered with {response.status}")
            return response.status, page, response.headers.get("Location", "")
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"Cookie": cookies, "Accept-Language": "en"}
