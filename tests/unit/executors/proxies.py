"""Grid proxies for tests: a certificate of a user, one of a proxy below it, and the key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VOMS = x509.ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")


def name(*common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common])


def certificate(subject, issuer, key, signer, seconds, attributes=None):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(seconds=seconds))
    )
    if attributes is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(VOMS, attributes), critical=False)
    return builder.sign(signer, hashes.SHA256())


def validity(seconds: float) -> bytes:
    """Return how attributes of a VO say until when they are valid, in DER: a sequence of two times."""
    now = datetime.now(UTC)
    times = [f"{time:%Y%m%d%H%M%SZ}".encode() for time in (now, now + timedelta(seconds=seconds))]
    return b"\x30\x22" + b"".join(b"\x18\x0f" + time for time in times)


def make_proxy(
    path: Path, seconds: float, attributes: float | None = None, key: bool = True, owner: float = 1e7
) -> Path:
    """Write a proxy that is valid for that long [s]; ``attributes`` and ``owner``: how long these are."""
    user, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    voms = None if attributes is None else validity(attributes)
    chain = [
        certificate(name("physicist", "123"), name("physicist"), own, user, seconds, voms),
        certificate(name("physicist"), name("authority"), user, user, owner),
    ]
    pem = serialization.Encoding.PEM
    parts = [each.public_bytes(pem) for each in chain]
    if key:
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        parts.insert(1, own.private_bytes(pem, traditional, serialization.NoEncryption()))
    path.write_bytes(b"".join(parts))
    path.chmod(0o600)
    return path
