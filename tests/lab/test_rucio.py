"""The catalogue of replicas, as a CMS user asks it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from rucio.client import Client
from rucio.common.exception import (
    AccessDenied,
    CannotAuthenticate,
    DataIdentifierNotFound,
    InvalidRSEExpression,
)

from ci.lab.layout import VENV
from ci.lab.process import run
from ci.lab.services.certificates import CA_FOLDER
from ci.lab.services.data import catalogue
from ci.lab.services.rucio import ADDRESS, CLIENT, PASSWORD
from ci.lab.services.xrootd import SITES

RSES = {site.rse for site in SITES.values()}


@pytest.fixture(scope="module")
def client() -> Client:
    """Return a client that has authenticated with the grid proxy."""
    return Client()


@pytest.fixture
def rucio(tmp_path):
    """Return ``rucio("whoami", username="...")``: the command with options of its own and no old token."""

    def call(*words: str, **options: str):
        lines = CLIENT.read_text().splitlines()
        lines = [line for line in lines if line.partition(" = ")[0] not in options]
        lines += [f"{key} = {value}" for key, value in options.items()]
        lines.append(f"auth_token_file_path = {tmp_path}/token")
        config = tmp_path / "rucio.cfg"
        config.write_text("\n".join(lines) + "\n")
        env = {**os.environ, "RUCIO_CONFIG": str(config)}
        return run([VENV / "bin" / "rucio", *words], env=env, check=False, timeout=60)

    return call


def test_the_proxy_says_who_asks(client):
    assert client.whoami()["account"] == "physicist"
    assert client.auth_type == "x509_proxy"


def test_every_dataset_and_its_blocks_are_found(client):
    files = catalogue()
    found = set(client.list_dids("cms", [{"name": "/*/*/NANOAOD*"}], did_type="container"))
    assert found == {file["dataset"] for file in files}
    for dataset in found:
        blocks = {content["name"] for content in client.list_content("cms", dataset)}
        assert blocks == {file["block"] for file in files if file["dataset"] == dataset}


def test_the_files_of_a_dataset_with_size_checksum_and_events(client):
    for dataset in {file["dataset"] for file in catalogue()}:
        found = {
            (row["name"], row["bytes"], row["adler32"], row["events"])
            for row in client.list_files("cms", dataset)
        }
        assert found == {
            (file["lfn"], file["bytes"], file["adler32"], file["events"])
            for file in catalogue()
            if file["dataset"] == dataset
        }


def test_metadata_of_a_file(client):
    file = catalogue()[0]
    found = client.get_metadata("cms", file["lfn"])
    assert (found["events"], found["adler32"], found["did_type"]) == (file["events"], file["adler32"], "FILE")


def test_replicas_are_at_the_sites_of_the_catalogue(client):
    for file in catalogue():
        (row,) = client.list_replicas([{"scope": "cms", "name": file["lfn"]}], schemes=["root"])
        assert set(row["rses"]) == set(file["sites"])
        assert set(row["states"].values()) == {"AVAILABLE"}
        for site in SITES.values():
            if site.rse in file["sites"]:
                assert row["rses"][site.rse] == [f"root://{site.address}/{site.prefix}{file['lfn']}"]


def test_replicas_of_one_site(client):
    dataset = {"scope": "cms", "name": catalogue()[0]["dataset"]}
    rows = list(client.list_replicas([dataset], rse_expression="T2_US_FNAL"))
    assert {rse for row in rows for rse in row["rses"]} == {"T2_US_FNAL"}
    assert {row["rse"] for row in client.list_rses("country=DE")} == {"T1_DE_KIT_Disk"}
    assert {row["rse"] for row in client.list_rses()} == RSES


def test_where_a_block_is_complete(client):
    for block in {file["block"] for file in catalogue()}:
        files = [file for file in catalogue() if file["block"] == block]
        complete = {rse for rse in RSES if all(rse in file["sites"] for file in files)}
        rows = client.list_dataset_replicas("cms", block, deep=True)
        assert {row["rse"] for row in rows if row["state"] == "AVAILABLE"} == complete


def test_unknown_names(client):
    unknown = {"scope": "cms", "name": "/No/Such-v1/NANOAOD"}
    assert list(client.list_replicas([unknown])) == []
    assert list(client.list_dids("cms", [{"name": "/No/*"}])) == []
    with pytest.raises(DataIdentifierNotFound, match="/No/Such-v1/NANOAOD"):
        list(client.list_files(**unknown))
    with pytest.raises(InvalidRSEExpression, match="empty set"):
        list(client.list_replicas([unknown], rse_expression="T2_XX_Nowhere"))


def test_a_user_cannot_write(client):
    file = catalogue()[0]
    with pytest.raises(AccessDenied, match="can not add data identifier to scope cms"):
        client.add_dataset("cms", "/A/B-v1/NANOAOD#c")
    with pytest.raises(AccessDenied):
        client.add_scope("physicist", "mine")
    with pytest.raises(AccessDenied):
        client.add_replica("T2_US_FNAL", "cms", "/store/mc/A/x.root", 1, "00000001")
    with pytest.raises(AccessDenied):
        client.set_metadata("cms", file["lfn"], "events", 1)


def test_a_proxy_opens_no_other_account():
    with pytest.raises(CannotAuthenticate, match="root"):
        Client(account="root")


def test_a_name_in_a_header_is_not_believed():
    """Only the TLS connection tells who the client is."""
    request = urllib.request.Request(f"{ADDRESS}/auth/x509_proxy", headers={"X-Rucio-Account": "physicist"})
    request.add_header("SSL_CLIENT_S_DN", "/DC=site/DC=lab/OU=Users/CN=physicist")
    request.add_header("SSL-CLIENT-S-DN", "/DC=site/DC=lab/OU=Users/CN=physicist")
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(request, timeout=20, context=_context())
    assert json.load(refused.value)["ExceptionMessage"] == "Cannot get DN"


def test_the_command_answers(rucio):
    file = catalogue()[0]
    done = rucio("replica", "list", "file", f"cms:{file['lfn']}")
    assert done.returncode == 0, done.stdout
    assert f"fnal.site:1096//eos/uscms{file['lfn']}" in done.stdout


def test_a_password_does_instead_of_a_proxy(rucio):
    done = rucio("whoami", auth_type="userpass", username="physicist", password=PASSWORD)
    assert done.returncode == 0, done.stdout
    assert "account    : physicist" in done.stdout


def test_a_wrong_password_is_refused(rucio):
    done = rucio("whoami", auth_type="userpass", username="physicist", password="guessed")
    assert done.returncode != 0
    assert "Cannot authenticate to account physicist" in done.stdout


def test_without_a_proxy_the_command_says_so(rucio, tmp_path):
    done = rucio("whoami", client_x509_proxy=str(tmp_path / "absent"))
    assert done.returncode != 0
    assert "Cannot find a valid X509 proxy" in done.stdout


def test_a_server_of_another_authority_is_not_trusted(rucio, tmp_path, monkeypatch):
    monkeypatch.delenv("X509_CERT_DIR", raising=False)
    done = rucio("whoami", ca_cert="/etc/ssl/certs/ca-certificates.crt")
    assert done.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in done.stdout


def test_replicas_can_be_copied(client, tmp_path, xrootd):
    """With the names that Rucio gives: from the protected site with the proxy, from the open one without."""
    file = next(file for file in catalogue() if set(file["sites"]) == RSES)
    (row,) = client.list_replicas([{"scope": "cms", "name": file["lfn"]}], schemes=["root"])
    for site in SITES.values():
        (name,) = row["rses"][site.rse]
        target = tmp_path / site.name
        env = dict(os.environ) if site.protected else {**os.environ, "X509_USER_PROXY": "/absent"}
        check = f"adler32:{row['adler32']}"
        run(["xrdcp", "--silent", "--cksum", check, name, target], env=env, timeout=60)
        assert target.stat().st_size == row["bytes"]


@pytest.fixture
def xrootd():
    """Skip where the lab runs without the service xrootd (`lab up --services rucio`)."""
    from ci.lab.control import ask
    from ci.lab.layout import CONTROL

    if "xrootd" not in {service["name"] for service in ask(CONTROL, "status")["services"]}:
        pytest.skip("the service xrootd does not run in this lab")


def _context():
    import ssl

    return ssl.create_default_context(capath=Path(CA_FOLDER))
