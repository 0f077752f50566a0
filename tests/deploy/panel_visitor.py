"""A colleague who opens the invitation's link behind the reverse proxy, chooses a password, and waits until a
recording is in the list of calls: ``panel_visitor.py PORT LINK SECONDS`` prints the recording's id. Runs with
the installed package's Python, and so uses the standard library alone."""

from __future__ import annotations

import http.client
import re
import sys
import time
from urllib.parse import urlencode, urlsplit

PASSWORD = "seven green bottles of ink"
CALL = re.compile(r'href="/recordings/([0-9a-f-]{36})')


class Visitor:
    """A browser's cookies, and what the reverse proxy at the panel's public address adds to its requests."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._cookies: dict[str, str] = {}

    def request(self, method: str, path: str, **fields: str) -> str:
        """The page after redirections."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {
            "Host": urlsplit(self._address).netloc,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "192.0.2.7",
            "Referer": self._address,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request(method, path, urlencode(fields), headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        page = answer.read().decode()
        connection.close()
        if answer.status in (302, 303):
            return self.request("GET", answer.headers["Location"].removeprefix(self._address))
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status}\n{page}")
        return page


def main(port: int, link: str, seconds: float) -> None:
    parts = urlsplit(link)
    visitor = Visitor(port, f"{parts.scheme}://{parts.netloc}")
    token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.request("GET", parts.path))
    assert token is not None
    visitor.request("POST", parts.path, csrf_token=token[1], password=PASSWORD)
    end = time.monotonic() + seconds
    while (found := CALL.search(visitor.request("GET", "/recordings"))) is None:
        if time.monotonic() > end:
            sys.exit(f"no recording is listed within {seconds} s")
        time.sleep(0.5)
    print(found[1])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
