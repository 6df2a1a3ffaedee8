"""Where reference sources come from: files and https, whole or not at all."""

import gzip
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming_assets.reference import ReferenceSourceError, source
from streaming_assets.reference.source import read_text

TEXT = "T1\tÉtoile\tTitle\t200.5\t7\n" * 1000


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path, as its name says."""

    def do_GET(self) -> None:
        getattr(self, f"_{self.path.strip('/')}", self._absent)()

    def _send(self, body: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _plain(self) -> None:
        self._send(TEXT.encode())

    def _gzip(self) -> None:
        self._send(gzip.compress(TEXT.encode()))

    def _cut(self) -> None:
        self._send(TEXT.encode()[:100], length=len(TEXT.encode()))

    def _announces_too_much(self) -> None:
        self._send(b"", length=10**12)

    def _sends_too_much(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 3000)

    def _silent(self) -> None:
        self.server.stopped.wait(10)  # type: ignore[attr-defined]

    def _downgrades(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.plain_port}/plain")  # type: ignore[attr-defined]
        self.end_headers()

    def _absent(self) -> None:
        self.send_error(404, "Not here")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site on localhost with https, whose certificate is trusted, and http beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    secure.plain_port = plain.server_port  # type: ignore[attr-defined]
    secure.stopped = threading.Event()  # type: ignore[attr-defined]
    for server in (secure, plain):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(certificate))
        yield f"https://localhost:{secure.server_port}"
    secure.stopped.set()  # type: ignore[attr-defined]
    for server in (secure, plain):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", ["plain", "gzip"])
def test_https_gives_the_text(site: str, path: str) -> None:
    assert read_text(f"{site}/{path}") == TEXT


REFUSED = {
    "absent": "can't be downloaded: HTTP Error 404: Not here",
    "cut": f"ended after 100 of {len(TEXT.encode())} bytes",
    "announces_too_much": "is larger than",
    "downgrades": r"leads to http://localhost.*not https",
}


@pytest.mark.parametrize(("path", "message"), REFUSED.items())
def test_a_download_that_is_not_whole_and_safe_is_refused(site: str, path: str, message: str) -> None:
    with pytest.raises(ReferenceSourceError, match=message) as caught:
        read_text(f"{site}/{path}")
    assert f"{site}/{path}" in str(caught.value)


def test_a_download_without_length_is_limited_too(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 2000)
    with pytest.raises(ReferenceSourceError, match="is larger than"):
        read_text(f"{site}/sends_too_much")


def test_a_silent_site_is_given_up(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "TIMEOUT", 0.3)
    with pytest.raises(ReferenceSourceError, match=r"timed out.*name a file or 'bundled'"):
        read_text(f"{site}/silent")


def test_an_untrusted_certificate_is_refused(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ReferenceSourceError, match="CERTIFICATE_VERIFY_FAILED"):
        read_text(f"{site}/plain")


def test_a_long_download_shows_progress(
    site: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source, "PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(source, "_CHUNK", 10_000)
    with caplog.at_level("INFO", logger=source.__name__):
        read_text(f"{site}/plain")
    assert [record.getMessage() for record in caplog.records]
    assert f"{site}/plain" in caplog.text


@pytest.mark.parametrize(
    "address", ["http://localhost/US.txt", "ftp://localhost/US.txt", "gs://bucket/US.txt"]
)
def test_other_addresses_are_refused_with_what_is_possible(address: str) -> None:
    with pytest.raises(ReferenceSourceError, match="give an https:// address, a path, or 'bundled'"):
        read_text(address)


def test_an_unreachable_host_is_named() -> None:
    with pytest.raises(ReferenceSourceError, match=r"https://localhost:1/US\.txt can't be downloaded"):
        read_text("https://localhost:1/US.txt")


BAD_BYTES = {
    "gzip cut short": (gzip.compress(TEXT.encode())[:-20], "is no whole gzip file"),
    "gzip damaged": (gzip.compress(TEXT.encode(), mtime=0)[:20] + b"\xff" * 40, "is no whole gzip file"),
    "zip": (b"PK\x03\x04....", "is a zip archive; unpack it"),
    "UTF-16": (TEXT.encode("utf-16"), "convert it to UTF-8"),
    "binary": (b"T1\tA\x00\x01", "convert it to UTF-8"),
    "Windows-1252": ("a\tb\nthe “best”".encode("cp1252"), "line 2: neither UTF-8 nor ISO-8859-1"),
    "damaged UTF-8": ("É\nÉ\nÉ".encode()[:-1], "line 3: neither UTF-8 nor ISO-8859-1"),
}


@pytest.mark.parametrize(("data", "message"), BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "source"
    path.write_bytes(data)
    with pytest.raises(ReferenceSourceError, match=message) as caught:
        read_text(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReferenceSourceError, match="gone can't be read: No such file"):
        read_text(str(tmp_path / "gone"))
    with pytest.raises(ReferenceSourceError, match="can't be read: Is a directory"):
        read_text(str(tmp_path))


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 100_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"0" * 1_000_000))
    with pytest.raises(ReferenceSourceError, match="is larger than"):
        read_text(str(path))
