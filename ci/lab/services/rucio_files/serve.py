"""Gunicorn's settings for Rucio, and what Apache's mod_ssl does for it at CERN: tell who the client is.

Gunicorn reads this file as its configuration and serves ``application`` from it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable
from typing import Any

bind = os.environ["LAB_RUCIO_BIND"]
certfile = os.environ["LAB_RUCIO_CERTIFICATE"]
keyfile = os.environ["LAB_RUCIO_KEY"]
cert_reqs = ssl.CERT_OPTIONAL  # a client without a proxy can give a password instead
workers = 1  # SQLite: one writer
control_socket_disable = True
wsgi_app = "serve:application"


def ssl_context(_config: object, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Trust the grid's authorities, and proxies that users made of their certificates."""
    context = default()
    context.load_verify_locations(capath=os.environ["X509_CERT_DIR"])
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # proxies lack an authority key identifier
    return context


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve one request; Rucio reads the client's distinguished name from the environment of the request."""
    from rucio.web.rest.main import application as rucio

    if certificate := environ["gunicorn.socket"].getpeercert():
        parts = [f"/{SHORT[key]}={value}" for ((key, value),) in certificate["subject"]]
        environ["SSL_CLIENT_S_DN"] = "".join(parts)
    return rucio(environ, start_response)


SHORT = {
    "domainComponent": "DC",
    "countryName": "C",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
}
