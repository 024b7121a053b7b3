"""The store: what was damaged never leaves it, and what was kept outlasts a loss of power and a failing disk."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadArchive, DamagedBlob, RecipeError
from recipes.model import Additions, BaseImage, Command, FileEntry, Image, ImageSettings, Platform
from recipes.oci import archive
from recipes.oci.layers import layer_from_blob
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.package.assemble import assemble, data_layer
from recipes.package.dockerfile import write_context
from recipes.registry.push import push
from recipes.support import shell
from recipes.support.workspace import Workspace, write_atomically
from tests.cli import invoke
from tests.fixtures_registry import LayoutWriter, LocalRegistry, tar_of
from tests.need import need, need_tool
from tests.programs import program_of
from tests.stores import store_at

ROOT = Path(__file__).resolve().parents[2]
AMD64 = Platform("linux", "amd64")


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(10_000))


def image_of(folder: Path, store: Store) -> Image:
    """An image with a layer of data and one of a program, which compress badly."""
    program = folder / "program"
    program.write_bytes(b"\x7fELF" + NOISE)
    data = data_layer((FileEntry("/etc/data", NOISE, 0o644),), store, "gzip")
    additions = Additions(ImageSettings(), (data,))
    return assemble(
        program_of(program), BaseImage("scratch", "scratch", AMD64), store=store, name="a:1", additions=additions
    )


def damage(path: Path) -> None:
    """One byte is another one; length and times are as they were."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

WAYS: dict[str, Callable[[Image, Store, Path], object]] = {
    "a tar": lambda image, store, place: archive.export([image], image.manifest, store, str(place / "image.tar")),
    "a layout": lambda image, store, place: archive.export([image], image.manifest, store, f"oci:{place}/layout:x"),
    "an engine": lambda image, store, place: list(archive.archive(image, store, uncompressed=True)),
    "a build context": lambda image, store, place: write_context(image, store, place / "context"),
    "a verdict": lambda image, store, place: Roots(store).of(image.layers),
    "a measure": lambda image, store, place: layer_from_blob(store, image.layers[0].descriptor),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_layer_does_not_leave(way: str, tmp_path: Path, store: Store) -> None:
    """Where a layer is another one of the same length, it is removed and nothing is written; once made, it leaves."""
    image = image_of(tmp_path, store)
    blob = store.blob(image.layers[0].descriptor.digest)
    place = tmp_path / "place"
    place.mkdir()
    (place / "image.tar").write_text("what was there before")
    damage(blob)
    with pytest.raises(DamagedBlob, match=f"{blob.name} is damaged") as caught:
        WAYS[way](image, store, place)
    assert "removed" in caught.value.hint
    assert not blob.exists()
    assert contents(place) == {"image.tar": b"what was there before"}
    with pytest.raises(BadArchive, match="in the store"):
        WAYS[way](image, store, place)
    assert image_of(tmp_path, store) == image
    WAYS[way](image, store, place)


@pytest.mark.parametrize("which", ["config", "manifest", "layer"])
def test_what_is_made_here_is_made_again(which: str, tmp_path: Path, store: Store) -> None:
    """A damaged document is replaced when the image is assembled again, a damaged layer once it was noticed."""
    image = image_of(tmp_path, store)
    descriptor = {"config": image.config, "manifest": image.manifest, "layer": image.layers[1].descriptor}[which]
    whole = store.read(descriptor.digest)
    damage(store.blob(descriptor.digest))
    if which == "layer":
        with pytest.raises(DamagedBlob):
            store.read(descriptor.digest)
    scratch = image.base
    again = assemble(
        image.program, scratch, store=store, name="a:1", additions=Additions(ImageSettings(), image.layers[:1])
    )
    assert again.digest == image.digest
    assert store.read(descriptor.digest) == whole


def test_a_layout_that_was_damaged_is_mended(tmp_path: Path, store: Store) -> None:
    """An export over an earlier one replaces a blob that was damaged there."""
    image = image_of(tmp_path, store)
    archive.export([image], image.manifest, store, f"oci:{tmp_path / 'layout'}:x")
    blobs = tmp_path / "layout/blobs/sha256"
    before = contents(blobs)
    for blob in blobs.iterdir():
        damage(blob)
    archive.export([image], image.manifest, store, f"oci:{tmp_path / 'layout'}:x")
    assert contents(blobs) == before


def test_a_damaged_blob_is_not_pushed(
    registry: LocalRegistry, tmp_path: Path, workspace: Workspace, store: Store
) -> None:
    """A registry never has all bytes of a blob that is damaged, and the tag stays as it was."""
    from recipes.oci.reference import image_name

    target = image_name(f"{registry.host}/damaged:1")
    image = image_of(tmp_path, store)
    damage(blob := store.blob(image.layers[1].descriptor.digest))
    with pytest.raises(DamagedBlob):
        push(store, image.manifest, target, workspace=workspace)
    assert not blob.exists()
    again = assemble(
        image.program, image.base, store=store, name="a:1", additions=Additions(ImageSettings(), image.layers[:1])
    )
    done = push(store, again.manifest, target, workspace=workspace)
    assert image.layers[1].descriptor in done.sent


@pytest.mark.parametrize("which", ["layer", "config"])
def test_a_damaged_base_is_fetched_again_in_the_same_run(
    which: str, tmp_path: Path, workspace: Workspace, store: Store
) -> None:
    """Where the source is asked anyway, what the store has of it is only used if it is whole."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(tar_of({"etc/a": os.urandom(5000)}), tag="x")
    base = resolve(f"oci:{layout.folder}", AMD64, workspace, store)
    before = contents(store.root)
    layer = store.blob(base.layers[0].descriptor.digest)
    other = next(path for path in layer.parent.iterdir() if path != layer)
    damage(layer if which == "layer" else other)
    assert resolve(f"oci:{layout.folder}", AMD64, workspace, store, refresh=True) == base
    assert contents(store.root) == before


def test_a_blob_that_was_put_right_meanwhile_stays(store: Store) -> None:
    """Only the file that was read is removed, not one that another process has put in its place since."""
    digest = store.add(b"content", "x").digest
    damage(store.blob(digest))
    with store.open(digest) as stream:
        store.add(b"content", "x")
        with pytest.raises(DamagedBlob):
            stream.read()
    assert store.read(digest) == b"content"


def test_a_task_goes_on_after_damage(project: Path, tmp_path: Path) -> None:
    """`export` notices, makes or fetches the layer again and ends well: the archive is the one from before."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(tar_of({"etc/a": os.urandom(5000)}), tag="x")
    words = ("export", "hi", "--to", str(tmp_path / "image.tar"), "--base", f"oci:{layout.folder}")
    assert invoke(project, *words).exit_code == 0
    before = (tmp_path / "image.tar").read_bytes()
    with tarfile.open(tmp_path / "image.tar") as tar:
        names = [member.name for member in tar if member.name.startswith("blobs/") and member.size > 4096]
    assert len(names) >= 2
    for name in names:
        damage(project / "build/images" / name)
        done = invoke(project, *words)
        assert done.exit_code == 0, done.stderr.decode()
        assert f"{name.rpartition('/')[2]} is damaged in the store" in done.stderr.decode()
        assert (tmp_path / "image.tar").read_bytes() == before


# ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_KEEP = """
import sys
from pathlib import Path
from tests.stores import store_at
from recipes.support.workspace import write_atomically
place = Path(sys.argv[1])
store = store_at(place / "images")
with store.writer() as writer:
    writer.write(b"layer" * 100_000)
store.tag("a:1", store.add(b"{}", "application/vnd.oci.image.manifest.v1+json"))
write_atomically(place / "record.json", b"{}")
"""


def test_what_is_renamed_was_flushed_before(tmp_path: Path) -> None:
    """Each file is on the disk before it gets its name, and the name before anything else is done."""
    strace = need_tool("strace")
    log = tmp_path / "log"
    argv = (strace, "-f", "-y", "-s", "300", "-o", str(log), "-e", "trace=fsync,rename,renameat,renameat2")
    keep = Command((*argv, sys.executable, "-c", _KEEP, str(tmp_path / "place")), cwd=ROOT)
    done = shell.run(keep, environment={"PATH": os.defpath})
    need(b"ptrace" not in done.stderr.lower(), "the right to trace a process")
    assert done.exit_code == 0, done.stderr
    calls = [line for line in log.read_text().splitlines() if str(tmp_path / "place") in line]
    renames = [number for number, line in enumerate(calls) if re.search(r"\brename(at2?)?\(", line)]
    assert len(renames) == 5  # two blobs, oci-layout, index.json, a record
    for number in renames:
        source, target = re.findall(r'"([^"]+)"', calls[number])
        assert re.search(rf"fsync\(\d+<{re.escape(source)}>\) += 0", calls[number - 1]), calls[number - 1]
        assert re.search(rf"fsync\(\d+<{re.escape(os.path.dirname(target))}>\) += 0", calls[number + 1])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], Path]]]:
    """A folder on a disk of its own, and what gives that disk as it is after a loss of power at this moment."""
    need(os.geteuid() == 0, "root, to mount a disk")
    need_tool("mkfs.ext4")
    images = [tmp_path / name for name in ("disk.img", "lost.img")]
    places = [tmp_path / name for name in ("disk", "lost")]
    for place in places:
        place.mkdir()
    with open(images[0], "wb") as file:
        file.truncate(64 << 20)
    shell.check(Command(("mkfs.ext4", "-q", str(images[0]))))
    mounted = []

    def mount(number: int) -> Path:
        done = shell.run(Command(("mount", "-o", "loop", str(images[number]), str(places[number]))))
        need(done.exit_code == 0, "loop devices")
        mounted.append(places[number])
        return places[number]

    def lose_power() -> Path:
        shutil.copyfile(*images)  # what was not yet given to the disk is not in it
        return mount(1)

    try:
        yield mount(0), lose_power
    finally:
        for place in mounted:
            shell.run(Command(("umount", "--lazy", str(place))))


@pytest.mark.parametrize("sync", [True, False])
def test_what_was_kept_outlasts_a_loss_of_power(sync: bool, disk: tuple[Path, Callable[[], Path]]) -> None:
    """Blobs, index and records are whole on a disk that loses power as soon as they were kept; without sync, nothing
    is there, which also shows that this test can see a difference."""
    place, lose_power = disk
    environment = {"PATH": os.defpath} | ({} if sync else {"FROMSCRATCH_NO_SYNC": "1"})
    shell.check(Command((sys.executable, "-c", _KEEP, str(place)), cwd=ROOT), environment=environment)
    after = lose_power()
    if not sync:
        assert not (after / "images/index.json").exists()
        return
    store = store_at(after / "images")
    assert set(store.tags()) == {"a:1"}
    assert store.read(store.tags()["a:1"].digest) == b"{}"
    assert contents(after / "images") == contents(place / "images")
    assert (after / "record.json").read_bytes() == b"{}"


def test_a_record_is_believed_only_as_it_was_written(store: Store) -> None:
    """A disk that changes one bit of what is known of a layer costs the work of making it again, and nothing else."""
    files = (FileEntry("/etc/data", b"data", 0o644),)
    layer = data_layer(files, store, "gzip")
    (record,) = (store.cache / "layers").iterdir()
    whole = record.read_bytes()
    for at in range(len(whole)):
        record.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert data_layer(files, store, "gzip") == layer, at
        assert record.read_bytes() == whole


# ── a failing disk ───────────────────────────────────────────────────────────────────────────────────────────────────

_FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int file, const char *call) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || strcmp(getenv("FAILS"), call)) return 0;
    path[length] = 0;
    return strstr(path, "/blobs/") != NULL;
}

int fsync(int file) {
    if (fails(file, "fsync")) { errno = EIO; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}

ssize_t write(int file, const void *data, size_t size) {
    if (fails(file, "write")) { errno = EIO; return -1; }
    return ((ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write"))(file, data, size);
}

ssize_t read(int file, void *data, size_t size) {
    if (fails(file, "read")) { errno = EIO; return -1; }
    return ((ssize_t (*)(int, void *, size_t)) dlsym(RTLD_NEXT, "read"))(file, data, size);
}
"""


@pytest.fixture
def failing(tmp_path: Path) -> Callable[[str, str], shell.Completed]:
    """Runs code with a disk on which one of fsync, read and write fails for every blob."""
    (tmp_path / "failing.c").write_text(_FAILING)
    library = tmp_path / "failing.so"
    shell.check(
        Command((need_tool("gcc"), "-shared", "-fPIC", "-o", str(library), str(tmp_path / "failing.c"), "-ldl"))
    )

    def run(call: str, code: str) -> shell.Completed:
        command = Command((sys.executable, "-c", code, str(tmp_path / "project/build")), cwd=ROOT)
        return shell.run(command, environment={"PATH": os.defpath, "LD_PRELOAD": str(library), "FAILS": call})

    return run


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_what_cannot_be_written_is_not_there(
    call: str, failing: Callable[[str, str], shell.Completed], store: Store
) -> None:
    """A disk that takes bytes and then fails to keep them is one error, and no blob is there by its name."""
    done = failing(call, _KEEP)
    assert b"CannotWrite: cannot write" in done.stderr
    assert b"Input/output error" in done.stderr
    assert list((store.root / "blobs/sha256").iterdir()) == []
    assert store.tags() == {}


def test_what_cannot_be_read_is_made_again(failing: Callable[[str, str], shell.Completed], store: Store) -> None:
    """A blob that the disk no longer gives back is as good as damaged."""
    digest = store.add(b"content", "x").digest
    start = "import sys; from pathlib import Path; from tests.stores import store_at"
    done = failing("read", f"{start}\nstore_at(Path(sys.argv[1]) / 'images').read({digest!r})")
    assert b"DamagedBlob" in done.stderr
    assert b"cannot be read: Input/output error" in done.stderr
    assert not store.has(digest)


def test_a_folder_that_cannot_be_read_can_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder's names cannot be flushed, as it may only be written to, its files are kept all the same."""
    monkeypatch.delenv("FROMSCRATCH_NO_SYNC")
    folder = tmp_path / "drop"
    folder.mkdir()
    folder.chmod(0o300)
    try:
        write_atomically(folder / "file", b"x")
    except RecipeError as error:
        pytest.fail(error.message)
    finally:
        folder.chmod(0o700)
    assert (folder / "file").read_bytes() == b"x"
