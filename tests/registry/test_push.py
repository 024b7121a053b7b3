"""A push sends what the registry lacks and nothing twice, survives what networks do, and tags last."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadArchive, BadInput, RecipeError, Unavailable
from recipes.model import Descriptor, Platform
from recipes.oci.media_types import OCI_CONFIG, OCI_LAYERS, OCI_MANIFEST
from recipes.oci.reference import image_name
from recipes.oci.store import Store
from recipes.registry.blob_locations import holders, remember
from recipes.registry.push import push
from recipes.registry.session import ATTEMPTS
from recipes.results import Pushed
from recipes.support.workspace import Workspace, keep
from tests.cli import ROOT
from tests.fixtures_registry import PASSWORD, USER, LayoutWriter, LocalRegistry, tar_of
from tests.registry.faults import Proxy, serving
from tests.stores import store_at

NOISE = random.Random(3).randbytes(1 << 20)  # noqa: S311  # it need not be secret, only the same each time


pytestmark = pytest.mark.usefixtures("docker_config")


@pytest.fixture
def layout(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "layout")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own, as the registries live as long as the session."""
    return "push/" + re.sub(r"[^a-z0-9]+", "-", str(request.node.name).lower()).strip("-")[:80]


def image(layout: LayoutWriter, name: str, *, noise: bool = True) -> Descriptor:
    """An image with a layer that no other test has, and one of a megabyte that all of them share."""
    tars = [tar_of({"name": name.encode()}), *([tar_of({"noise": NOISE, "of": name.encode()})] if noise else [])]
    return descriptor(layout.image(*tars))


def descriptor(value: dict[str, object]) -> Descriptor:
    return Descriptor(str(value["mediaType"]), str(value["digest"]), int(str(value["size"])))


def send(layout: LayoutWriter, start: Descriptor, to: str, workspace: Workspace, **options: bool) -> Pushed:
    return push(store_at(layout.folder), start, image_name(to), workspace=workspace, jobs=3, **options)


def log_in(config: Path, host: str, password: str) -> None:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def largest_upload(layout: LayoutWriter) -> str:
    """What is in the address of an upload's PUT, and in no other: the digest of the largest blob."""
    blob = max((layout.folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    return f"digest=sha256%3A{blob.name}"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# ── what is sent, and what is not ────────────────────────────────────────────────────────────────────────────────────


def test_the_second_push_moves_nothing(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """The first push sends every blob once, the second one not a byte; skopeo reads the same image."""
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        first = send(layout, start, f"{proxy.host}/{name}:1", workspace)
        assert (len(first.sent), first.present, first.mounted, first.manifests_sent) == (3, (), (), 1)
        assert first.bytes_moved == sum(blob.size for blob in first.sent) + start.size == proxy.body_bytes
        assert str(first) == f"{proxy.host}/{name}@{start.digest}"
        proxy.methods.clear()
        second = send(layout, start, f"{proxy.host}/{name}:1", workspace)
        assert (second.sent, len(second.present), second.manifests_sent, second.bytes_moved) == ((), 3, 0, 0)
        assert proxy.methods == {"GET": 1, "HEAD": 5}  # which protocol; tag, blobs, tag
    assert digest_of(registry.read(f"{name}:1")) == start.digest


def test_a_push_connects_as_often_as_it_sends_side_by_side(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """Three blobs at a time are three connections, for all that is asked and sent; alone, one does."""
    for jobs in (3, 1):
        start = image(layout, f"{name}-{jobs}")
        with serving(Proxy(registry.host)) as proxy:
            target = image_name(f"{proxy.host}/{name}:{jobs}")
            done = push(store_at(layout.folder), start, target, workspace=workspace, jobs=jobs)
            assert len(done.sent) == 3
            assert proxy.methods.total() > 10
            assert proxy.connections <= jobs


def test_a_new_tag_costs_a_manifest(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """Under another tag of the same repository only the manifest is sent."""
    start = image(layout, name)
    send(layout, start, f"{registry.host}/{name}:1", workspace)
    other = send(layout, start, f"{registry.host}/{name}:2", workspace)
    assert (other.sent, other.manifests_sent, other.bytes_moved) == ((), 1, start.size)


def test_blobs_are_mounted_across_repositories(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """What another repository of the same registry holds is taken over from there, and no byte of it is sent."""
    start = image(layout, name)
    send(layout, start, f"{registry.host}/{name}", workspace)
    other = send(layout, start, f"{registry.host}/{name}-two", workspace)
    assert (other.sent, other.present, {source for _, source in other.mounted}) == ((), (), {name})
    assert len(other.mounted) == 3
    assert other.bytes_moved == start.size
    assert digest_of(registry.read(f"{name}-two")) == start.digest


def test_a_declined_mount_is_an_upload(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """A registry without the blob begins an upload instead, one that refuses gets a plain one; both are remembered."""
    start = image(layout, name)
    target = image_name(f"{registry.host}/{name}")
    blobs = [
        value["digest"]
        for value in json.loads((layout.folder / "blobs/sha256" / start.digest[7:]).read_bytes())["layers"]
    ]
    remember(workspace, image_name(f"{registry.host}/was-here/once"), blobs)
    done = push(store_at(layout.folder), start, target, workspace=workspace)
    assert (len(done.sent), done.mounted) == (3, ())
    assert all(holders(workspace, registry.host)[digest] == (name,) for digest in blobs)
    with serving(Proxy(registry.host)) as proxy:
        remember(workspace, image_name(f"{proxy.host}/{name}"), blobs)
        proxy.faults = {"mount=": ["400", "403"]}
        done = send(layout, start, f"{proxy.host}/{name}-two", workspace)
        assert (len(done.sent), done.mounted) == (3, ())


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"host": 3}',
        '{"host": "HOST", "blobs": 3}',
        '{"host": "HOST", "blobs": {"x": ["a"], "DIGEST": [3, "../x"]}}',
    ],
)
def test_a_damaged_record_only_costs_time(workspace: Workspace, damage: str) -> None:
    """Whatever is in the record of a registry, nothing but digests and names of repositories comes out of it."""
    digest = f"sha256:{'a' * 64}"
    target = image_name("localhost:5000/a/b:1")
    remember(workspace, target, [digest])
    (record,) = workspace.registries.glob("*.json")
    keep(record, damage.replace("HOST", target.host).replace("DIGEST", digest).encode())
    assert not any(holders(workspace, target.host).values())
    remember(workspace, target, [digest])
    assert holders(workspace, target.host)[digest] == ("a/b",)


def test_an_index_comes_back_as_it_went(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, tmp_path: Path, name: str
) -> None:
    """An index is pushed with all that it names; skopeo and our own docker:// read it back, equal in digest."""
    names = ("linux/amd64", "linux/arm64")
    images = {each: layout.image(tar_of({each: name.encode()}), platform=each) for each in names}
    start = descriptor(layout.index(*images.values()))
    done = send(layout, start, f"{registry.host}/{name}:all", workspace)
    assert (done.digest, done.manifests_sent, len(done.sent)) == (start.digest, 3, 4)
    assert registry.read(f"{name}:all") == (layout.folder / "blobs/sha256" / start.digest[7:]).read_bytes()
    for each in names:
        mine = Workspace(tmp_path / each)
        base = resolve(f"docker://{registry.host}/{name}:all", Platform.parse(each), mine, Store.of(mine))
        assert base.digest == images[each]["digest"]
    assert send(layout, start, f"{registry.host}/{name}:all", workspace).bytes_moved == 0


def test_what_is_not_whole_is_not_begun(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """A blob that is absent or shortened in the store is an error before anything is sent."""
    start = image(layout, name)
    largest = max((layout.folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    with serving(Proxy(registry.host)) as proxy:
        for harm in (data[:-1], None):
            largest.write_bytes(harm) if harm is not None else largest.unlink()
            with pytest.raises(BadArchive, match="missing or incomplete"):
                send(layout, start, f"{proxy.host}/{name}", workspace)
        assert not proxy.seen
        largest.write_bytes(data[:-1] + b"!")
        with pytest.raises(BadArchive, match="damaged"):
            send(layout, start, f"{proxy.host}/{name}", workspace)
    with pytest.raises(subprocess.CalledProcessError):
        registry.read(name)


def test_a_large_layer_is_streamed(registry: LocalRegistry, layout: LayoutWriter, name: str) -> None:
    """A layer of 200 MB is pushed in less than 100 MB of memory."""
    big = layout.folder / "big"
    with open(big, "wb") as file:
        file.writelines(NOISE[: 1_000_000 - number] + bytes(number) for number in range(200))
    with open(big, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    big.rename(layout.folder / "blobs/sha256" / digest)
    layer = {"mediaType": OCI_LAYERS["none"], "digest": f"sha256:{digest}", "size": 200_000_000}
    config = layout.blob(b"{}", OCI_CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": [layer],
    }
    start = layout.blob(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    code = f"{_PUSH}\nimport re\nprint(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    done = subprocess.run(
        [*_argv(code, layout, descriptor(start), f"{registry.host}/{name}")], cwd=ROOT, check=True, capture_output=True
    )
    assert int(done.stdout.split()[-1]) < 100_000


# ── what networks and registries do ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["cut 0", "cut 400000", "lose", "delay 0.5"])
def test_a_broken_upload_starts_again(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, fault: str
) -> None:
    """A connection that breaks before, within or after a blob, or that is slow, costs time and nothing else."""
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {largest_upload(layout): [fault], "POST ": ["lose"] if fault == "lose" else []}
        done = send(layout, start, f"{proxy.host}/{name}", workspace)
    assert (len(done.sent), done.present) == (3, ())
    assert digest_of(registry.read(name)) == start.digest


@pytest.mark.parametrize("where", ["HEAD ", "POST ", "PUT /v2/push/", "/manifests/"])
def test_server_errors_are_tried_again(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, where: str
) -> None:
    """A few 5xx answers pass unnoticed, whatever was asked; one that stays is Unavailable, and tags nothing."""
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {where: ["500", "503", "429"]}
        send(layout, start, f"{proxy.host}/{name}:1", workspace)
        other = image(layout, f"{name}-two")
        proxy.faults = {where: ["502"] * 3 * ATTEMPTS}
        with pytest.raises(Unavailable, match="502") as caught:
            send(layout, other, f"{proxy.host}/{name}:1", workspace)
        assert caught.value.exit_code == 6
    assert digest_of(registry.read(f"{name}:1")) == start.digest


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        ("413", "too large", "proxy"),
        ('403 {"errors": [{"code": "DENIED", "message": "quota exceeded"}]}', "no room left", "larger quota"),
        (
            '404 {"errors": [{"code": "NAME_UNKNOWN", "message": "create it first"}]}',
            r"has no .* \(create it first\)",
            "create",
        ),
        ("507", "no room left", "quota"),
        ('400 {"errors": [{"code": "NAME_INVALID", "message": "no such\\nnames"}]}', r"400 .*\(no such names\)", ""),
        ("200 not a registry at all", "answered 200", ""),
    ],
)
def test_refusals_say_what_to_do(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, answer: str, message: str, hint: str
) -> None:
    """Each refusal is one error with what the registry said, and a hint where there is something to be done."""
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {"POST ": [answer] * 3}
        with pytest.raises(Unavailable, match=message) as caught:
            send(layout, start, f"{proxy.host}/{name}", workspace)
        assert hint in caught.value.hint


@pytest.mark.parametrize("answer", ["403", "405"])
def test_blobs_that_one_may_not_ask_for(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, answer: str
) -> None:
    """A registry that answers no questions after blobs gets them."""
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {f"HEAD /v2/{name}/blobs/": [answer] * 3}
        assert len(send(layout, start, f"{proxy.host}/{name}", workspace).sent) == 3
    assert digest_of(registry.read(name)) == start.digest


def test_a_registry_that_can_only_be_read(
    closed_registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """A read-only registry is said to be one."""
    with pytest.raises(Unavailable, match="accepts no images") as caught:
        send(layout, image(layout, name), f"{closed_registry.host}/{name}", workspace)
    assert "read-only" in caught.value.hint


def test_a_host_that_is_not_there_is_told_at_once(layout: LayoutWriter, workspace: Workspace, name: str) -> None:
    """Nothing is tried again where the host never answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be reached: Connection refused"):
        send(layout, image(layout, name), f"{host}/{name}", workspace)
    with pytest.raises(Unavailable, match="cannot be reached"):
        send(layout, image(layout, name), f"registry.invalid/{name}", workspace)
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "location", ["http://registry.example.org/upload/1", "http://127.0.0.1:9/upload", "", "http://127.0.0.1:bad/x"]
)
def test_an_upload_goes_nowhere_unsafe(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, location: str
) -> None:
    """An upload that the registry wants elsewhere without TLS is refused, and nothing is sent there."""
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {"POST ": [f"locate {location}"] * 3}
        with pytest.raises(RecipeError, match=r"not safe|no Location|invalid registry response"):
            send(layout, image(layout, name), f"{proxy.host}/{name}", workspace)


def test_the_tag_is_checked_afterwards(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """A registry that takes a manifest and forgets it is found out."""
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {f"PUT /v2/{name}/manifests/": ["201"]}
        with pytest.raises(Unavailable, match="points to nothing"):
            send(layout, image(layout, name), f"{proxy.host}/{name}", workspace)


# ── logins ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_login_is_needed(
    private_registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, docker_config: Path, name: str
) -> None:
    """Without a login, and with a wrong one, a push ends with a hint; with the right one it works, mounts included."""
    start = image(layout, name)
    to = f"{private_registry.host}/{name}"
    with pytest.raises(Unavailable, match="requires a login") as caught:
        send(layout, start, to, workspace)
    assert f"docker login {private_registry.host}" in caught.value.hint
    log_in(docker_config, private_registry.host, "wrong")
    with pytest.raises(Unavailable, match="refused the login"):
        send(layout, start, to, workspace)
    log_in(docker_config, private_registry.host, PASSWORD)
    assert len(send(layout, start, to, workspace).sent) == 3
    assert len(send(layout, start, f"{to}-two", workspace).mounted) == 3


def test_bearer_tokens_open_what_is_pushed(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, docker_config: Path, name: str
) -> None:
    """One token is asked for, and it opens pushing; one more opens the repository that is mounted from."""
    start = image(layout, name)
    with serving(Proxy(registry.host, tokens=True)) as proxy:
        with pytest.raises(Unavailable, match="requires a login"):
            send(layout, start, f"{proxy.host}/{name}", workspace)
        log_in(docker_config, proxy.host, PASSWORD)
        proxy.seen.clear()
        assert len(send(layout, start, f"{proxy.host}/{name}", workspace).sent) == 3
        assert sum(count for path, count in proxy.seen.items() if path.startswith("/token")) == 1
        assert len(send(layout, start, f"{proxy.host}/{name}-two", workspace).mounted) == 3
        assert (
            proxy.body_bytes
            == sum(path.stat().st_size for path in (layout.folder / "blobs/sha256").iterdir()) + start.size
        )


def test_insecure_is_for_this_machine(
    tls_registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str
) -> None:
    """A self-signed certificate on loopback needs --insecure, which is an error for any other host."""
    start = image(layout, name)
    with pytest.raises(Unavailable, match="cannot be trusted") as caught:
        send(layout, start, f"{tls_registry.host}/{name}", workspace)
    assert "--insecure" in caught.value.hint
    assert len(send(layout, start, f"{tls_registry.host}/{name}", workspace, insecure=True).sent) == 3
    with pytest.raises(BadInput, match="is for registries on this machine"):
        send(layout, start, f"registry.example.org/{name}", workspace, insecure=True)


def test_a_digest_is_no_target(layout: LayoutWriter, workspace: Workspace, name: str) -> None:
    """A push names a tag: what its digest is, follows."""
    with pytest.raises(BadInput, match="is a digest"):
        send(layout, image(layout, name), f"localhost:5000/a@sha256:{'0' * 64}", workspace)


# ── interrupted ──────────────────────────────────────────────────────────────────────────────────────────────────────

_PUSH = """
import signal
import sys
from pathlib import Path
from recipes.model import Descriptor
from recipes.registry.push import push
from recipes.oci.reference import image_name
from tests.stores import store_at
from recipes.support.workspace import Workspace
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background of a shell
folder, media_type, digest, size, target = sys.argv[1:]
start = Descriptor(media_type, digest, int(size))
print(push(store_at(Path(folder)), start, image_name(target), workspace=Workspace(Path(folder)), jobs=2))
"""


def _argv(code: str, layout: LayoutWriter, start: Descriptor, to: str) -> list[str]:
    return [sys.executable, "-c", code, str(layout.folder), start.media_type, start.digest, str(start.size), to]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_push_leaves_the_tag(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, name: str, number: signal.Signals
) -> None:
    """Killed in the middle of a blob, or ended by ^C at once, it leaves the tag as it was; the next push works."""
    before = image(layout, f"{name}-before", noise=False)
    send(layout, before, f"{registry.host}/{name}:1", workspace)
    start = image(layout, name)
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {largest_upload(layout): ["slow 100000"]}
        process = subprocess.Popen(
            _argv(_PUSH, layout, start, f"{proxy.host}/{name}:1"), cwd=ROOT, stderr=subprocess.PIPE, env={**os.environ}
        )
        try:
            deadline = time.monotonic() + 20
            while proxy.body_bytes < 200_000 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert 200_000 <= proxy.body_bytes < 1_000_000
            process.send_signal(number)
            process.communicate(timeout=3)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        assert digest_of(registry.read(f"{name}:1")) == before.digest
        done = send(layout, start, f"{proxy.host}/{name}:1", workspace)
        assert len(done.sent) + len(done.present) == 3
    assert digest_of(registry.read(f"{name}:1")) == start.digest
