"""Security headers of every response, and error pages."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from flask import request
from structlog.testing import capture_logs

import web
import web.proxies
from recorder.status_server import AllowedClients
from recorder.store.contract import Unreachable
from tests.house import PASSWORD
from web import WebConfig, create_app, health
from web.state import PanelState

ROOT = Path(web.__file__).parent


@pytest.mark.parametrize(
    "path", ["/login", "/recordings", "/nowhere", "/healthz", "/static/accord.css", "/language"]
)
def test_every_response_has_security_headers(browser, bakery, path):
    headers = browser("claire").get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "microphone=()" in headers["Permissions-Policy"]
    if not path.startswith("/static"):
        assert headers["Cache-Control"] == "no-store"
        assert "nonce" not in policy["style-src"]


def test_player_style_nonce_is_new_in_each_response(browser, house, bakery):
    recording = house.call(bakery)
    person = browser("claire")
    page = person.listen_to(recording)
    nonces = []
    for _ in range(2):
        answer = person.get(page)
        (nonce,) = re.findall(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert f'data-nonce="{nonce}"' in answer.text
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


ALONE = ROOT / "packs" / "templates" / "packs" / "report.html"
"""Not a page of the panel: it leaves in a pack, and has its style with it."""


def test_pages_have_no_inline_code_or_style():
    assert "<script" not in ALONE.read_text("utf-8")
    for page in {*ROOT.rglob("*.html")} - {ALONE}:
        text = page.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", text), page
        assert not re.search(r"https?://(?!www\.w3\.org)\w", text), f"{page} names another site"


def test_secure_cookies_have_the_host_prefix(house, bakery, clock, entropy):
    app = create_app(PanelState(WebConfig(b"k" * 32), gate=house.gate, now=clock, entropy=entropy))
    client = app.test_client()
    page = client.get("/login", base_url="https://panel.example")
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text).group(1)
    form = {"csrf_token": token, "login": "claire", "password": PASSWORD}
    answer = client.post("/login", data=form, base_url="https://panel.example")
    assert answer.status_code == 303
    lines = answer.headers.getlist("Set-Cookie") + page.headers.getlist("Set-Cookie")
    names = {line.partition("=")[0] for line in lines}
    assert names == {"__Host-accord-session", "__Host-accord-device", "__Host-accord-form"}
    for line in lines:
        assert "Secure" in line
        assert "HttpOnly" in line
        assert "Path=/" in line
        assert "Domain" not in line
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_trusts_forwarding_headers_of_configured_proxies_only(house, bakery, clock, entropy, browser):
    direct = browser()
    for n in range(11):
        direct.client.post("/login", headers={"X-Forwarded-For": f"198.51.100.{n}"})
    behind = create_app(
        PanelState(WebConfig(b"k" * 32, secure_cookies=False, proxies=1), gate=house.gate, now=clock)
    )
    addresses = []
    behind.add_url_rule(
        "/seen", view_func=lambda: addresses.append(web.account.limits.client_network()) or ""
    )
    client = behind.test_client()
    client.get("/seen", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.1"})
    assert addresses == ["198.51.100.1"], "what the nearest proxy saw, not what the browser wrote before it"


FORGED = {
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=198.51.100.1;host=evil.example;proto=https",
    "X-Real-IP": "198.51.100.1",
}


@pytest.mark.parametrize(
    ("proxies", "networks", "peer", "is_proxy"),
    [(0, (), "127.0.0.1", False), (1, (), "127.0.0.1", True), (1, (), "::1", True),
     (1, (), "192.0.2.9", False),
     (1, ("192.0.2.0/24",), "192.0.2.9", True), (1, ("192.0.2.0/24",), "203.0.113.1", False)],
)  # fmt: skip
def test_removes_forwarding_headers_of_strangers(house, clock, proxies, networks, peer, is_proxy):
    config = WebConfig(b"k" * 32, proxies=proxies, proxy_networks=networks)
    app = create_app(PanelState(config, gate=house.gate, now=clock))
    addresses = []
    app.add_url_rule(
        "/seen", view_func=lambda: addresses.append((web.account.limits.client_network(), request.url)) or ""
    )
    client = app.test_client()
    client.get("/seen", headers=FORGED, environ_base={"REMOTE_ADDR": peer})
    address, url = addresses[0]
    assert address == ("198.51.100.1" if is_proxy else web.proxies.network(peer))
    assert url == ("https" if is_proxy else "http") + "://localhost/seen", "the host is never theirs to say"


@pytest.mark.parametrize(
    "path", ["/login", "/nowhere", "/static/accord.css", "/static/none", "/healthz", "/api/v1/none"]
)
def test_secure_panel_sends_strict_transport_security(house, clock, path):
    app = create_app(PanelState(WebConfig(b"k" * 32), gate=house.gate, now=clock))
    headers = app.test_client().get(path, base_url="https://panel.example").headers
    assert int(headers["Strict-Transport-Security"].removeprefix("max-age=").partition(";")[0]) >= 31536000


def test_static_files_are_immutable_with_hash_and_revalidated_without(browser):
    page = browser().get("/login").text
    address = re.search(r'href="(/static/accord\.css\?v=\w+)"', page).group(1)
    assert "immutable" in browser().get(address).headers["Cache-Control"]
    assert browser().get("/static/accord.css?v=other").headers["Cache-Control"] == "no-cache"
    assert browser().get("/static/../config.py").status_code == 404


def test_health_endpoints_report_one_word(browser, house):
    for path, word in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = browser().get(path)
        assert (answer.status_code, answer.json["status"]) == (200, word)
        assert "Set-Cookie" not in answer.headers
        assert list(answer.json) == ["status"]
        # A local proxy that adds no header is indistinguishable from a neighbour.
        assert list(browser(address="127.0.0.1").get(path).json) == ["status"]


def watched_from(app, path: str, address: str = "127.0.0.1", **more: str) -> tuple[str, str]:
    """The response of the status server, on its own port."""
    statuses: list[str] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "REMOTE_ADDR": address, **more}
    body = health.status_source(app, AllowedClients())(
        environ, lambda status, _headers: statuses.append(status)
    )
    return statuses[0], b"".join(body).decode()


def test_panel_without_catalogue_is_alive_and_unready(app, browser, house, tmp_path):
    house.database.init(str(tmp_path / "nowhere" / "catalogue.db"))
    assert browser().get("/healthz").status_code == 200
    answer = browser().get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not_ready"})
    status, body = watched_from(app, "/readyz")
    bodies = json.loads(body)["checks"]["catalogue"]
    assert (status[:3], bodies["ok"]) == ("503", False)
    assert "nothing is lost" in bodies["hint"]


def test_unreachable_store_shows_a_page_without_codes(browser, house, bakery, monkeypatch):
    recording = house.call(bakery)

    def away(*_: object) -> bytes:
        raise Unreachable("store.unreachable", "s3://secret-bucket is away", "")

    monkeypatch.setattr(house.store, "read", away)
    answer = browser("claire").get(f"/recordings/{recording}")
    assert answer.status_code == 503
    assert "Rien n’est perdu" in answer.text
    assert "secret-bucket" not in answer.text


def test_unhandled_error_shows_no_traceback(app, browser, bakery):
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    answer = browser("claire").get("/broken")
    assert answer.status_code == 500
    assert "Un problème est survenu" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_unknown_pages_and_methods_have_error_pages(browser, bakery):
    person = browser("claire")
    assert "Cette page n’existe pas" in person.get("/nowhere").text
    wrong = person.get("/logout")
    assert (wrong.status_code, "POST" in wrong.headers["Allow"]) == (405, True)
    large = person.client.post("/login", data={"login": "x" * 100_000})
    assert large.status_code == 413
    assert person.get("/recordings/..%2f..%2fetc").status_code == 404
    assert person.get("/recordings/" + "x" * 5000).status_code == 404
    assert person.get("/listen/%00/audio.opus?play=" + "x" * 22).status_code == 404


def test_refuses_nul_and_tolerates_invalid_utf8_in_queries(browser, bakery):
    person = browser("claire")
    assert person.get("/recordings?number=%00").status_code == 400
    assert person.get("/recordings?%00=1").status_code == 400
    assert person.get("/recordings/%00").status_code == 404
    assert person.send("/login", login="a\0b", password="x").status_code == 400
    # Raw bytes on the wire; the test client must not encode them.
    for path in ("/recordings", "/nowhere", "/static/nothing", "/login"):
        answer = person.client.open(path, environ_overrides={"QUERY_STRING": "number=\xff&\xe9=\x96"})
        assert answer.status_code in (200, 302, 404), path


def test_double_slash_does_not_redirect_to_the_requests_host(browser, bakery):
    client = browser("claire").client
    for path in ("/recordings//x", "//recordings//x", "/listen//x/audio.opus"):
        host = {"Host": "evil.example"}
        answer = client.open("/", environ_overrides={"PATH_INFO": path}, headers=host)
        assert (answer.status_code, answer.headers.get("Location")) == (404, None), path


def test_short_secret_is_refused():
    with pytest.raises(ValueError, match="at least 32 bytes"):
        WebConfig(b"short")


def test_metrics_have_their_own_port_for_neighbours(app, house, bakery, browser, tmp_path):
    """Requests through a proxy reach no metrics, whatever headers it adds."""
    recording = house.call(bakery)
    browser("claire").listen_to(recording)
    for address in ("192.0.2.7", "127.0.0.1"):
        assert browser(address=address).get("/metrics").status_code == 404
    assert watched_from(app, "/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1")[0] == "403 Forbidden"
    assert watched_from(app, "/metrics", "192.0.2.7")[0] == "403 Forbidden"
    house.database.init(str(tmp_path / "nowhere" / "catalogue.db"))  # metrics need no catalogue
    status, metrics_text = watched_from(app, "/metrics")
    assert status == "200 OK"
    assert (
        'accord_http_requests_total{method="POST",route="playback.request_grant",status="303"}'
        in metrics_text
    )
    assert recording not in metrics_text
    assert bakery.id not in metrics_text


def test_forged_host_header_is_in_no_response(browser, bakery):
    person = browser("claire")
    for path in ("/", "/login", "/recordings", "/nowhere", "/numbers", "/static/accord.css"):
        for host in ("evil.example", "evil.example:1", "localhost/evil.example", "[::1"):
            answer = person.client.get(path, headers={"Host": host})
            assert answer.status_code < 500, (path, host)
            assert "evil.example" not in answer.text, (path, host)
            assert "evil.example" not in answer.headers.get("Location", ""), (path, host)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_get_requests_change_nothing(browser, house, bakery, method):
    recording = house.call(bakery)
    person = browser("paul")
    for path in (
        f"/recordings/{recording}",
        "/logout",
        "/language",
        f"/recordings/{recording}/delete",
        "/login",
    ):
        answer = person.client.open(path, method=method, environ_base={"REMOTE_ADDR": person.address})
        assert answer.status_code < 500
        assert "Content-Security-Policy" in answer.headers
    assert person.get("/recordings").status_code == 200, "still logged in"


def test_static_files_are_compressed_where_the_browser_accepts_it(app, bakery):
    folder = Path(app.static_folder)
    client = app.test_client()
    plain = client.get("/static/accord.css")
    assert plain.data == (folder / "accord.css").read_bytes()
    assert plain.headers["Vary"] == "Accept-Encoding"
    packed = client.get("/static/accord.css", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 3
    again = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert client.get("/static/accord.css", headers=again).status_code == 304
    part = client.get("/static/accord.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.data) == (206, plain.data[:10])
    refused = client.get("/static/accord.css", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert refused.data == plain.data
    page = client.get("/login", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in page.headers, "its token must not be guessed by its length"


def test_outage_is_logged_once_for_each_page(browser, house, bakery, monkeypatch):
    recording = house.call(bakery)
    person = browser("claire")
    read = house.store.read

    def away(*_: object) -> bytes:
        raise Unreachable("store.unreachable", "the store is away", "try again")

    with capture_logs() as logs:
        monkeypatch.setattr(house.store, "read", away)
        for _ in range(4):
            assert person.get(f"/recordings/{recording}").status_code == 503
            assert person.get("/recordings").status_code == 200
        monkeypatch.setattr(house.store, "read", read)
        assert person.get(f"/recordings/{recording}").status_code == 200
    lines = [line for line in logs if line["event"] in ("web.refused", "web.recovered")]
    assert [(line["event"], line["endpoint"], line.get("failures")) for line in lines] == [
        ("web.refused", "playback.show_recording", None), ("web.recovered", "playback.show_recording", 4),
    ]  # fmt: skip
