"""However much a registry sends, however slowly, and whatever it says it has: what we take has bounds."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadArchive, RecipeError, Unavailable
from recipes.model import Descriptor, Platform
from recipes.oci.media_types import OCI_CONFIG, OCI_LAYERS, OCI_MANIFEST
from recipes.oci.reference import image_name
from recipes.oci.store import MAX_BLOB, Store
from recipes.registry import connections
from recipes.registry.answer import BrokenOff
from recipes.registry.client import Client
from recipes.registry.connections import Pace
from recipes.registry.pull import find
from recipes.support.workspace import Workspace
from tests.cli import ROOT, error, invoke
from tests.fixtures_registry import LayoutWriter, LocalRegistry, tar_of
from tests.registry.faults import Proxy, serving
from tests.registry.hostile import Script, always, answer, certificate, endless, serving_script

pytestmark = pytest.mark.usefixtures("docker_config")

AMD64 = Platform("linux", "amd64")


def serving_manifest(document: object, **headers: str) -> Script:
    """A registry that has one manifest, and nothing else."""
    data = json.dumps(document).encode()

    def script(connection: socket.socket, head: str) -> None:
        manifest = "/manifests/" in head
        connection.sendall(answer(200, data, Content_Type=OCI_MANIFEST, **headers) if manifest else answer(200))

    return script


def manifest(*layers: object) -> dict[str, object]:
    config = {"mediaType": OCI_CONFIG, "digest": f"sha256:{'c' * 64}", "size": 2}
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}


def layer(size: object, number: int = 0) -> dict[str, object]:
    return {"mediaType": OCI_LAYERS["none"], "digest": f"sha256:{number:064x}", "size": size}


# ── what is declared ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [-1, 1.5, "5", True, None, 1 << 63, 10**30])
def test_a_size_is_a_size(workspace: Workspace, size: object) -> None:
    """What is not a number of bytes is bad input, and nothing is fetched."""
    check_refused(workspace, manifest(layer(1), layer(size, 1)), "not a valid descriptor")


@pytest.mark.parametrize(
    ("sizes", "max_blob", "message"),
    [
        ([5, 1001], 1000, r"a blob of 1,001 bytes; at most 1,000"),
        ([(16 << 30) + 1], MAX_BLOB, r"a blob of 17,179,869,185 bytes"),
        ([1] * 501, MAX_BLOB, "has 501 layers"),
    ],
)
def test_what_is_too_large(workspace: Workspace, sizes: list[int], max_blob: int, message: str) -> None:
    """A blob above --max-blob, and more layers than can be mounted, are bad input before anything is fetched."""
    layers = [layer(size, number) for number, size in enumerate(sizes)]
    check_refused(workspace, manifest(*layers), message, max_blob=max_blob)


def test_a_blob_that_is_named_twice_counts_as_the_larger(workspace: Workspace) -> None:
    """A second, small size of the same blob does not hide the first one."""
    check_refused(workspace, manifest(layer(1001, 1), layer(5, 1)), "a blob of 1,001 bytes", max_blob=1000)


@pytest.mark.parametrize("parts", [1, 4])
def test_what_there_is_no_room_for(workspace: Workspace, parts: int) -> None:
    """Layers that do not fit on the disk, alone or together, are an error before anything is fetched."""
    size = shutil.disk_usage(workspace.root).total // parts + 1
    layers = [layer(size, number) for number in range(parts)]
    check_refused(
        workspace, manifest(*layers), r"the disk would be full: [\d,]+ more bytes are needed", max_blob=1 << 60
    )


def check_refused(workspace: Workspace, document: object, message: str, max_blob: int = MAX_BLOB) -> None:
    with serving_script(serving_manifest(document)) as registry:
        with pytest.raises(RecipeError, match=message) as caught:
            resolve(f"docker://{registry.host}/a:1", AMD64, workspace, Store.of(workspace, max_blob=max_blob))
        assert not any("/blobs/" in head for head in registry.heads)
    assert caught.value.exit_code == 2
    assert len(caught.value.message) < 1000
    assert not workspace.images.exists()


def test_what_is_here_counts_no_more(registry: LocalRegistry, workspace: Workspace, tmp_path: Path) -> None:
    """A blob that is in the store needs neither room nor permission."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(tar_of({"a": b"1"}), tag="x")
    reference = registry.push(layout.folder, "here")
    assert resolve(reference, AMD64, workspace, Store.of(workspace)).layers
    small = Store.of(workspace, max_blob=1)
    assert resolve(reference, AMD64, workspace, small, refresh=True).layers


def test_an_index_names_no_large_manifest() -> None:
    """A manifest that is declared larger than any is not asked for."""
    with serving_script(serving_manifest({})) as registry:
        remote = find(image_name(f"{registry.host}/a:1"))
        asked = len(registry.heads)
        with pytest.raises(BadArchive, match="names a manifest of"):
            remote.manifest(Descriptor(OCI_MANIFEST, f"sha256:{'a' * 64}", 1 << 40))
        assert len(registry.heads) == asked


def test_the_option(registry: LocalRegistry, project: Path, tmp_path: Path) -> None:
    """--max-blob reaches the pull: exit code 2, and the hint names it."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(tar_of({"a": b"1"}), tag="x")
    reference = registry.push(layout.folder, "option")
    done = invoke(project, "verify", "/bin/true", f"--base={reference}", "--max-blob=10B")
    assert done.exit_code == 2
    assert "--max-blob" in error(done)


PACKED = gzip.compress(b"{}")


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────

_START = b"HTTP/1.1 200 Said\r\nContent-Type: " + OCI_MANIFEST.encode()
_CHUNKED = _START + b"\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_nobody_is_asked_for_compressed_bodies(registry: LocalRegistry) -> None:
    """Each request asks for bodies as they are, also those to a token server."""
    with serving_script(always(answer(200, b'{"token": "x"}'))) as tokens:
        challenge = f'Bearer realm="http://{tokens.host}/token"'
        with serving_script(always(answer(401, WWW_Authenticate=challenge))) as asked:
            Client(image_name(f"{asked.host}/a:1")).ask("GET", "manifests/1").close()
    heads = [*tokens.heads, *asked.heads]
    assert len(tokens.heads) == 1
    assert all(re.findall(r"(?i)^accept-encoding: (.*?)\r$", head, re.MULTILINE) == ["identity"] for head in heads)


@pytest.mark.parametrize("length", [b"-5", b"-1", b"f" * 20, b"zz", b""])
def test_a_length_that_is_none(length: bytes) -> None:
    """A chunk of an impossible length is an answer that broke off, and no bug of ours."""
    with (
        serving_script(always(_CHUNKED + length + b"\r\n{}")) as registry,
        Client(image_name(f"{registry.host}/a:1"), retries=0).ask("GET", "manifests/1") as found,
        pytest.raises(BrokenOff),
    ):
        found.body(100)


def test_a_compressed_blob_is_refused(workspace: Workspace) -> None:
    """A blob that comes with a Content-Encoding is an error that names it, not a wrong digest."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}}).encode()
    at = {"mediaType": "x", "digest": f"sha256:{hashlib.sha256(config).hexdigest()}", "size": len(config)}
    found = json.dumps({"schemaVersion": 2, "config": at, "layers": []}).encode()

    def script(connection: socket.socket, head: str) -> None:
        blob = answer(200, gzip.compress(config), Content_Encoding="gzip")
        connection.sendall(blob if "/blobs/" in head else answer(200, found, Content_Type=OCI_MANIFEST))

    store = Store.of(workspace)
    with serving_script(script) as registry, pytest.raises(Unavailable, match=r"Content-Encoding .* 'gzip'"):
        resolve(f"docker://{registry.host}/a:1", AMD64, workspace, store)
    assert not store.has(str(at["digest"]))


@pytest.mark.parametrize(
    ("encoding", "data", "message"),
    [
        ("gzip", PACKED, ""),
        ("X-GZIP", PACKED, ""),
        ("deflate", zlib.compress(b"{}"), ""),
        ("identity", b"{}", ""),
        ("gzip", b"{}", "cannot be undone: 'gzip'"),
        ("gzip", PACKED[:-1], "cannot be undone"),
        ("gzip", PACKED * 2, "cannot be undone"),
        ("br", b"{}", "cannot be undone: 'br'"),
        ("gzip, gzip", gzip.compress(PACKED), "cannot be undone"),
        ("gzip", gzip.compress(bytes(1 << 20)), "more than 4096 bytes"),
        ("identity", bytes(4097), "more than 4096 bytes"),
    ],
    ids=["gzip", "x-gzip", "deflate", "identity", "not gzip", "cut", "two members", "br", "twice", "bomb", "long"],
)
def test_a_compressed_manifest_is_undone(encoding: str, data: bytes, message: str) -> None:
    """Within its bound; what is damaged, or compressed in another way, is an error that says so."""
    with (
        serving_script(always(answer(200, data, Content_Encoding=encoding))) as registry,
        Client(image_name(f"{registry.host}/a:1")).ask("GET", "manifests/1") as found,
    ):
        if not message:
            assert found.body(4096) == b"{}"
            return
        with pytest.raises(BadArchive, match=message):
            found.body(4096)


_ASK = """
import re, sys
from pathlib import Path
from recipes.errors import RecipeError
from recipes.oci.reference import image_name
from recipes.registry.pull import find
try:
    find(image_name(f"{sys.argv[1]}/a:1"))
except RecipeError as error:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], error.message)
"""


@pytest.mark.parametrize("status", [200, 307, 401, 404, 503])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_no_answer_takes_memory(status: int, encoding: str) -> None:
    """Whatever stands in the way of a manifest, an endless body or a bomb ends soon, in less than 64 MB of memory."""
    location = "Location: /v2/again\r\nWWW-Authenticate: Basic" if status == 307 else "X: y"
    start = f"HTTP/1.1 {status} Said\r\nContent-Encoding: {encoding}\r\n{location}\r\n\r\n".encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
    more = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = more.compress(bytes(16 << 20)) + more.flush(zlib.Z_FULL_FLUSH)
    script = endless(start + bomb, piece) if encoding == "gzip" else endless(start, bytes(1 << 16))
    with serving_script(script) as registry:
        assert memory_of(registry.host) < 64_000


def test_no_token_takes_memory() -> None:
    """A token is read up to 1 MiB; a server that sends more is said not to be one."""
    start = b'HTTP/1.1 200 Said\r\n\r\n{"token": "'
    with serving_script(endless(start, b"x" * 65536)) as tokens:
        challenge = f'Bearer realm="http://{tokens.host}/token"'
        with serving_script(always(answer(401, WWW_Authenticate=challenge))) as registry:
            assert memory_of(registry.host) < 64_000
            with pytest.raises(Unavailable, match="sent an invalid token response"):
                find(image_name(f"{registry.host}/a:1"))


def memory_of(host: str) -> int:
    """The most memory in kB of a process that asks for a manifest and gets an error."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK, host], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return int(done.stdout.split()[0])


@pytest.mark.parametrize(
    ("start", "piece", "message"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "sends an endless answer"),
        (_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Trailer: more\r\n" * 1000, "sends an endless answer"),
        (_CHUNKED, b"0" * 4096, "broke off"),
    ],
    ids=["heads", "trailers", "length"],
)
def test_an_answer_comes_to_the_point(start: bytes, piece: bytes, message: str) -> None:
    """Heads, trailers and lengths of chunks that never end are an error."""
    with serving_script(endless(start, piece)) as registry, pytest.raises(Unavailable, match=message):
        find(image_name(f"{registry.host}/a:1"))


# ── how fast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 Said\r\nX: ", b"x"),
        (_START + b"\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (_CHUNKED, b"1\r\nx\r\n"),
        (_CHUNKED, b"0"),
    ],
    ids=["head", "body", "chunks", "length"],
)
@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_registry_is_a_time_out(
    tls: bool,
    start: bytes,
    piece: bytes,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One that always has a byte more, and never many, is given up: whatever part of an answer it dawdles over."""
    monkeypatch.setattr(connections, "PACE", Pace(10_000, 0.2))

    def script(connection: socket.socket, head: str) -> None:
        if " /v2/ " in head:
            connection.sendall(answer(200))
            return
        connection.sendall(start)
        while True:
            time.sleep(0.01)
            connection.sendall(piece)

    context = None
    if tls:
        context, file = certificate(tmp_path, "IP:127.0.0.1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    slow = r"127\.0\.0\.1 timed out: less than 10,000 bytes came in 0\.2 s"
    with serving_script(script, tls=context) as registry, pytest.raises(Unavailable, match=slow):
        find(image_name(f"{registry.host}/a:1"))


def test_a_slow_answer_is_waited_for(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a registry thinks before it answers does not count as slow."""
    monkeypatch.setattr(connections, "PACE", Pace(10_000, 0.2))
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(tar_of({"a": b"1"}), tag="x")
    registry.push(layout.folder, "thinks")
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {"/manifests/": ["delay 1"], "/blobs/": ["delay 1"]}
        assert resolve(f"docker://{proxy.host}/thinks", AMD64, workspace, Store.of(workspace)).layers


# ── what is quoted ───────────────────────────────────────────────────────────────────────────────────────────────────

LONG = "x" * 50_000


@pytest.mark.parametrize(
    "said",
    [
        f"HTTP/1.1 500 {LONG}\r\n\r\n".encode(),
        answer(307, Location=f"http://192.168.0.1/{LONG}"),
        answer(401, WWW_Authenticate=f'Bearer realm="http://192.168.0.1/{LONG}"'),
        answer(200, b"{}", Docker_Content_Digest=f"sha256:{LONG}"),
        answer(200, b"{}", Content_Encoding=LONG),
        answer(200, f'{{"config": {{}}, "mediaType": "{LONG}"}}'.encode()),
        answer(200, b'{"config": {}}', Content_Type=LONG),
        answer(200, json.dumps(manifest(layer(1) | {"mediaType": LONG})).encode()),
        answer(200, json.dumps(manifest(layer(LONG))).encode()),
        answer(200, json.dumps({"manifests": [{"platform": {"os": LONG}}]}).encode()),
        answer(400, json.dumps({"errors": [{"message": LONG}]}).encode()),
    ],
    ids=[
        "reason",
        "location",
        "realm",
        "digest",
        "encoding",
        "media type",
        "content type",
        "layer type",
        "size",
        "platform",
        "error",
    ],
)
def test_a_message_is_short(workspace: Workspace, said: bytes) -> None:
    """However long the words of a registry are, an error is one that can be read."""

    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(answer(200) if " /v2/ " in head else said)

    with serving_script(script) as registry, pytest.raises(RecipeError) as caught:
        resolve(f"docker://{registry.host}/a:1", AMD64, workspace, Store.of(workspace))
    assert len(caught.value.message) < 1000
    assert len(caught.value.hint) < 1000
