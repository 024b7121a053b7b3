"""bases.lock: the same base everywhere, offline too; what moved, is missing or damaged is said."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from recipes.bases import lock
from recipes.bases.refresh import update
from recipes.bases.resolve import resolve
from recipes.errors import BadInput, Unavailable
from recipes.model import Platform
from recipes.oci.reference import parse
from recipes.oci.store import Store
from recipes.support import console
from recipes.support.workspace import Workspace
from tests.cli import call, error
from tests.fixtures_registry import LayoutWriter, LocalRegistry, tar_of
from tests.registry.faults import Proxy, serving
from tests.schemas import read

AMD64 = Platform("linux", "amd64")


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker configuration of the test's own: nobody is logged in anywhere."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notes on stderr."""
    found: list[str] = []
    monkeypatch.setattr(console, "note", found.append)
    return found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "lock/" + str(request.node.name).partition("[")[0].replace("_", "-")


def publish(registry: LocalRegistry, folder: Path, name: str, content: bytes) -> tuple[str, dict[str, object]]:
    """(digest of the index, image for amd64) of a new index under name:1."""
    layout = LayoutWriter(folder)
    images = [layout.image(tar_of({"a": content}), platform=each) for each in ("linux/amd64", "linux/arm64")]
    index = layout.index(*images, tag="x")
    registry.push(layout.folder, name, "1")
    return str(index["digest"]), images[0]


def know(workspace: Workspace, **bases: str) -> None:
    lines = [f'{name} = "{reference}"' for name, reference in bases.items()]
    everything = [f'{name} = "scratch"' for name in _BUILT_IN if name not in bases]
    text = "\n".join(["[tool.fromscratch.bases]", *lines, *everything])
    (workspace.root / "pyproject.toml").write_text(f"{text}\n")


_BUILT_IN = ("alpine", "busybox", "debian-slim", "ubuntu", "distroless-static", "distroless-cc", "python-alpine")
"""What would be asked for in registries that a test must not depend on."""


def test_the_same_lock_gives_the_same_base(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str, said: list[str]
) -> None:
    """A tag that has moved since is not followed, here or in a fresh clone, until the update says old and new."""
    know(workspace, ours=f"docker://{registry.host}/{name}:1")
    old, image = publish(registry, tmp_path / "old", name, b"1")
    assert [(change.base, change.old, change.new, change.what) for change in update(workspace)] == [
        ("ours", "", old, "new")
    ]
    new, newer = publish(registry, tmp_path / "new", name, b"2")
    clone = Workspace(tmp_path / "clone")
    clone.root.mkdir()
    for file in ("bases.lock", "pyproject.toml"):
        (clone.root / file).write_bytes((workspace.root / file).read_bytes())
    for each in (workspace, clone):
        base = resolve("ours", AMD64, each, Store.of(each))
        assert (base.digest, base.reference) == (image["digest"], f"docker://{registry.host}/{name}:1")
    assert said == []
    assert [(change.old, change.new, change.what) for change in update(workspace)] == [(old, new, "changed")]
    assert resolve("ours", AMD64, workspace, Store.of(workspace)).digest == newer["digest"]
    assert resolve("ours", AMD64, clone, Store.of(clone)).digest == image["digest"]


def test_an_unchanged_lock_is_the_same_file(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str
) -> None:
    """An update that finds nothing new does not touch the lock; the lock names the platforms and is sorted."""
    reference = f"docker://{registry.host}/{name}:1"
    know(workspace, b=reference, a=f"docker://{registry.host}/{name}-a:1")
    publish(registry, tmp_path / "1", name, b"1")
    publish(registry, tmp_path / "2", f"{name}-a", b"2")
    update(workspace, jobs=2)
    path = lock.path_of(workspace)
    before = path.stat()
    assert [change.what for change in update(workspace, jobs=2)] == ["unchanged", "unchanged"]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert lock.read(workspace)[reference].platforms == ("linux/amd64", "linux/arm64")
    assert list(lock.read(workspace)) == sorted(lock.read(workspace))
    assert path.read_text() == lock.render(lock.read(workspace))


def test_offline_with_a_lock(registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str) -> None:
    """Once its blobs are there, a locked base is had without a single request; a lost one names the host."""
    _, image = publish(registry, tmp_path / "1", name, b"1")
    store = Store.of(workspace)
    with serving(Proxy(registry.host)) as proxy:
        know(workspace, ours=f"docker://{proxy.host}/{name}:1")
        update(workspace)
        resolve("ours", AMD64, workspace, store)
        proxy.seen.clear()
        resolve("ours", AMD64, workspace, store)
        assert not proxy.seen
    base = resolve("ours", AMD64, workspace, store)
    assert base.digest == image["digest"]
    store.blob(base.layers[0].descriptor.digest).unlink()
    with pytest.raises(Unavailable, match="cannot be reached"):
        resolve("ours", AMD64, workspace, store)
    (change,) = update(workspace)
    assert (change.old, change.new) == (change.new, lock.read(workspace)[change.reference].digest)
    assert change.what.startswith("kept: ")


def test_what_is_missing_is_said_once(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str, said: list[str]
) -> None:
    """Without a lock, and without an entry in it, a base is its tag, and one line says so; not for a digest."""
    store = Store.of(workspace)
    digest, image = publish(registry, tmp_path / "1", name, b"1")
    reference = f"docker://{registry.host}/{name}:1"
    for _ in range(2):
        assert resolve(reference, AMD64, workspace, store).digest == image["digest"]
    assert len(said) == 1
    assert "no bases.lock" in said[0]
    said.clear()
    lock.write(workspace, {})
    for _ in range(2):
        resolve(reference, AMD64, workspace, store)
    assert len(said) == 1
    assert f"{reference} is not in bases.lock" in said[0]
    assert f"`invoke bases --update --bases {reference}`" in said[0]
    said.clear()
    update(workspace, [reference])
    resolve(reference, AMD64, workspace, store)
    resolve(f"docker://{registry.host}/{name}@{digest}", AMD64, workspace, store)
    assert said == []
    with pytest.raises(Unavailable):
        resolve(f"docker://{registry.host}/{name}:none", AMD64, workspace, store)
    assert said == []


def test_a_stale_lock_is_said_to_be(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str, said: list[str]
) -> None:
    """When a pinned tag was seen to move, a build says so and keeps to the lock; an older look counts for nothing."""
    reference = f"docker://{registry.host}/{name}:1"
    know(workspace, ours=reference)
    store = Store.of(workspace)
    old, image = publish(registry, tmp_path / "1", name, b"1")
    update(workspace)
    new, _ = publish(registry, tmp_path / "2", name, b"2")
    assert resolve("ours", AMD64, workspace, store, refresh=True).digest == image["digest"]
    assert len(said) == 1
    assert said[0].startswith("note: bases.lock is stale")
    assert old[:19] in said[0]
    assert new[:19] in said[0]
    pin = lock.read(workspace)[reference]
    observed = lock.last_observation(workspace, parse(reference))
    assert lock.is_stale(pin, observed)
    assert observed is not None
    assert not lock.is_stale(lock.Pin(old, observed.time + timedelta(seconds=1)), observed)


def test_what_is_gone(registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str) -> None:
    """An entry whose base is no longer known goes; one without a name stays; a tag that vanished keeps its pin."""
    publish(registry, tmp_path / "1", name, b"1")
    reference = f"docker://{registry.host}/{name}:1"
    know(workspace, ours=reference)
    update(workspace)
    know(workspace)
    (change,) = update(workspace)
    assert (change.new, change.what.partition(":")[0]) == ("", "removed")
    update(workspace, [reference])
    assert [change.what for change in update(workspace)] == ["unchanged"]
    absent = reference.replace(":1", ":2")
    lock.write(workspace, {absent: lock.read(workspace)[reference]})
    changes = {change.reference: change.what for change in update(workspace)}
    assert changes[absent].startswith("kept: ")
    assert "not in the registry" in changes[absent]
    assert absent in lock.read(workspace)


def test_a_locked_digest_that_is_gone_names_the_lock(
    registry: LocalRegistry, workspace: Workspace, tmp_path: Path, name: str
) -> None:
    """A registry that no longer has what is locked: the hint is about the lock, not about the name."""
    publish(registry, tmp_path / "1", name, b"1")
    reference = f"docker://{registry.host}/{name}:1"
    lock.write(workspace, {reference: lock.Pin(f"sha256:{'0' * 64}", lock.now())})
    with pytest.raises(Unavailable, match="not in the registry") as caught:
        resolve(reference, AMD64, workspace, Store.of(workspace))
    assert "bases.lock" in caught.value.hint


@pytest.mark.parametrize("names", ["scratch", "rootfs:x", f"docker://a/b@sha256:{'0' * 64}"])
def test_only_tags_are_locked(workspace: Workspace, names: str) -> None:
    """What cannot change under the same name has no place in the lock."""
    with pytest.raises(BadInput, match="is not a registry tag"):
        update(workspace, [names])


_ENTRY = '["docker://docker.io/library/a:1"]\ndigest = "sha256:%s"\nsince = 2026-01-01T00:00:00Z\n' % ("0" * 64)


@pytest.mark.parametrize("name", ["usual", 'quo"te\\', "\x7f\x1b\n", "\U0001f600 \u202e"])
def test_what_is_written_is_read_back(workspace: Workspace, name: str) -> None:
    """A base may be called what TOML has to escape; what cannot be a platform in a stranger's index is left out."""
    names = ["amd64", "a\n[b]", "\ud800", "\U0001f600", 'x"y', "arm64"]
    entries = [{"platform": {"os": "linux", "architecture": each}} for each in names]
    platforms = lock.platforms_of(json.dumps({"manifests": entries}).encode())
    assert platforms == ("linux/amd64", "linux/arm64")
    pin = lock.Pin("sha256:" + "0" * 64, lock.now(), name, platforms)
    lock.write(workspace, {"docker://docker.io/library/a:1": pin})
    assert lock.read(workspace) == {"docker://docker.io/library/a:1": pin}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version = 2\n",
        "version = 1\n[",
        "version = 1\n\xff",
        "version = 1\nalpine = 3\n",
        "version = 1\n" + _ENTRY.replace("library/a:1", "a:1").replace("docker.io/", ""),
        "version = 1\n" + _ENTRY.replace("a:1", f"a@sha256:{'0' * 64}"),
        "version = 1\n" + _ENTRY.replace("sha256:0", "sha256:"),
        "version = 1\n" + _ENTRY.replace("digest", "digset"),
        "version = 1\n" + _ENTRY.replace("00:00Z", "00:00"),
        "version = 1\n" + _ENTRY + "platforms = [3]\n",
        "version = 1\n<<<<<<< HEAD\n" + _ENTRY,
    ],
)
def test_a_damaged_lock_is_one_clear_error(workspace: Workspace, text: str) -> None:
    """Whatever is wrong with it, the error names the file and what to do; nothing is guessed, nothing rewritten."""
    path = lock.path_of(workspace)
    path.write_bytes(text.encode("latin-1"))
    for use in (
        lambda: resolve("docker://localhost:1/a:1", AMD64, workspace, Store.of(workspace)),
        lambda: update(workspace),
    ):
        with pytest.raises(BadInput, match=r"bases\.lock' is damaged") as caught:
            use()
        assert "bases --update" in caught.value.hint
    assert path.read_bytes() == text.encode("latin-1")
    path.write_text("version = 1\n" + _ENTRY)
    assert lock.read(workspace)["docker://docker.io/library/a:1"].digest == f"sha256:{'0' * 64}"


@pytest.mark.slow
def test_the_tasks(registry: LocalRegistry, project: Path, tmp_path: Path, name: str) -> None:
    """`bases --update` prints what changed, `bases` what is locked, and a push builds on it; exit codes are right."""
    workspace = Workspace(project)
    know(workspace, ours=f"docker://{registry.host}/{name}:1", dead="docker://localhost:1/x:1")
    digest, image = publish(registry, tmp_path / "1", name, b"1")
    home = {"DOCKER_CONFIG": str(tmp_path)}
    done = call(project, "bases", "--update", **home)
    assert done.exit_code == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.decode().splitlines()[2:]}
    assert digest[:19] in lines["ours"]
    assert "new" in lines["ours"]
    assert "not pinned: localhost:1 cannot be reached" in lines["dead"]
    assert call(project, "bases", "--update", "--bases=dead", **home).exit_code == 6
    assert digest[:19].encode() in call(project, "bases", **home).stdout
    publish(registry, tmp_path / "2", name, b"2")
    words = ("push", "hi", "--base=ours", "--recipe=zig-static-small", f"--to={registry.host}/{name}-app:1")
    done = call(project, *words, "--format=json", **home)
    assert done.exit_code == 0, done.stderr
    assert b"bases.lock" not in done.stderr
    pushed = read("push", done.stdout)
    manifest = json.loads(registry.read(f"{name}-app:1"))
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == image["digest"]
    # The base's layer was pulled from the same registry: it is taken over there.
    assert [blob["from"] for blob in pushed["mounted"]] == [name]
    again = call(project, *words, **home)
    assert again.stdout.decode() == f"{pushed['image']}\n"
    assert b"already there, tag unchanged" in again.stderr
    assert "--insecure is for" in error(call(project, "push", "hi", "--to=example.org/x", "--insecure", **home))
    (project / "bases.lock").write_text("{")
    assert "is damaged" in error(call(project, *words, **home))
