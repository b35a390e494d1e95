"""Locks and the packages they name: read, written, fetched from the cache, refused when they are others."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.images import fetch
from pocket_coffea.images.debian import make_pool, unpack_deb
from pocket_coffea.images.fetch import BlobCache, fetch_debs, mirrors
from pocket_coffea.images.locks import (
    DebianPackage,
    Wheel,
    read_apt,
    read_wheels,
    write_apt,
    write_wheels,
)


def member(name, data):
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def archive(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return data.getvalue()


@pytest.fixture
def deb(tmp_path):
    """A Debian package that does nothing: its file and its line of a lock."""
    control = archive({"./control": b"Package: tool\nVersion: 1:2.0-1\nArchitecture: all\nDepends: libc6\n"})
    data = archive({"./usr/bin/tool": b"#!/bin/sh\n"})
    content = b"!<arch>\n" + member("debian-binary", b"2.0\n") + member("control.tar.xz", control)
    content += member("data.tar.xz", data)
    path = tmp_path / "tool_2.0-1_all.deb"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    pool = "pool/main/t/tool/tool_2.0-1_all.deb"
    return path, DebianPackage("tool", "1:2.0-1", "all", digest, len(content), pool, ("base", "lab"))


def test_a_lock_of_debian_packages_is_read_as_written(tmp_path, deb):
    write_apt(tmp_path / "apt.txt", [deb[1]], epoch=42)
    assert read_apt(tmp_path / "apt.txt") == (42, (deb[1],))


def test_a_lock_of_wheels_is_read_as_written(tmp_path):
    wheels = (Wheel("awkward", "2.14.0", "a" * 64), Wheel("zict", "3.0", "b" * 64))
    write_wheels(tmp_path / "image.txt", wheels)
    assert read_wheels(tmp_path / "image.txt") == wheels


@pytest.mark.parametrize("line", ["base tool 1 all abc 10 pool/x", "base tool 1 all"])
def test_a_wrong_line_is_named(tmp_path, line):
    (tmp_path / "apt.txt").write_text(f"SOURCE_DATE_EPOCH=1\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"apt\.txt, line 2: .*used-by name version"):
        read_apt(tmp_path / "apt.txt")


def test_two_hashes_for_a_wheel_are_refused(tmp_path):
    text = f"x==1 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    (tmp_path / "image.txt").write_text(text)
    with pytest.raises(ConfigurationError, match="with one hash"):
        read_wheels(tmp_path / "image.txt")


def test_a_missing_lock_says_how_to_make_it(tmp_path):
    with pytest.raises(ConfigurationError, match=r"No such file.*image lock"):
        read_apt(tmp_path / "apt.txt")


def test_a_package_becomes_a_mirror_and_files(tmp_path, deb):
    path, item = deb
    make_pool(tmp_path / "mirror", "trixie", [item], {item.sha256: path})
    index = (tmp_path / "mirror/dists/trixie/main/binary-amd64/Packages").read_text()
    assert "Depends: libc6\n" in index
    assert f"Filename: {item.path}\nSize: {item.size}\nSHA256: {item.sha256}\n" in index
    release = (tmp_path / "mirror/dists/trixie/Release").read_text()
    assert hashlib.sha256(index.encode()).hexdigest() in release
    assert (tmp_path / "mirror" / item.path).read_bytes() == path.read_bytes()
    unpack_deb(path, tmp_path / "root")
    assert (tmp_path / "root/usr/bin/tool").read_text() == "#!/bin/sh\n"


def test_what_is_no_package_is_told(tmp_path):
    (tmp_path / "x.deb").write_bytes(b"nothing")
    with pytest.raises(InputFileError, match="no Debian package"):
        unpack_deb(tmp_path / "x.deb", tmp_path)


def test_the_cache_gives_only_what_has_the_digest(tmp_path, deb):
    path, item = deb
    cache = BlobCache(tmp_path / "cache")
    assert cache.get(item.sha256) is None
    kept = cache.put(path, item.sha256)
    assert cache.get(item.sha256) == kept
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert cache.get(item.sha256) is None
    assert not kept.exists()


def test_another_content_is_refused_with_both_digests(tmp_path, deb):
    path, item = deb
    with pytest.raises(InputFileError, match=f"has sha256 {item.sha256}; the lock says {'0' * 64}"):
        BlobCache(tmp_path / "cache").put(path, "0" * 64)


def test_packages_in_the_cache_need_no_mirror(tmp_path, deb, monkeypatch):
    path, item = deb
    cache = BlobCache(tmp_path / "cache")
    cache.put(path, item.sha256)
    monkeypatch.setenv("MIRROR", "file:///nowhere")
    assert list(fetch_debs(cache, [item])) == [item.sha256]


def test_a_package_that_no_mirror_has_is_named_with_the_two_ways_on(tmp_path, deb, monkeypatch):
    monkeypatch.setenv("MIRROR", f"file://{tmp_path}/empty")
    monkeypatch.setattr("pocket_coffea.images.fetch._download", lambda *_: "")
    with pytest.raises(InputFileError, match=r"No mirror has tool 1:2\.0-1 \(pool/.*MIRROR=.*image lock"):
        fetch_debs(BlobCache(tmp_path / "cache"), [deb[1]])


@pytest.mark.skipif(not Path("/usr/lib/apt/apt-helper").exists(), reason="apt fetches packages")
def test_a_mirror_that_cannot_be_reached_is_named_and_asked_for_one_package_only(tmp_path, deb, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("MIRROR", f"http://127.0.0.1:{port}/debian")
    asked = []
    run = fetch.run_command
    monkeypatch.setattr(fetch, "run_command", lambda argv, **more: asked.append(argv) or run(argv, **more))
    packages = [deb[1], replace(deb[1], name="other", sha256="0" * 64, path="pool/other.deb")]
    with pytest.raises(InputFileError, match=r"No mirror has tool .*, other .* reached: http://127.*refused"):
        fetch_debs(BlobCache(tmp_path / "cache"), packages)
    assert len(asked) == 1


def test_mirrors_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("MIRROR", "file:///one/ file:///two")
    assert mirrors() == ["file:///one", "file:///two"]
