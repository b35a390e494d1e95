"""A real HTTPS server that wants the client's certificate, as cmsweb does."""

import datetime as dt
import http.server
import json
import ssl
import threading
import urllib.parse

import pytest

pytest.importorskip("cryptography")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pocket_coffea.datasets.dbs import Dbs
from pocket_coffea.errors import CatalogueError, ConfigurationError

NAME = "/TT/Run3-v1/NANOAODSIM"
ROW = {
    "logical_file_name": "/store/mc/a.root",
    "file_size": 10,
    "event_count": 5,
    "adler32": "ABC",
    "is_file_valid": 1,
}


def make_key():
    return ec.generate_private_key(ec.SECP256R1())


def certificate(name, key, issuer, signer, authority=False):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = builder.add_extension(names, critical=False)
    else:
        unused = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        usage = dict.fromkeys([*unused.split(), "encipher_only", "decipher_only"], False)
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    return builder.sign(signer, hashes.SHA256())


def pem(*parts):
    text = b""
    for part in parts:
        if isinstance(part, x509.Certificate):
            text += part.public_bytes(serialization.Encoding.PEM)
        else:
            text += part.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
    return text


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    """Return a folder with an authority, and what it signed: server.pem, proxy.pem."""
    folder = tmp_path_factory.mktemp("credentials")
    key = make_key()
    authority = certificate("lab authority", key, None, key, authority=True)
    (folder / "authority.pem").write_bytes(pem(authority))
    for name in ("server", "proxy"):
        own = make_key()
        signed = certificate(name, own, authority.subject, key)
        (folder / f"{name}.pem").write_bytes(pem(signed, own))
    return folder


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.connection.getpeercert()))
        status, answer = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server(credentials):
    """Return a server that answers what is in ``answers`` and notes what it ``seen``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials / "server.pem")
    context.load_verify_locations(credentials / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    httpd.answers, httpd.seen = [], []
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def dbs(server, credentials, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pocket_coffea.datasets.dbs.time.sleep", lambda seconds: None)
    # what OpenSSL takes for the system's authorities
    monkeypatch.setenv("SSL_CERT_FILE", str(credentials / "authority.pem"))
    return Dbs(f"https://localhost:{server.server_port}/dbs", lambda: str(credentials / "proxy.pem"))


def test_files_are_asked_with_the_proxy_as_certificate(server, dbs, caplog):
    rows = [ROW, {**ROW, "logical_file_name": "/store/b.root", "is_file_valid": 0, "adler32": "NOTSET"}]
    server.answers.append((200, json.dumps(rows)))
    (file,) = dbs.files(NAME, "prod/phys03")
    assert (file.name, file.size, file.nevents, file.adler32) == ("/store/mc/a.root", 10, 5, "00000abc")
    assert "1 file is invalid" in caplog.text
    path, peer = server.seen[0]
    url = urllib.parse.urlparse(path)
    assert url.path == "/dbs/prod/phys03/DBSReader/files"
    assert urllib.parse.parse_qs(url.query) == {"dataset": [NAME], "detail": ["1"]}
    assert peer["subject"] == ((("commonName", "proxy"),),)


def test_names_match_a_pattern(server, dbs):
    server.answers.append((200, json.dumps([{"dataset": "/B/c-v1/USER"}, {"dataset": "/A/c-v1/USER"}])))
    assert dbs.names("/*/c-v1/USER", "prod/phys03") == ["/A/c-v1/USER", "/B/c-v1/USER"]


def test_an_unknown_dataset(server, dbs):
    server.answers.append((200, "[]"))
    with pytest.raises(CatalogueError, match="has no files of /TT"):
        dbs.files(NAME, "prod/global")


def test_a_passing_fault_is_tried_again(server, dbs):
    server.answers += [(503, "busy"), (200, "{half"), (200, json.dumps([ROW]))]
    assert len(dbs.files(NAME, "prod/global")) == 1
    assert len(server.seen) == 3


@pytest.mark.parametrize(("status", "asked"), [(400, 1), (503, 3)])
def test_a_lasting_fault_is_said(server, dbs, status, asked):
    server.answers += [(status, "")] * 3
    with pytest.raises(CatalogueError, match=f"refuses https://.*: {status}"):
        dbs.files(NAME, "prod/global")
    assert len(server.seen) == asked


def test_a_server_of_another_authority_gets_nothing(server, dbs, tmp_path, monkeypatch):
    other = make_key()
    (tmp_path / "other.pem").write_bytes(pem(certificate("other", other, None, other, authority=True)))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with pytest.raises(CatalogueError, match=r"not trusted: .*X509_CERT_DIR"):
        dbs.files(NAME, "prod/global")
    assert server.seen == []


def test_no_server(credentials, monkeypatch):
    monkeypatch.setattr("pocket_coffea.datasets.dbs.time.sleep", lambda seconds: None)
    with pytest.raises(CatalogueError, match="does not answer"):
        Dbs("https://localhost:9", lambda: str(credentials / "proxy.pem")).files(NAME, "prod/global")


def test_a_file_that_is_no_proxy(tmp_path):
    (tmp_path / "proxy").write_text("nothing")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Dbs("https://localhost:9", lambda: str(tmp_path / "proxy")).files(NAME, "prod/global")


def test_without_https_the_proxy_is_not_shown():
    with pytest.raises(ConfigurationError, match="https"):
        Dbs("http://cmsweb.cern.ch/dbs")
