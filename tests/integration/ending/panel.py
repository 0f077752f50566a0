"""An application as the panel is served, which has much to send: ``panel.py PORT``."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import sys
from collections.abc import Iterator

from flask import Flask

from web.serving import serve

app = Flask(__name__)


@app.get("/much")
def much() -> object:
    def pieces() -> Iterator[bytes]:
        for _ in range(160):
            yield b"." * 100_000

    return app.response_class(pieces(), headers={"Content-Length": "16000000"})


serve(app, "127.0.0.1", int(sys.argv[1]))
