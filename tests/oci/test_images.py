"""From a binary to an image: deterministic, streamed, read by others."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import zlib
from pathlib import Path

import pytest

from recipes.errors import BadArchive, BadInput, RecipeError
from recipes.model import BaseImage, Command, Compression, Descriptor, FileEntry, Platform
from recipes.oci import archive
from recipes.oci.encode import CHUNK, decompressed, encoding
from recipes.oci.layers import layer_from_blob, layer_from_tar, open_layer, write_layer
from recipes.oci.media_types import OCI_MANIFEST
from recipes.oci.reference import docker_tag
from recipes.oci.store import Store
from recipes.package.assemble import assemble
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need, need_tool
from tests.programs import program_of
from tests.stores import store_at

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = BaseImage("scratch", "scratch", Platform("linux", "amd64"))


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


def program(folder: Path, data: bytes = b"\x7fELF and the rest") -> Path:
    path = folder / "program"
    path.write_bytes(data)
    return path


# ── the encoder ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_what_is_encoded_is_decoded(compression: Compression, size: int) -> None:
    """Every encoding gives the same bytes back, around the cuts too, and knows the digest of what it was given."""
    data = (os.urandom(1000) * (size // 1000 + 1))[:size]
    out = io.BytesIO()
    with encoding(out, compression, size) as encoder:
        for start in range(0, size, 700_000):
            encoder.write(data[start : start + 700_000])
        diff_id = encoder.finish()
    assert diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert decompressed(io.BytesIO(out.getvalue())).read() == data
    if compression == "gzip":
        assert gzip.decompress(out.getvalue()) == data


def test_the_encoding_is_pinned() -> None:
    """The compressed bytes are these, on any machine: a change of the encoder is a change of every digest."""
    data = b"".join(b"%d squared is %d\n" % (number, number * number) for number in range(20_000))
    out = io.BytesIO()
    with encoding(out, "gzip", len(data)) as encoder:
        encoder.write(data)
        encoder.finish()
    assert hashlib.sha256(out.getvalue()).hexdigest() == PINNED


PINNED = "86158b39d0b50d8bb8505b231511ca1033b7c81076ddd4ae54bde4abb6300dbd"
GOLDEN = "sha256:ef3135d132db857d8f62868c631576e77346f9933ca163c7e20ebed13bf6359b"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("harm", ["cut", "garbage"])
def test_damaged_streams_are_one_error(compression: Compression, harm: str) -> None:
    """A compressed stream that ends early or holds garbage is a BadArchive, never a shorter result."""
    data = os.urandom(200_000)
    out = io.BytesIO()
    with encoding(out, compression, len(data)) as encoder:
        encoder.write(data)
        encoder.finish()
    coded = out.getvalue()
    harmed = coded[: len(coded) // 2] if harm == "cut" else coded[:100] + b"\xff" * 100 + coded[200:]
    with pytest.raises(BadArchive):
        decompressed(io.BytesIO(harmed)).read()


FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16


def member(data: bytes, flags: int) -> bytes:
    """A gzip member with those optional parts of a header. Source: RFC 1952, section 2.3."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x00\x03"
    header += (5).to_bytes(2, "little") + b"extra" if flags & FEXTRA else b""
    header += b"name\0" if flags & FNAME else b""
    header += b"a comment\0" if flags & FCOMMENT else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if flags & FHCRC else b""
    return header + gzip.compress(data, mtime=0)[10:]


class InPieces(io.BytesIO):
    """A file whose first reads end at `cut`."""

    def __init__(self, data: bytes, cut: int) -> None:
        super().__init__(data)
        self._cut = cut

    def read(self, size: int | None = -1) -> bytes:
        left = self._cut - self.tell()
        return super().read(left if left > 0 and (size is None or size < 0 or size > left) else size)


@pytest.mark.parametrize("flags", [0, FHCRC, FNAME, FEXTRA | FNAME, FCOMMENT | FHCRC, 30])
def test_a_gzip_header_may_have_all_its_parts(flags: int) -> None:
    """Members with every optional part are read wherever a read ends, and one that is cut off is an error."""
    parts = [b"first" * 10, b"", b"second"]
    coded = b"".join(member(part, flags) for part in parts)
    for cut in range(4, len(coded)):
        assert decompressed(InPieces(coded, cut)).read() == b"".join(parts), cut
    assert decompressed(io.BytesIO(coded + bytes(100))).read() == b"".join(parts)
    ends = {len(member(parts[0], flags)), len(member(parts[0], flags) + member(parts[1], flags))}
    for length in set(range(4, len(coded))) - ends:
        with pytest.raises(BadArchive):
            decompressed(io.BytesIO(coded[:length])).read()


def test_a_gzip_header_without_end_is_an_error() -> None:
    """A name that never ends is not collected for ever."""
    with pytest.raises(BadArchive, match="header exceeds"):
        decompressed(io.BytesIO(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (1 << 20))).read()


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_digest_leaves_nothing(store: Store) -> None:
    """A blob that is not what was expected is an error, and nothing of it stays."""
    with pytest.raises(BadArchive), store.writer(expect=f"sha256:{'0' * 64}") as writer:
        writer.write(b"something else")
    assert list((store.root / "blobs/sha256").iterdir()) == []


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha256:12", "md5:0", ""])
def test_what_is_no_digest_names_no_file(store: Store, digest: str) -> None:
    """A digest is checked before it becomes a path."""
    with pytest.raises(BadArchive):
        store.blob(digest)


def test_tags_from_many_threads_all_arrive(store: Store) -> None:
    """Updates of the index do not lose each other."""
    manifest = store.add(b"{}", OCI_MANIFEST)

    def work(number: int) -> None:
        for turn in range(10):
            store.tag(f"image-{number}:{turn}", manifest)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.tags()) == 80


def test_a_damaged_index_is_said_to_be(store: Store) -> None:
    """Not a traceback, and not an empty store either."""
    store.tag("x:1", store.add(b"{}", "a/b"))
    (store.root / "index.json").write_text("{]")
    with pytest.raises(BadArchive, match="damaged"):
        store.tags()


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_layer_is_one_plain_tar(store: Store, tmp_path: Path) -> None:
    """Names sorted with folders first, owner 0:0, fixed modes and times, whatever the files on disk have."""
    path = program(tmp_path)
    path.chmod(0o640)
    entries = [FileEntry("/b/deep", path, 0o755), FileEntry("/b", None, 0o755), FileEntry("/a", b"text", 0o644, 5, 6)]
    layer = write_layer(store, entries, "gzip")
    with tarfile.open(fileobj=open_layer(store, layer), mode="r|") as tar:
        seen = [(m.name, m.mode, m.uid, m.gid, m.mtime, m.uname, m.type) for m in tar]
    assert seen == [
        ("a", 0o644, 5, 6, 0, "", tarfile.REGTYPE),
        ("b", 0o755, 0, 0, 0, "", tarfile.DIRTYPE),
        ("b/deep", 0o755, 0, 0, 0, "", tarfile.REGTYPE),
    ]
    assert layer.content_bytes == 4 + path.stat().st_size
    assert layer_from_blob(store, layer.descriptor) == layer


def test_names_of_any_length_and_alphabet(store: Store) -> None:
    """Names too long for USTAR come back whole, and so do those that are not ASCII."""
    names = ["/" + "n" * 300, "/" + "/".join(["d" * 60] * 4), "/ü — 文"]
    layer = write_layer(store, [FileEntry(name, b"x", 0o644) for name in names], "none")
    with tarfile.open(fileobj=open_layer(store, layer), mode="r|") as tar:
        assert sorted(f"/{member.name}" for member in tar) == sorted(names)


def test_a_file_that_grows_meanwhile_is_an_error(store: Store, tmp_path: Path) -> None:
    """What was announced in the header is what has to follow."""
    path = program(tmp_path)

    class Growing(FileEntry):
        def size(self) -> int:
            return super().size() - 1

    with pytest.raises(BadInput, match="longer"):
        write_layer(store, [Growing("/app", path, 0o755)], "gzip")


def test_what_is_no_tar_is_said_to_be(store: Store) -> None:
    """Garbage is a BadArchive, and nothing is left in the store."""
    with pytest.raises(BadArchive):
        layer_from_tar(store, io.BytesIO(os.urandom(5000)), "gzip")
    assert list((store.root / "blobs/sha256").iterdir()) == []


# ── images ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_TWIN = """
import sys
from pathlib import Path
from recipes.model import BaseImage, Platform
from recipes.package.assemble import assemble
from recipes.oci.reference import docker_tag
from tests.programs import program_of
from tests.stores import store_at
base = BaseImage("scratch", "scratch", Platform("linux", "amd64"))
print(assemble(program_of(Path(sys.argv[1])), base, store=store_at(Path(sys.argv[2])), name="a:b").digest)
"""


def test_the_digest_is_the_same_everywhere(tmp_path: Path) -> None:
    """Another folder, umask, time zone, locale and hash seed give the same image."""
    digests = set()
    for number, (umask, zone, language, seed) in enumerate(
        [(0o022, "UTC", "C", "0"), (0o077, "Asia/Tokyo", "C.UTF-8", "1"), (0o000, "America/Lima", "de_DE", "random")]
    ):
        folder = tmp_path / f"place {number}"
        folder.mkdir()
        path = program(folder, b"\x7fELF" + bytes(range(256)) * 40_000)
        os.utime(path, (number, number))
        environment = {"PATH": os.defpath, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": seed, "HOME": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", _TWIN, str(path), str(folder / "images")],
            cwd=ROOT, env=environment, umask=umask, check=True, capture_output=True, text=True,
        )  # fmt: skip
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_golden_digest(store: Store, tmp_path: Path) -> None:
    """This input has this digest: if it changes, all images change, and the CHANGELOG has to say so."""
    image = assemble(program_of(program(tmp_path)), SCRATCH, store=store, name="golden:1")
    assert image.digest == GOLDEN


def test_nothing_is_compressed_twice(store: Store, tmp_path: Path) -> None:
    """The second assembly writes nothing; a lost blob is made again."""
    binary = program_of(program(tmp_path))
    first = assemble(binary, SCRATCH, store=store, name="a:1")
    blob = store.blob(first.layers[0].descriptor.digest)
    before = blob.stat().st_mtime_ns
    assert assemble(binary, SCRATCH, store=store, name="a:1") == first
    assert blob.stat().st_mtime_ns == before
    blob.unlink()
    assert assemble(binary, SCRATCH, store=store, name="a:1") == first
    assert blob.exists()


def test_a_large_binary_is_streamed(tmp_path: Path) -> None:
    """200 MB are packaged in less than 150 MB of memory."""
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.writelines(hashlib.sha256(b"%d" % number).digest() * (1_000_000 // 32) for number in range(200))
    code = (
        "import re, sys; from pathlib import Path; from recipes.oci.layers import *\n"
        "from tests.stores import store_at\n"
        "write_layer(store_at(Path(sys.argv[2])), [FileEntry('/app', Path(sys.argv[1]), 0o755)], 'gzip')\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"  # not what ran before exec
    )
    done = shell.check(Command((sys.executable, "-c", code, str(path), str(tmp_path / "images")), cwd=ROOT))
    assert int(done.stdout) < 150_000


def test_a_full_disk_leaves_no_half_blob(tmp_path: Path) -> None:
    """On a full disk there is one clear error, and the store holds only whole blobs."""
    need(os.geteuid() == 0, "root, to mount a small tmpfs")
    place = tmp_path / "small"
    place.mkdir()
    shell.check(Command(("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))))
    try:
        path = program(tmp_path, os.urandom(5_000_000))
        store = store_at(place / "images")
        with pytest.raises(RecipeError, match="cannot write"):
            write_layer(store, [FileEntry("/app", path, 0o755)], "gzip")
        assert list((store.root / "blobs/sha256").iterdir()) == []
    finally:
        shell.check(Command(("umount", str(place))))


@pytest.mark.slow
def test_skopeo_reads_layout_and_archive(store: Store, tmp_path: Path) -> None:
    """An independent reader finds the same image in the store, in the archive and in an exported layout."""
    skopeo = need_tool("skopeo")
    image = assemble(program_of(program(tmp_path)), SCRATCH, store=store, name="hello:1")
    archive.export([image], image.manifest, store, str(tmp_path / "image.tar"))
    archive.export([image], image.manifest, store, f"oci:{tmp_path / 'exported'}:there")

    def inspect(place: str) -> dict[str, object]:
        done = shell.check(Command((skopeo, "inspect", "--raw", place)))
        return dict(json.loads(done.stdout))

    expected = json.loads(store.read(image.digest))
    assert inspect(f"oci:{store.root}:hello:1") == expected
    assert inspect(f"oci:{tmp_path / 'exported'}:there") == expected
    done = shell.check(Command((skopeo, "inspect", f"docker-archive:{tmp_path / 'image.tar'}")))
    assert json.loads(done.stdout)["Architecture"] == "amd64"


@pytest.mark.slow
def test_podman_loads_the_archive(store: Store, tmp_path: Path) -> None:
    """podman loads the archive and knows the image by the same ID as Docker does."""
    podman = need_tool("podman")
    image = assemble(program_of(program(tmp_path)), SCRATCH, store=store, name="from-scratch-test:1")
    archive.export([image], image.manifest, store, str(tmp_path / "image.tar"))
    with tempfile.TemporaryDirectory(prefix="p") as short:  # podman allows no long name here
        storage = ("--root", f"{short}/s", "--runroot", f"{short}/r", "--storage-driver", "vfs")
        shell.check(Command((podman, *storage, "load", "-i", str(tmp_path / "image.tar"))))
        done = shell.check(Command((podman, *storage, "images", "--no-trunc", "--format", "{{.ID}}")))
    assert done.stdout.decode().split() == [image.config.digest]


@pytest.mark.parametrize("name", ["Hello World:A/b", "--x:y", "ü:1", "a..b__c:-t", "..:", ""])
def test_any_name_makes_a_valid_tag(name: str) -> None:
    """Engines accept what `docker_tag` makes of any name."""
    repository, _, tag = docker_tag(name).partition(":")
    import re

    assert re.fullmatch(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", repository)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag)


def test_an_export_changes_its_own_entry_alone(store: Store, tmp_path: Path) -> None:
    """What a layout's index held before stays, its own annotations too, and nothing is left beside the layout."""
    place = tmp_path / "place"
    place.mkdir()
    image = assemble(program_of(program(tmp_path)), SCRATCH, store=store, name="a:1")
    archive.export([image], image.manifest, store, f"oci:{place / 'layout'}:one")
    index = json.loads((place / "layout/index.json").read_bytes()) | {"annotations": {"a": "b"}, "org.example": [1]}
    (place / "layout/index.json").write_text(json.dumps(index))
    archive.export([image], image.manifest, store, f"oci:{place / 'layout'}:two")
    after = json.loads((place / "layout/index.json").read_bytes())
    assert {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in after["manifests"]} == {"one", "two"}
    assert {**after, "manifests": index["manifests"]} == index
    assert [path.name for path in place.iterdir()] == ["layout"]


def test_unknown_targets_of_an_export_are_bad_input(store: Store, tmp_path: Path) -> None:
    """Exit code 2, with what can be written instead."""
    image = assemble(program_of(program(tmp_path)), SCRATCH, store=store, name="a:1")
    for to in ("image.zip", "oci:"):
        with pytest.raises(BadInput):
            archive.export([image], image.manifest, store, to)


def test_a_descriptor_is_never_trusted_for_its_path(store: Store) -> None:
    """A layer with an invalid digest is an error before any file is opened."""
    with pytest.raises(BadArchive):
        layer_from_blob(store, Descriptor("x", "sha256:../x", 1))
