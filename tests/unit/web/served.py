"""The served panel, for tests: ``python -m tests.unit.web.served FOLDER [LIMIT [PROXIES]]``."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from recorder.clock import utc_now
from tests.house import House
from web import WebConfig, create_app, request_reader, serve
from web.state import PanelState


def main(folder: Path, limit: float = 0, proxies: int = 0) -> None:
    """Serve a panel; ``limit`` replaces the timeouts of head, body and response (seconds; 0: the real
    ones)."""
    if limit:
        request_reader.HEAD_TIMEOUT = request_reader.BODY_TIMEOUT = request_reader.SEND_TIMEOUT = limit
    house = House(folder, utc_now, os.urandom)
    app = create_app(PanelState(WebConfig(b"k" * 32, secure_cookies=False, proxies=proxies), gate=house.gate))

    def slow() -> Iterator[bytes]:
        for _ in range(10):
            yield b"." * 100
            time.sleep(0.1)

    app.add_url_rule(
        "/slow", view_func=lambda: app.response_class(slow(), headers={"Content-Length": "1000"})
    )

    def long() -> str:
        (folder / "asked").touch()
        time.sleep(60)
        return "done"

    app.add_url_rule("/long", view_func=long)
    serve(app, "127.0.0.1", 0, ready=lambda port: (folder / "port").write_text(f"{port}\n"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(float(sys.argv[2]), *map(int, sys.argv[3:])) if len(sys.argv) > 2 else ())
