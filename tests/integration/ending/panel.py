"""An application with large responses, served like the panel: ``panel.py PORT``."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import sys
from collections.abc import Iterator

from flask import Flask

from web import WebConfig, create_app
from web.server import serve
from web.state import PanelState

large = Flask(__name__)


@large.get("/much")
def much() -> object:
    def pieces() -> Iterator[bytes]:
        for _ in range(160):
            yield b"." * 100_000

    return large.response_class(pieces(), headers={"Content-Length": "16000000"})


app = create_app(PanelState(WebConfig(secret_key=b"k" * 32, secure_cookies=False), gate=None))  # type: ignore[arg-type]
app.wsgi_app = large.wsgi_app  # type: ignore[method-assign]
serve(app, "127.0.0.1", int(sys.argv[1]))
