"""What unpacks to more than it looks like: memory stays flat, and the disk is never filled."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from recipes.bases.resolve import resolve
from recipes.errors import BadArchive, RecipeError
from recipes.model import Command, Descriptor, Layer, Platform
from recipes.oci.encode import decompressed
from recipes.oci.layers import layer_from_blob, layer_from_tar
from recipes.oci.media_types import OCI_LAYERS
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.run.unpack import _size, unpack
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need
from tests.stores import store_at

ROOT = Path(__file__).resolve().parents[2]
LARGE = 512 << 20
RUN, RAW = 1, 0
BLOCK = 128 << 10
ZSTD = b"\x28\xb5\x2f\xfd"


def header(size: int, name: str = "zeros") -> bytes:
    """The start of a tar with one file of that size, which GNU tar's numbers can hold whatever it is."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(size: int = LARGE) -> Iterator[bytes]:
    yield header(size)
    for _ in range(size >> 20):
        yield bytes(1 << 20)
    yield bytes(1024)


def one_member() -> bytes:
    coder = zlib.compressobj(9, wbits=31)
    return b"".join([*map(coder.compress, zeros()), coder.flush()])


def many_members() -> bytes:
    piece = gzip.compress(bytes(BLOCK), 9, mtime=0)
    return gzip.compress(header(LARGE)) + piece * (LARGE // BLOCK) + gzip.compress(bytes(1024))


def padded() -> bytes:
    return gzip.compress(header(0) + bytes(1024)) + bytes(LARGE // 4)


def block(kind: int, data: bytes, size: int = 0, last: bool = False) -> bytes:
    """Source: RFC 8878, section 3.1.1.2."""
    return ((size or len(data)) << 3 | kind << 1 | last).to_bytes(3, "little") + data


def runs() -> bytes:
    """One frame of runs: 16 kB that stand for half a gigabyte."""
    start = ZSTD + b"\x00\x58"  # a window of 2 MiB, and nothing else
    inner = block(RAW, header(LARGE)) + block(RUN, b"\0", BLOCK) * (LARGE // BLOCK)
    return start + inner + block(RAW, bytes(1024), last=True)


def many_frames() -> bytes:
    frame = ZSTD + b"\x00\x58" + block(RUN, b"\0", BLOCK) * 7 + block(RUN, b"\0", BLOCK, last=True)
    first, last = (ZSTD + b"\x00\x58" + block(RAW, data, last=True) for data in (header(LARGE), bytes(1024)))
    return first + frame * (LARGE // BLOCK // 8) + last


def skipped() -> bytes:
    frame = b"\x50\x2a\x4d\x18" + struct.pack("<I", LARGE // 4) + bytes(LARGE // 4)
    return frame + zstandard.compress(header(0) + bytes(1024))


def widest_window() -> bytes:
    """What may be remembered at most, all of it in use."""
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=25)
    noise = os.urandom(48 << 20)
    coder = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return coder.compress(header(len(noise)) + noise + bytes(1024)) + coder.flush()


BOMBS: list[Callable[[], bytes]] = [one_member, many_members, padded, runs, many_frames, skipped, widest_window]

_GROWTH = """
import re, sys
from pathlib import Path
from recipes.model import Descriptor
from recipes.oci.layers import layer_from_blob, open_layer
from tests.stores import store_at

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

store = store_at(Path(sys.argv[1]))
for digest in sys.argv[2:]:
    layer = layer_from_blob(store, Descriptor("x", digest, 0))
    with open_layer(store, layer) as stream:
        length = 0
        while data := stream.read(1 << 16):
            length += len(data)
    assert length == layer.tar_bytes
    print(layer.tar_bytes, peak())
"""


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


def blob(store: Store, data: bytes) -> Descriptor:
    return store.add(data, OCI_LAYERS["none"])


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_stays_flat(store: Store, bomb: Callable[[], bytes]) -> None:
    """Whatever stands for however much, reading it takes less than 64 MiB more than reading nothing does."""
    nothing = [blob(store, each).digest for each in (gzip.compress(bytes(1024)), zstandard.compress(bytes(1024)))]
    argv = (sys.executable, "-c", _GROWTH, str(store.root), *nothing, blob(store, bomb()).digest)
    done = shell.check(Command(argv, cwd=ROOT))
    *_, (_, before), (length, after) = [map(int, line.split()) for line in done.stdout.splitlines()]
    assert after - before < 64 << 10
    assert length >= 1024


@pytest.mark.parametrize("log", [26, 27])
def test_a_wider_window_is_refused(log: int) -> None:
    """A frame that asks for more memory than is given says so, and by which level it would not."""
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=log)
    coder = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    data = coder.compress(b"x" * 1000) + coder.flush()
    with pytest.raises(BadArchive, match="window of") as caught:
        decompressed(io.BytesIO(data)).read()
    assert "level up to 20" in caught.value.hint


@pytest.mark.parametrize("harm", ["cut", "block", "rest", "magic", "skip"])
def test_a_broken_zstd_stream_is_an_error(harm: str) -> None:
    """A frame cut anywhere, a block larger than there are, half a frame and garbage behind one are errors."""
    whole = zstandard.ZstdCompressor(write_checksum=True).compress(os.urandom(1000) + b"x" * 300_000)
    broken = {
        "cut": [whole[:length] for length in range(4, len(whole), 7)],
        "block": [ZSTD + b"\x00\x58" + block(RUN, b"\0", BLOCK + 1, last=True)],
        "rest": [whole + whole[:length] for length in (1, 4, 5, 6, 8, len(whole) - 1)],
        "magic": [whole + b"garbage" * 10, whole + bytes(100)],
        "skip": [whole + b"\x5f\x2a\x4d\x18" + b"\xff\xff\xff\xff" + bytes(10), whole + b"\x5f\x2a\x4d\x18\1"],
    }[harm]
    for data in broken:
        with pytest.raises(BadArchive):
            decompressed(io.BytesIO(data)).read()


def test_frames_of_every_kind_are_read() -> None:
    """Frames with and without sizes, check sums and content, and skippable ones between and before them."""
    pieces = [b"", b"a", b"some " * 50_000, os.urandom(300_000)]
    skippable = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 5) + b"extra"
    data = skippable
    for number, piece in enumerate(pieces * 4):
        coder = zstandard.ZstdCompressor(level=number, write_checksum=number % 2 == 0, write_content_size=number > 7)
        data += coder.compress(piece) + (skippable if number % 3 else b"")
    assert decompressed(io.BytesIO(data)).read() == b"".join(pieces * 4)


# ── room ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrap", [gzip.compress, zstandard.compress, bytes])
def test_what_says_that_it_is_too_large_is_not_read(store: Store, wrap: Callable[[bytes], bytes]) -> None:
    """A layer whose header names more bytes than any disk has free is an error before they are looked for."""
    layer = wrap(header(1 << 62) + bytes(4096))
    with pytest.raises(RecipeError, match="the disk would be full: 4,611,") as caught:
        layer_from_blob(store, blob(store, layer))
    assert "free some space" in caught.value.hint


def test_nothing_of_it_is_kept(tmp_path: Path, workspace: Workspace, store: Store) -> None:
    """A root that would not fit leaves the store as it was, plain or compressed."""
    wraps: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress}
    for name, wrap in wraps.items():
        (tmp_path / name).write_bytes(wrap(header(1 << 62) + bytes(4096)))
        with pytest.raises(RecipeError, match="the disk would be full"):
            resolve(f"rootfs:{tmp_path / name}", Platform("linux", "amd64"), workspace, store)
        assert list((store.root / "blobs/sha256").iterdir()) == []
        assert list(workspace.bases.glob("*.json")) == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many MiB."""
    need(os.geteuid() == 0, "root, to mount a small tmpfs")
    place = tmp_path / "small"
    place.mkdir()

    def mount(size: int) -> Path:
        shell.check(Command(("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(place))))
        return place

    yield mount
    shell.check(Command(("umount", "--lazy", str(place))))


def used(place: Path) -> int:
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def test_what_turns_out_too_large_is_not_read_to_its_end(small: Callable[[int], Path]) -> None:
    """Many small files that together do not fit end the reading when the free space is reached."""
    store = store_at(small(32) / "images")
    members = (header(1 << 20, f"file-{number}") + bytes(1 << 20) for number in range(200))
    tar = io.BytesIO(b"".join(members) + bytes(1024))
    before = used(store.root.parent)
    with pytest.raises(RecipeError, match="the disk would be full"):
        layer_from_tar(store, tar, "gzip")
    assert tar.tell() < 40 << 20
    assert used(store.root.parent) - before < 1 << 20


@pytest.mark.parametrize("disk", [48, 150])
def test_unpacking_leaves_room(small: Callable[[int], Path], disk: int) -> None:
    """Neither the tar of a layer, which is only kept, nor its files are written where they would fill the disk."""
    workspace = Workspace(small(disk))
    store = Store.of(workspace)
    with store.writer() as writer:
        writer.write(gzip.compress(b"".join(zeros(80 << 20))))
    digest = f"sha256:{hashlib.sha256(b''.join(zeros(80 << 20))).hexdigest()}"
    layer = Layer(Descriptor(OCI_LAYERS["gzip"], writer.digest, writer.size), digest, 80 << 20, (80 << 20) + 1536)
    with pytest.raises(RecipeError, match=r"cannot write unpacked layers into .*: the disk would be full"):
        unpack([layer], Roots(store), workspace)
    assert [path for path in workspace.roots.iterdir() if path.is_dir()] == []
    assert list((workspace.build / "tmp").glob("*")) == []
    assert used(workspace.root) < (84 << 20 if disk > 80 else 1 << 20)


def test_one_inode_takes_its_room_once(workspace: Workspace, store: Store) -> None:
    """A file with many names is unpacked where only one of them fits."""
    size = 1 << 20
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        first = tarfile.TarInfo("first")
        first.size = size
        archive.addfile(first, io.BytesIO(bytes(size)))
        for number in range(10):
            other = tarfile.TarInfo(f"other-{number}")
            other.type, other.linkname = tarfile.LNKTYPE, "first"
            archive.addfile(other)
    layer = layer_from_tar(store, io.BytesIO(out.getvalue()), "gzip")
    assert layer.content_bytes == size
    root = Roots(store).of([layer])
    assert size <= _size(root, 4096) < 2 * size
