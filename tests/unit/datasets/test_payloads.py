import functools
import hashlib
import http.server
import threading

import pytest

from pocket_coffea.datasets.payloads import (
    Payload,
    fetch,
    payloads,
    read_lock,
    references,
    write_lock,
)
from pocket_coffea.errors import ConfigurationError, UnknownName
from pocket_coffea.utils.data_files import CVMFS_METADATA

CONTENT = b'{"1": [[1, 5]]}'
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PLACE = "datacert/Cert.json"
LOCKED = Payload(PLACE, DIGEST, len(CONTENT))
JERC = f"{CVMFS_METADATA}/JME/Run2-2018-UL-NanoAODv9/2026-06-10/jet_jerc.json.gz"


@pytest.fixture
def mirror(tmp_path):
    path = tmp_path / "mirror" / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path / "mirror"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data"


def test_a_locked_payload_comes_from_a_mirror_and_stays(mirror, target):
    first = fetch(LOCKED, target, [str(mirror)])
    assert (first.state, first.message) == ("fetched", f"{mirror}/{PLACE}")
    assert (target / PLACE).read_bytes() == CONTENT
    assert fetch(LOCKED, target).state == "there"


def test_from_an_address(mirror, target):
    handler = functools.partial(Quiet, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = fetch(Payload(PLACE, DIGEST, sources=(f"{address}/{PLACE}",)), target)
        absent = fetch(Payload("x/y", DIGEST, sources=(f"{address}/x/y",)), target)
        server.shutdown()
        thread.join()
    assert found.state == "fetched"
    assert absent.state == "failed"
    assert "x/y: " in absent.message


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_other_bytes_are_passed_over(mirror, target, tmp_path):
    other = tmp_path / "other" / PLACE
    other.parent.mkdir(parents=True)
    other.write_bytes(b"{}")
    result = fetch(LOCKED, target, [str(tmp_path / "other")])
    assert result.state == "failed"
    assert f"instead of {DIGEST}" in result.message
    assert not (target / PLACE).exists()
    assert fetch(LOCKED, target, [str(tmp_path / "other"), str(mirror)]).state == "fetched"


def test_what_is_there_with_other_bytes_is_replaced(mirror, target, caplog):
    (target / "datacert").mkdir(parents=True)
    (target / PLACE).write_bytes(b"old")
    assert fetch(LOCKED, target, [str(mirror)]).state == "fetched"
    assert "is not what the lock says" in caplog.text
    assert (target / PLACE).read_bytes() == CONTENT


def test_offline_every_place_that_was_tried_is_named(target):
    payload = Payload(PLACE, DIGEST, sources=("/nowhere/Cert.json", "https://localhost:9/Cert.json"))
    result = fetch(payload, target, ["/mirror"])
    assert result.state == "failed"
    places = (
        "/mirror/datacert/Cert.json: ",
        "/nowhere/Cert.json: No such file",
        "https://localhost:9/Cert.json: ",
    )
    assert all(place in result.message for place in places)
    assert "--mirror" in fetch(LOCKED, target).message


def test_what_no_lock_has_is_brought_to_be_pinned_only(mirror, target, tmp_path):
    unknown = Payload(PLACE)
    assert fetch(unknown, target, [str(mirror)]).state == "unpinned"
    result = fetch(unknown, target, [str(mirror)], pin=True)
    assert (result.state, result.payload) == ("fetched", LOCKED)
    assert fetch(unknown, target, pin=True).state == "there"
    write_lock(tmp_path / "lock.yaml", [result.payload])
    assert read_lock(tmp_path / "lock.yaml") == {PLACE: LOCKED}


def test_references_of_years():
    parameters = {
        "lumi": {
            "goldenJSON": {"2018": "/x/pocket_coffea/parameters/datacert/Cert.json", "2017": "/own/Cert.json"}
        },
        "jets": {"type": {"2018": {"file": JERC, "also": [JERC]}, "2022_preEE": {"file": f"{JERC}2"}}},
    }
    assert references(parameters, ["2018"]) == [JERC, "/x/pocket_coffea/parameters/datacert/Cert.json"]
    assert len(references(parameters, [])) == 3
    with pytest.raises(UnknownName, match="no payload is for '2019'"):
        references(parameters, ["2019"])


def test_a_place_on_cvmfs_is_a_source_and_the_last_lock_counts():
    place = "JME/Run2-2018-UL-NanoAODv9/2026-06-10/jet_jerc.json.gz"
    locks = [{place: Payload(place, "0" * 64, sources=("https://a/b",))}, {place: Payload(place, DIGEST)}]
    (found,) = payloads([JERC], locks[:1])
    assert found == Payload(place, "0" * 64, None, (JERC, "https://a/b"))
    assert payloads([JERC], locks)[0].sha256 == DIGEST


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "cannot be read"),
        ("a: 1", "has no 'files'"),
        ("files: {a: {sha: 1}}", "must have sha256"),
        ("files: {a: {sha256: abc}}", "'abc' is no sha256"),
        ("files: {../a: {}}", "not below the data directory"),
    ],
)
def test_a_wrong_lock(tmp_path, content, message):
    (tmp_path / "lock.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_lock(tmp_path / "lock.yaml")
