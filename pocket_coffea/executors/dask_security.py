"""TLS for one run: certificates that the scheduler, the workers and the client of a cluster show each other.

Whoever reaches a Dask scheduler may run code as its owner. So every run makes an authority whose key is
forgotten at once, and three certificates signed by it. A connection without one of them is refused. The
workers' certificate travels as files of mode 0600; the others stay in memory.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.dask_local import NO_DASK

__all__ = ["CA_FILE", "CERTIFICATE_FILE", "KEY_FILE", "Credential", "RunCertificates", "make_certificates"]

#: Names of a worker's files.
CA_FILE, CERTIFICATE_FILE, KEY_FILE = "dask-ca.pem", "dask-worker.pem", "dask-worker.key"

#: How long certificates live; longer than any run. They are worthless when the run is over.
_LIFETIME = dt.timedelta(days=90)
#: Clocks of workers may be behind by this.
_CLOCKS_DIFFER = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Credential(...)"  # the key is never shown


@dataclass(frozen=True, slots=True)
class RunCertificates:
    """The authority of a run and what it signed."""

    authority: str
    scheduler: Credential
    worker: Credential
    client: Credential

    def security(self) -> Any:
        """Return Dask's Security object for the submitting process: encrypted, or no connection."""
        from distributed.security import Security

        return Security(
            require_encryption=True,
            tls_ca_file=self.authority,
            tls_scheduler_cert=self.scheduler.certificate,
            tls_scheduler_key=self.scheduler.key,
            tls_client_cert=self.client.certificate,
            tls_client_key=self.client.key,
            tls_worker_cert=self.worker.certificate,
            tls_worker_key=self.worker.key,
        )

    def worker_files(self) -> dict[str, bytes]:
        """Return the files of a worker by name; all are secret, one really is."""
        return {
            CA_FILE: self.authority.encode(),
            CERTIFICATE_FILE: self.worker.certificate.encode(),
            KEY_FILE: self.worker.key.encode(),
        }


def make_certificates() -> RunCertificates:
    """Make the certificates of a run. Raises ConfigurationError when `cryptography` is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as exc:
        raise ConfigurationError(NO_DASK.format(missing=exc.name)) from exc
    key = ec.generate_private_key(ec.SECP256R1())
    name = "Dask cluster of a PocketCoffea run"
    authority = _certificate(name, key.public_key(), name, key, is_authority=True)

    def signed(role: str) -> Credential:
        own = ec.generate_private_key(ec.SECP256R1())
        return Credential(_certificate(role, own.public_key(), name, key), _pem_of_key(own))

    return RunCertificates(authority, signed("scheduler"), signed("worker"), signed("client"))


def _certificate(name: str, public: Any, issuer: str, issuer_key: Any, is_authority: bool = False) -> str:
    """Return a certificate for ``public``, signed by the issuer, with the extensions that OpenSSL wants."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(_USAGES, False)
    usage |= {"key_cert_sign": True, "crl_sign": True} if is_authority else {"digital_signature": True}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _LIFETIME)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    signed = builder.sign(issuer_key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _name(text: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem_of_key(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
