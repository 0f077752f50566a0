"""A timestamp authority as ``openssl ts`` makes one, served over HTTP, for tests."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from recorder.auditlog.timestamping import Authority

CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
[req]
distinguished_name = name
[name]
[stamps]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


@dataclass
class TimestampAuthority:
    """Counts its requests; with ``silent`` it responds with an error."""

    authority: Authority
    folder: Path
    requests: int = 0
    silent: bool = False


def openssl(folder: Path, *words: str) -> None:
    process = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()


def make(folder: Path) -> None:
    """Keys, certificates and settings of an authority."""
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "tsa.cnf")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority",
            "-days", "3650", "-extensions", "authority")  # fmt: skip
    openssl(folder, "req", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Stamps")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "tsa.pem", "-days", "3650", "-extfile", "tsa.cnf", "-extensions", "stamps")  # fmt: skip


@contextmanager
def serve_authority(folder: Path) -> Iterator[TimestampAuthority]:
    """Run the authority on its own port."""
    make(folder)
    authority = TimestampAuthority(Authority("", (folder / "ca.pem").read_bytes()), folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            authority.requests += 1
            request = folder / f"{authority.requests}.tsq"
            request.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = folder / f"{authority.requests}.tsr"
            openssl(folder, "ts", "-reply", "-config", "tsa.cnf", "-section", "it",
                    "-queryfile", request.name,
                    "-out", answer.name)  # fmt: skip
            self.send_response(503 if authority.silent else 200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer.read_bytes())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    authority.authority = Authority(
        f"http://127.0.0.1:{server.server_port}/", authority.authority.certificates
    )
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
