"""Bases come whole and checked from a real registry, or not at all."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadArchive, RecipeError, Unavailable
from recipes.model import BaseImage, Platform
from recipes.oci.store import Store
from recipes.registry import credentials
from recipes.registry.challenges import read_challenges
from recipes.registry.session import ATTEMPTS
from recipes.support.workspace import Workspace
from tests.cli import ROOT
from tests.fixtures_registry import PASSWORD, USER, LayoutWriter, LocalRegistry, tar_of
from tests.need import need
from tests.registry.faults import IDENTITY_TOKEN, Proxy, serving

AMD64 = Platform("linux", "amd64")
NOISE = random.Random(2).randbytes(1 << 20)  # noqa: S311  # it need not be secret, only the same each time


pytestmark = pytest.mark.usefixtures("docker_config")


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


@pytest.fixture
def layout(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "layout")


@pytest.fixture
def noise(
    registry: LocalRegistry, layout: LayoutWriter, request: pytest.FixtureRequest
) -> tuple[str, dict[str, object]]:
    """(repository, layer descriptor) of an image with one layer of a megabyte that does not compress."""
    name = request.node.name.partition("[")[0].replace("_", "-")
    image = layout.image(tar_of({"noise": NOISE, name: b""}), tag="x")
    registry.push(layout.folder, name)
    manifest = json.loads((layout.folder / "blobs/sha256" / str(image["digest"])[7:]).read_bytes())
    return name, manifest["layers"][0]


def pull(reference: str, workspace: Workspace, store: Store, platform: Platform = AMD64) -> BaseImage:
    return resolve(reference, platform, workspace, store)


def test_an_image_is_pulled(registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store) -> None:
    """Layers, environment and manifest digest are those that were pushed, and the blobs are in the store."""
    tars = [tar_of({"etc/a": b"one"}), tar_of({"etc/b": b"three"})]
    pushed = layout.image(*tars, env=("PATH=/bin", "A=b=c"), tag="x")
    base = pull(registry.push(layout.folder, "plain", "1.0"), workspace, store)
    assert base.digest == pushed["digest"]
    assert base.env == (("PATH", "/bin"), ("A", "b=c"))
    assert [layer.content_bytes for layer in base.layers] == [3, 5]
    assert all(store.blob(layer.descriptor.digest).stat().st_size == layer.descriptor.size for layer in base.layers)
    by_digest = pull(f"docker://{registry.host}/plain@{base.digest}", workspace, store)
    assert by_digest.layers == base.layers


def test_a_pull_needs_one_connection(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """Which protocol, index, manifest, config and layers: all come through one connection."""
    image = layout.image(tar_of({"etc/a": b"one"}), tar_of({"etc/b": NOISE}))
    layout.index(image, tag="x")
    registry.push(layout.folder, "one-connection")
    with serving(Proxy(registry.host)) as proxy:
        assert pull(f"docker://{proxy.host}/one-connection", workspace, store).digest == image["digest"]
        assert (proxy.seen.total(), proxy.connections) == (6, 1)


def test_the_platform_chooses(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """An index gives each platform its own image; arm64 is arm64/v8, and v7 runs what was built for v6."""
    platforms = ["linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v5"]
    images = {name: layout.image(tar_of({name: b""}), platform=name) for name in platforms}
    layout.index(*images.values(), tag="x")
    reference = registry.push(layout.folder, "many")
    for wanted, expected in [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm/v7", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
    ]:
        base = pull(reference, workspace, store, Platform.parse(wanted))
        assert base.digest == images[expected]["digest"], wanted
        assert base.platform == Platform.parse(wanted)


def test_a_missing_platform_lists_what_there_is(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """An image that is not there for the platform is Unavailable, from an index and from a single manifest."""
    layout.index(layout.image(tar_of({"a": b""}), platform="linux/arm64/v8"), tag="x")
    single = LayoutWriter(layout.folder.parent / "single")
    single.image(tar_of({"a": b""}), platform="linux/s390x", tag="x")
    for folder, there in [(layout.folder, "linux/arm64/v8"), (single.folder, "linux/s390x")]:
        with pytest.raises(Unavailable, match="no image for linux/amd64") as caught:
            pull(registry.push(folder, f"only-{folder.name}"), workspace, store)
        assert there in caught.value.hint


def test_what_is_not_there(registry: LocalRegistry, workspace: Workspace, store: Store) -> None:
    """An unknown repository or tag is Unavailable, with exit code 6."""
    with pytest.raises(Unavailable, match="not in the registry") as caught:
        pull(f"docker://{registry.host}/nobody/made:this", workspace, store)
    assert caught.value.exit_code == 6


def test_a_known_base_needs_no_registry(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """The second time nothing is asked, until a refresh: then a moved tag is followed."""
    first = layout.image(tar_of({"a": b"1"}), tag="x")
    with serving(Proxy(registry.host)) as proxy:
        registry.push(layout.folder, "moving")
        reference = f"docker://{proxy.host}/moving"
        assert pull(reference, workspace, store).digest == first["digest"]
        asked = proxy.seen.total()
        other = LayoutWriter(layout.folder.parent / "other")
        second = other.image(tar_of({"a": b"2"}), tag="x")
        registry.push(other.folder, "moving")
        assert pull(reference, workspace, store).digest == first["digest"]
        assert proxy.seen.total() == asked
        assert resolve(reference, AMD64, workspace, store, refresh=True).digest == second["digest"]
        assert pull(reference, workspace, store).digest == second["digest"]


def test_a_lost_blob_is_fetched_again(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store
) -> None:
    """A blob that vanished from the store, or lost its end, is noticed and comes again."""
    reference = f"docker://{registry.host}/{noise[0]}"
    blob = store.blob(pull(reference, workspace, store).layers[0].descriptor.digest)
    size = blob.stat().st_size
    blob.unlink()
    pull(reference, workspace, store)
    assert blob.stat().st_size == size
    blob.chmod(0o644)
    blob.write_bytes(b"short")
    pull(reference, workspace, store)
    assert blob.stat().st_size == size


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_blob_is_refused(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store, damage: str
) -> None:
    """A registry whose storage is damaged cannot make us keep the damage: no base, and no blob in the store."""
    name, layer = noise
    file = registry.blob(str(layer["digest"]))
    data = bytearray(file.read_bytes())
    file.write_bytes(data[:-1000] if damage == "truncated" else data[:5000] + b"!" + data[5001:])
    try:
        with pytest.raises(RecipeError) as caught:
            pull(f"docker://{registry.host}/{name}", workspace, store)
        assert isinstance(caught.value, BadArchive | Unavailable)
        assert not store.has(str(layer["digest"]))
    finally:
        file.write_bytes(data)


def test_a_false_manifest_is_refused(
    registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """A manifest is checked against the digest that was asked for, and against the one the registry gives."""
    digest = layout.image(tar_of({"a": b""}), tag="x")["digest"]
    registry.push(layout.folder, "false")
    with serving(Proxy(registry.host)) as proxy:
        for selector in (f"@{digest}", ":latest"):
            proxy.faults = {"/manifests/": ['swap {"schemaVersion": 2}']}
            with pytest.raises(BadArchive, match="digest"):
                pull(f"docker://{proxy.host}/false{selector}", workspace, store)


def test_a_broken_download_goes_on_where_it_broke(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store
) -> None:
    """A dropped connection is taken up with a range request, and the blob is whole in the end."""
    name, layer = noise
    digest = str(layer["digest"])
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {digest: ["drop 400000", "drop 300000"]}
        base = pull(f"docker://{proxy.host}/{name}", workspace, store)
        assert proxy.ranges == ["bytes=400000-", "bytes=700000-"]
        assert store.blob(base.layers[0].descriptor.digest).stat().st_size == layer["size"]


def test_server_errors_are_tried_again(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store
) -> None:
    """A few 5xx answers pass unnoticed; one that stays is Unavailable and names the answer."""
    name, layer = noise
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {"/manifests/": ["503", "500"], str(layer["digest"]): ["502"]}
        assert pull(f"docker://{proxy.host}/{name}", workspace, store).layers
        proxy.faults = {"/manifests/": ["503"] * (ATTEMPTS + 1)}
        with pytest.raises(Unavailable, match="503"):
            resolve(f"docker://{proxy.host}/{name}", AMD64, workspace, store, refresh=True)


def test_a_registry_that_asks_to_wait(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store
) -> None:
    """429 with Retry-After is waited for where that takes seconds, and told at once where it would take longer."""
    name, layer = noise
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {"/manifests/": ["wait 1"], str(layer["digest"]): ["wait 1", "wait 1"]}
        assert pull(f"docker://{proxy.host}/{name}", workspace, store).layers
        proxy.faults = {"/manifests/": ["wait 3600"]}
        with pytest.raises(Unavailable, match="rate limit reached"):
            resolve(f"docker://{proxy.host}/{name}", AMD64, workspace, store, refresh=True)


def test_a_registry_that_cannot_go_on(
    registry: LocalRegistry, noise: tuple[str, dict[str, object]], workspace: Workspace, store: Store
) -> None:
    """Where the rest of a blob is refused, it is fetched from the start."""
    name, layer = noise
    with serving(Proxy(registry.host)) as proxy:
        proxy.faults = {str(layer["digest"]): ["drop 400000", "416"]}
        base = pull(f"docker://{proxy.host}/{name}", workspace, store)
        assert proxy.ranges == ["bytes=400000-"]
        assert store.blob(base.layers[0].descriptor.digest).stat().st_size == layer["size"]


def test_a_login_is_found_in_dockers_configuration(
    private_registry: LocalRegistry, layout: LayoutWriter, workspace: Workspace, store: Store, docker_config: Path
) -> None:
    """Without a login, and with a wrong one, the base is Unavailable with a hint; with the right one it is pulled."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    reference = private_registry.push(layout.folder, "secret")
    with pytest.raises(Unavailable, match="requires a login") as caught:
        pull(reference, workspace, store)
    assert f"docker login {private_registry.host}" in caught.value.hint
    log_in(docker_config, private_registry.host, "wrong")
    with pytest.raises(Unavailable, match="refused the login"):
        pull(reference, workspace, store)
    log_in(docker_config, private_registry.host, PASSWORD)
    assert pull(reference, workspace, store).image_bytes == 1


def test_a_credential_helper_is_asked(
    private_registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """credHelpers names a program for the host; it is asked in Docker's protocol."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    reference = private_registry.push(layout.folder, "helped")
    helper = docker_config.parent / "docker-credential-cave"
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(
        f"#!/bin/sh\nread host\n[ \"$1-$host\" = get-{private_registry.host} ] || exit 1\necho '{answer}'\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    docker_config.write_text(json.dumps({"credHelpers": {private_registry.host: "cave"}}))
    assert pull(reference, workspace, store).image_bytes == 1


@pytest.mark.parametrize("anonymous", [True, False])
def test_bearer_tokens(
    registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    anonymous: bool,
) -> None:
    """A registry that wants a token gets one from the realm it names: without a login if it gives one, else with it."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    registry.push(layout.folder, "tokens")
    with serving(Proxy(registry.host, tokens=True, anonymous=anonymous)) as proxy:
        reference = f"docker://{proxy.host}/tokens"
        if not anonymous:
            with pytest.raises(Unavailable, match="login"):
                pull(reference, workspace, store)
            log_in(docker_config, proxy.host, PASSWORD)
        assert pull(reference, workspace, store).image_bytes == 1
        assert any("service=cave" in path and "scope=repository%3Atokens%3Apull" in path for path in proxy.seen)


@pytest.mark.parametrize(
    ("also", "tokens"),
    [
        (('Basic realm="foo"',), True),
        (('Negotiate, Basic realm="a, \\"b\\"", NTLM abc==',), True),
        (("Negotiate",), False),
        (('Digest realm="x", qop="auth,auth-int"', "Negotiate"), False),
    ],
)
def test_several_challenges(
    registry: LocalRegistry,
    private_registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    also: tuple[str, ...],
    tokens: bool,
) -> None:
    """Of all that a registry would accept a token is taken first, and then the login itself."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    upstream = registry if tokens else private_registry
    upstream.push(layout.folder, "challenges")
    with serving(Proxy(upstream.host, tokens=tokens, also=also)) as proxy:
        log_in(docker_config, proxy.host, PASSWORD)
        assert pull(f"docker://{proxy.host}/challenges", workspace, store).image_bytes == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("Basic", {"basic": {}}),
        ('bearer realm="https://a/b?c=d",Service=e', {"bearer": {"realm": "https://a/b?c=d", "service": "e"}}),
        (
            'Basic realm="a", Bearer realm = "b" , scope="c,d"',
            {"basic": {"realm": "a"}, "bearer": {"realm": "b", "scope": "c,d"}},
        ),
        ('Negotiate abc==, , Basic realm="\\"q\\""', {"negotiate": {}, "basic": {"realm": '"q"'}}),
        ('realm="nobody\'s", Basic realm="open', {"basic": {}}),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, expected: dict[str, dict[str, str]]) -> None:
    """Schemes and parameters are told apart as RFC 9110 has it; what is damaged is no challenge that could be met."""
    assert {scheme: found.parameters for scheme, found in read_challenges(header).items()} == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("500 {}", "the token server, answered 500 Internal Server Error"),
        ("swap [1]", "sent an invalid token response"),
        ('swap "x"', "sent an invalid token response"),
        ("swap <html>", "sent an invalid token response"),
        ("403 {}", "refused the login"),
    ],
)
def test_a_token_server_that_fails(
    registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    answer: str,
    message: str,
) -> None:
    """It is the token server that is named, and not the login, unless that was what it refused."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    registry.push(layout.folder, "tokenless")
    with serving(Proxy(registry.host, tokens=True)) as proxy:
        log_in(docker_config, proxy.host, PASSWORD)
        proxy.faults = {"/token": [answer] * 2 * ATTEMPTS}
        with pytest.raises(Unavailable, match=message):
            pull(f"docker://{proxy.host}/tokenless", workspace, store)


BASIC = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
PADDED = {"auth": base64.b64encode(f"{USER}:{PASSWORD}\0\0".encode()).decode()}
AZURE = {"auth": base64.b64encode(b"0000:").decode(), "identitytoken": IDENTITY_TOKEN}


@pytest.mark.parametrize(
    ("key", "entry"),
    [("https://HOST/v2/", BASIC), ("http://HOST/", BASIC), ("HOST/v1/", BASIC), ("HOST", PADDED), ("HOST", AZURE)],
)
def test_what_a_login_may_look_like(
    registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    key: str,
    entry: dict[str, str],
) -> None:
    """Keys with a scheme and a path, padded passwords, and identity tokens, which are exchanged for a token."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    registry.push(layout.folder, "logins")
    with serving(Proxy(registry.host, tokens=True)) as proxy:
        docker_config.write_text(json.dumps({"auths": {key.replace("HOST", proxy.host): entry}}))
        assert pull(f"docker://{proxy.host}/logins", workspace, store).image_bytes == 1


@pytest.mark.parametrize("program", ["identity", "none"])
def test_what_a_credential_helper_may_be(
    registry: LocalRegistry,
    layout: LayoutWriter,
    workspace: Workspace,
    store: Store,
    docker_config: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
) -> None:
    """One that has an identity token gives that; one that is not a program is noted and passed over."""
    layout.image(tar_of({"a": b"1"}), tag="x")
    registry.push(layout.folder, "helpers")
    answer = json.dumps({"Username": "<token>", "Secret": IDENTITY_TOKEN})
    helper = docker_config.parent / "docker-credential-cave"
    helper.write_bytes(f"#!/bin/sh\necho '{answer}'\n".encode() if program == "identity" else b"\x7fELF no program")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    said: list[str] = []
    monkeypatch.setattr(credentials, "note", said.append)
    with serving(Proxy(registry.host, tokens=True)) as proxy:
        docker_config.write_text(json.dumps({"credHelpers": {proxy.host: "cave"}}))
        if program == "identity":
            assert pull(f"docker://{proxy.host}/helpers", workspace, store).image_bytes == 1
            return
        with pytest.raises(Unavailable, match="requires a login"):
            pull(f"docker://{proxy.host}/helpers", workspace, store)
    assert said[0].startswith("Docker's config.json names a credential helper, but docker-credential-cave cannot")


def test_nobody_has_no_login() -> None:
    """A user whom no list knows, and who has no HOME, is a visitor."""
    need(os.geteuid() == 0, "root, to become a user whom no list knows")
    code = (
        "import os, pwd; from recipes.registry.credentials import find_login; os.setuid(12345); print(find_login('a'))"
    )
    environment = {name: text for name, text in os.environ.items() if name not in ("HOME", "DOCKER_CONFIG")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "None\n", done.stderr


def test_a_silent_host_is_asked_once(workspace: Workspace, store: Store) -> None:
    """A host that refuses is not asked again for the other bases, until the user asks for one by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match="cannot be reached: Connection refused"):
        pull(f"docker://{host}/a", workspace, store)
    with socket.create_server(("127.0.0.1", int(host.partition(":")[2]))) as server:
        with pytest.raises(Unavailable, match="Connection refused"):
            pull(f"docker://{host}/b", workspace, store)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    ("media_type", "hint"),
    [
        ("application/vnd.example.squash", ""),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign layers are not kept in registries"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "foreign layers are not kept in registries"),
    ],
)
def test_strange_layers_are_named(
    media_type: str, hint: str, layout: LayoutWriter, workspace: Workspace, store: Store
) -> None:
    """A layer of an unknown kind ends in an error that names its media type; what is kept elsewhere is told as that."""
    layout.image(tar_of({"a": b"1"}), layer_type=media_type, tag="x")
    with pytest.raises(BadArchive) as caught:
        pull(f"oci:{layout.folder}:x", workspace, store)
    assert (media_type in caught.value.message, caught.value.hint) == (True, hint)


def log_in(config: Path, host: str, password: str) -> None:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
