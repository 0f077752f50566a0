"""Firefox as a browser to measure, driven by its own protocol (Marionette): Playwright drives only a build of
its own.

Messages are JSON with their length before them (https://firefox-source-docs.mozilla.org/testing/marionette/).
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFERENCES = {
    "marionette.port": 0,
    "media.autoplay.default": 1,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.disabledForTesting": True,
    "network.captive-portal-service.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's reference (https://www.w3.org/TR/webdriver2/#elements)."""


class FirefoxPage:
    """The one page of a Firefox of its own, with those methods of Playwright's page that are needed."""

    def __init__(self, binary: str, folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()
        ]
        (folder / "user.js").write_text("\n".join(lines))
        self._log = open(folder / "firefox.log", "wb")  # noqa: SIM115  # as long as the browser
        self._process = subprocess.Popen(
            [binary, "--headless", "--marionette", "--no-remote", "--profile", str(folder)],
            env={**environment, "HOME": str(folder)}, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self._number = 0
        self._socket = socket.create_connection(("127.0.0.1", self._port(folder)), timeout=60)
        self._file = self._socket.makefile("rwb")
        self._read()  # the greeting
        self._send("WebDriver:NewSession", {"capabilities": {}})

    def _port(self, folder: Path) -> int:
        deadline, file = time.monotonic() + 60, folder / "MarionetteActivePort"
        while not (file.exists() and file.read_text().strip()):
            assert time.monotonic() < deadline, (folder / "firefox.log").read_text()
            time.sleep(0.1)
        return int(file.read_text())

    def _read(self) -> Any:
        length = b""
        while (byte := self._file.read(1)) != b":":
            assert byte, "Firefox closed the connection"
            length += byte
        return json.loads(self._file.read(int(length)))

    def _send(self, command: str, parameters: Mapping[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._file.write(b"%d:%s" % (len(message), message))
        self._file.flush()
        _, _, error, result = self._read()
        assert error is None, f"{command}: {error}"
        return result

    def goto(self, address: str) -> None:
        self._send("WebDriver:Navigate", {"url": address})

    def _find(self, selector: str) -> str:
        found = self._send("WebDriver:FindElement", {"using": "css selector", "value": selector})
        return str(found["value"][ELEMENT])

    def fill(self, selector: str, text: str) -> None:
        self._send("WebDriver:ElementSendKeys", {"id": self._find(selector), "text": text})

    def click(self, selector: str) -> None:
        self._send("WebDriver:ElementClick", {"id": self._find(selector)})

    def evaluate(self, expression: str) -> Any:
        script = {"script": f"return ({expression});", "args": []}
        return self._send("WebDriver:ExecuteScript", script)["value"]

    def wait_for_timeout(self, milliseconds: float) -> None:
        time.sleep(milliseconds / 1000)

    def close(self) -> None:
        with suppress(OSError, AssertionError):
            self._send("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._socket.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()
