"""Three browsers in one room on two panel processes with PostgreSQL behind nginx, while one after another
breaks: a panel, the connections to the database, the proxy, and whoever leads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.house import PASSWORD
from tests.ports import free_ports
from tests.postgres import Server

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
PANEL = (sys.executable, "-m", "tests.room_panel")
ROOT = Path(__file__).parents[2]
AUDIO = "document.getElementById('room-audio')"
PHASE = f"{AUDIO}.currentTime - Date.now() / 1000"
SYNC_S = 0.15
WITHIN_S = 20.0

SHIPPED = ROOT / "deploy/nginx/accord.conf"
AROUND = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{site}
}}
"""
"""What Debian's nginx.conf has around a site, for a server in a folder of its own."""


@dataclass(frozen=True)
class Ports:
    """Of the panels, and of the proxy without and with TLS."""

    panels: tuple[int, int]
    http: int
    https: int


def configure(folder: Path, ports: Ports) -> str:
    """The shipped site with ports, certificate and panels of the test."""
    changes = {
        "    server 127.0.0.1:8080 fail_timeout=2s;\n": "".join(
            f"    server 127.0.0.1:{each} fail_timeout=2s;\n" for each in ports.panels
        ),
        "listen 80;": f"listen 127.0.0.1:{ports.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{ports.https} ssl;",
        "/etc/letsencrypt/live/accord.example.com/fullchain.pem": f"{folder}/certificate.pem",
        "/etc/letsencrypt/live/accord.example.com/privkey.pem": f"{folder}/key.pem",
    }
    site = SHIPPED.read_text()
    for shipped, here in changes.items():
        assert site.count(shipped) == 1, shipped
        site = site.replace(shipped, here)
    return AROUND.format(folder=folder, site=site)


def make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-keyout", str(folder / "key.pem")]
    subprocess.run([*command, "-out", str(folder / "certificate.pem")], check=True, capture_output=True)


pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.skipif(NGINX is None, reason="no nginx: apt-get install nginx-light"),
]


@dataclass
class Stage:
    """The processes, and the pages of those in the room: who handles the difference comes first."""

    folder: Path
    url: str
    ports: Ports
    panels: list[subprocess.Popen[str] | None] = field(default_factory=lambda: [None, None])
    proxy: subprocess.Popen[bytes] | None = None
    pages: list[Page] = field(default_factory=list)

    @property
    def home(self) -> str:
        return f"https://127.0.0.1:{self.ports.https}"

    def start_panel(self, number: int) -> None:
        command = [
            *PANEL,
            "serve",
            str(self.folder),
            "--url",
            self.url,
            "--port",
            str(self.ports.panels[number]),
            "--secure",
        ]
        with open(self.folder / f"panel{number}.log", "ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        assert process.stdout.readline(), (self.folder / f"panel{number}.log").read_text()
        self.panels[number] = process

    def kill_panel(self, number: int) -> None:
        process = self.panels[number]
        assert process is not None
        process.kill()
        process.wait()

    def start_proxy(self) -> None:
        assert NGINX is not None
        file = self.folder / "nginx.conf"
        file.write_text(configure(self.folder, self.ports))
        self.proxy = subprocess.Popen([NGINX, "-c", str(file), "-e", str(self.folder / "error.log")])

    def kill_proxy(self) -> None:
        assert self.proxy is not None
        self.proxy.terminate()
        self.proxy.wait(10)

    def close(self) -> None:
        for process in (*self.panels, self.proxy):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(30)


def until(what: str, check: Callable[[], object], pages: list[Page]) -> float:
    """Wait until a check is true; returns how long it took, in seconds."""
    begin = time.monotonic()
    while not check():
        assert time.monotonic() - begin < WITHIN_S, what
        pages[0].wait_for_timeout(50)
    return time.monotonic() - begin


def plays(page: Page) -> bool:
    return bool(page.evaluate(f"!{AUDIO}.paused && {AUDIO}.currentTime > 0.3"))


def rests(page: Page) -> bool:
    return bool(page.evaluate(f"{AUDIO}.paused && !{AUDIO}.seeking"))


def are_together(pages: list[Page]) -> bool:
    """Whether all play, and hear the same moment."""
    if not all(map(plays, pages)):
        return False
    phases = [float(page.evaluate(PHASE)) for page in pages]
    return max(phases) - min(phases) < SYNC_S


def press(page: Page, selector: str = "#room-toggle") -> None:
    page.locator(selector).click()


def check_commands(pages: list[Page], what: str) -> tuple[float, float]:
    """Whoever leads pauses and goes on, and all follow; returns how long each took, in seconds."""
    press(pages[0])
    rest = until(f"{what}: all rest", lambda: all(map(rests, pages)), pages)
    press(pages[0])
    together = until(f"{what}: all play", lambda: are_together(pages), pages)
    return rest, together


@contextmanager
def people(browser: Browser, stage: Stage, room: dict[str, object]) -> Iterator[list[BrowserContext]]:
    with ExitStack() as stack:
        contexts = []
        for _ in range(3):
            context = browser.new_context(locale="en-GB", ignore_https_errors=True)
            stack.callback(context.close)
            contexts.append(context)
            stage.pages.append(context.new_page())
        host, *guests = stage.pages
        host.goto(f"{stage.home}/login")
        host.fill("#login", str(room["login"]))
        host.fill("#password", PASSWORD)
        host.click("main button[type=submit]")
        links: list[list[str]] = room["links"]  # type: ignore[assignment]
        for page, (link, code) in zip(guests, links, strict=True):
            page.goto(stage.home + link)
            page.fill("#code", code)
            page.locator("button[value=accepted]").click()
        for page in stage.pages:
            page.goto(f"{stage.home}/together/{room['room']}/room")
            page.locator("#room-enter-button").click()
            until("the sound is there", lambda page=page: page.evaluate(f"{AUDIO}.readyState >= 3"), [page])
        yield contexts


def test_a_room_goes_on_when_parts_of_it_break(chromium: Browser, postgres: Server, tmp_path: Path) -> None:
    seconds: dict[str, object] = {}
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        output = subprocess.run(
            [*PANEL, "make", str(tmp_path), "--url", url, "--times", "20"], cwd=ROOT, stdout=subprocess.PIPE,
            check=True,
        )  # fmt: skip
        (room,) = json.loads(output.stdout)
        ports = Ports((free_ports(), free_ports()), free_ports(), free_ports())
        stage = Stage(tmp_path, url, ports)
        make_certificate(tmp_path)
        stack.callback(stage.close)
        for number in (0, 1):
            stage.start_panel(number)
        stage.start_proxy()
        contexts = stack.enter_context(people(chromium, stage, room))
        pages = stage.pages
        press(pages[0])
        seconds["begin"] = until("all begin", lambda: are_together(pages), pages)
        seconds["before"] = check_commands(pages, "before")

        for number in (0, 1):  # both in turn: whichever has the streams of events
            stage.kill_panel(number)
            pages[0].wait_for_timeout(500)
            assert all(map(plays, pages)), "the sound goes on from what is loaded"
            seconds[f"panel {number} killed"] = check_commands(pages, f"panel {number} killed")
            stage.start_panel(number)
            seconds[f"panel {number} is back"] = check_commands(pages, f"panel {number} is back")

        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        seconds["database connections cut"] = check_commands(pages, "database connections cut")

        stage.kill_proxy()
        pages[0].wait_for_timeout(4000)
        assert all(map(plays, pages))
        assert pages[1].locator("#room-trouble").is_visible(), "the page says that it has lost the others"
        stage.start_proxy()
        until("the page says no more", lambda: not pages[1].locator("#room-trouble").is_visible(), pages)
        seconds["proxy is back"] = check_commands(pages, "proxy is back")

        contexts[0].close()  # whoever leads is gone, and cannot say so
        begin = time.monotonic()
        rest = pages[1:]
        lead = rest[0].locator("#room-take")
        while not lead.is_visible():
            assert time.monotonic() - begin < 40, "the lead is free"
            rest[0].wait_for_timeout(200)
        seconds["lead is free"] = time.monotonic() - begin
        assert are_together(rest), "the others went on"
        lead.click()
        until("somebody else leads", lambda: not lead.is_visible(), rest)
        seconds["somebody else leads"] = check_commands(rest, "somebody else leads")
    print(json.dumps(seconds, indent=2), file=sys.stderr)
