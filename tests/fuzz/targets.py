"""What is fed with broken files: each target has its whole files, and a function that may raise RecipeError alone."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import struct
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes.bases.files import read_docker_archive, read_layout
from recipes.elf.facts import read_facts
from recipes.elf.markers import examine_reader
from recipes.elf.segments import BytesReader, Reader
from recipes.errors import RecipeError
from recipes.loader.ldcache import read_ldcache
from recipes.model import Platform
from recipes.oci.layers import layer_from_blob, open_layer
from recipes.oci.media_types import OCI_LAYERS
from recipes.rootfs.root import Entry, LayerSource, RootFs
from recipes.verdict.entry import judge_entry
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.stores import store_at

FIXTURES = Path(__file__).parents[1] / "elf/fixtures"
AMD64 = Platform("linux", "amd64")
_PCLNTAB = b"\xf1\xff\xff\xff\0\0\x01\x08"


@dataclass(frozen=True, slots=True)
class Target:
    """Whole files, and what is done with each broken copy."""

    originals: list[bytes]
    feed: Callable[[bytes], None]


class Files:
    """A root of a few files in memory, as a `Tree`."""

    skipped = ()

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self._folders: dict[str, set[str]] = {"/": set()}
        for path in files:
            here = path
            while here != "/":
                above, _, name = here.rpartition("/")
                here = above or "/"
                self._folders.setdefault(here, set()).add(name)

    def entry(self, path: str) -> Entry | None:
        if path in self._files:
            return Entry("file", 0o755, size=len(self._files[path]), inode=hash(path))
        return Entry("dir", 0o755) if path in self._folders else None

    def children(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(self._folders.get(path, ())))

    def reader(self, path: str) -> Reader:
        return BytesReader(self._files[path])


# ── ELF: as a program, as its loader, as its library ─────────────────────────────────────────────────────────────────


def elf() -> Target:
    """Facts, markers and a verdict in an empty root."""
    originals = [path.read_bytes() for path in sorted(FIXTURES.iterdir()) if path.suffix == "" and path.is_file()]
    originals += [path.read_bytes() for path in _real("true", "env", "ldconfig") if path.stat().st_size < 2_000_000]
    empty = RootFs.from_layers(())

    def feed(data: bytes) -> None:
        reader = BytesReader(data)
        judge(examine_reader(reader), read_facts(reader), empty, AMD64)

    return Target(originals, feed)


def go(folder: Path) -> Target:
    """A Go program: its build information and its table of functions as well."""
    source = 'package main\n\nimport ("fmt"; "os/user")\n\nfunc main() { fmt.Println(user.Current()) }\n'
    whole = Compilers(folder).go(source, "-ldflags=-s -w").read_bytes()
    empty = RootFs.from_layers(())
    start = next(at for at in range(0, len(whole), 8) if whole[at : at + 8] == _PCLNTAB)
    info = whole.index(b"\xff Go buildinf:")

    def feed(data: bytes) -> None:
        # Broken near the start, as ever, and the same near what is Go's own.
        for at in (0, start, info):
            broken = data if at == 0 else whole[:at] + data[:4096] + whole[at + 4096 :]
            reader = BytesReader(broken)
            with contextlib.suppress(RecipeError):
                judge(examine_reader(reader), read_facts(reader), empty, AMD64)

    return Target([whole, whole[start:], whole[info:]], feed)


def loading() -> Target:
    """A whole program in a root where one of the loader, libc and the program is broken."""
    program = _real("true")[0].read_bytes()
    files = {"/lib64/ld-linux-x86-64.so.2": b"", "/lib/x86_64-linux-gnu/libc.so.6": b""}
    for path in files:
        files[path] = Path(path).read_bytes()
    files["/app"] = program
    names = sorted(files)
    originals = [bytes([number]) + files[name] for number, name in enumerate(names)]

    def feed(data: bytes) -> None:
        which = names[data[0] % len(names)] if data else names[0]
        judge_entry(RootFs(Files({**files, which: data[1:]})), ("/app",), AMD64)

    return Target(originals, feed)


# ── caches and archives ──────────────────────────────────────────────────────────────────────────────────────────────


def ldcache() -> Target:
    """glibc's own format, and the old one with the new one behind it."""
    whole = Path("/etc/ld.so.cache").read_bytes() if Path("/etc/ld.so.cache").exists() else b""
    strings = b"libc.so.6\0/lib/libc.so.6\0"
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + struct.pack("<iII", 0x0303, 0, 10) + strings
    new = b"glibc-ld.so.cache1.1" + struct.pack("<II", 1, len(strings)) + bytes(20)
    new += struct.pack("<iIIIQ", 0x0303, 72, 82, 0, 0) + strings
    originals = [old, new, old.ljust(64, b"\0") + new, *([whole] if whole else [])]

    def feed(data: bytes) -> None:
        for little in (True, False):
            cache = read_ldcache(data, little_endian=little)
            cache.find("libc.so.6", "amd64", 64, ("x86-64-v3", "x86-64-v2"))

    return Target(originals, feed)


def tar() -> Target:
    """A layer upon a whole one: every name looked up, every file read."""
    originals = [_tar(form) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
    below = originals[0]

    def source(data: bytes) -> LayerSource:
        return LayerSource(f"sha256:{hashlib.sha256(data).hexdigest()}", lambda: io.BytesIO(data))

    def feed(data: bytes) -> None:
        root = RootFs.from_layers([source(below), source(_with_check_sums(data))])
        for path, entry in root.entries():
            root.resolve(path)
            if entry.kind == "file" and entry.size < 1 << 20:
                root.read(path)

    return Target(originals, feed)


def _with_check_sums(data: bytes) -> bytes:
    """The headers of a broken tar with sums that are right again: a liar would take that trouble."""
    repaired = bytearray(data)
    for at in range(0, len(data) - 511, 512):
        block = repaired[at : at + 512]
        if block[257:262] == b"ustar":
            total = sum(block) - sum(block[148:156]) + 8 * 32
            repaired[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(repaired)


def layer(folder: Path) -> Target:
    """A compressed layer of an image: what was measured is judged too, and both find files of the same size."""
    store = store_at(folder / "layers")
    plain = _tar(tarfile.PAX_FORMAT)
    import zstandard

    kinds = {b"g": OCI_LAYERS["gzip"], b"z": OCI_LAYERS["zstd"]}
    originals = [b"g" + gzip.compress(plain, mtime=0), b"z" + zstandard.compress(plain), b"-" + plain]

    def feed(data: bytes) -> None:
        kind, content = data[:1], data[1:]
        descriptor = store.add(content if kind in kinds else _with_check_sums(content), kinds.get(kind, ""))
        try:
            found = layer_from_blob(store, descriptor)
            try:
                root = RootFs.from_layers([LayerSource(found.diff_id, lambda: open_layer(store, found))])
            except RecipeError as error:
                raise AssertionError("it was measured, and is not judged") from error
            entries = {entry.inode: entry for _, entry in root.entries() if entry.kind != "dir"}
            assert found.content_bytes == sum(e.size + len(os.fsencode(e.target)) for e in entries.values())
        finally:
            store.blob(descriptor.digest).unlink()

    return Target(originals, feed)


def archive(folder: Path) -> Target:
    """What `docker save` writes."""
    out = io.BytesIO()
    plain = _tar(tarfile.USTAR_FORMAT)
    diff_id = f"sha256:{hashlib.sha256(plain).hexdigest()}"
    config = (
        f'{{"architecture":"amd64","os":"linux","config":{{"Env":["A=1"],"Entrypoint":["/app"],"User":"1"}},'
        f'"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}'
    ).encode()
    manifest = b'[{"Config":"config.json","RepoTags":["a:1"],"Layers":["l/layer.tar"]}]'
    with tarfile.open(fileobj=out, mode="w") as writer:
        for name, data in (("manifest.json", manifest), ("config.json", config), ("l/layer.tar", plain)):
            writer.addfile(_info(name, size=len(data)), io.BytesIO(data))
    path, store = folder / "image.tar", store_at(folder / "archives")

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        read_docker_archive(path, "", "fuzzed", AMD64, store)
        shutil.rmtree(folder / "archives", ignore_errors=True)

    return Target([out.getvalue()], feed)


def index(folder: Path) -> Target:
    """The index.json of an OCI layout."""
    store, layout = store_at(folder / "indexes"), folder / "layout"
    (layout / "blobs" / "sha256").mkdir(parents=True)
    digest = "sha256:" + "0" * 64
    text = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":'
        f'"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":10,"platform":'
        '{"os":"linux","architecture":"amd64"},"annotations":{"org.opencontainers.image.ref.name":"a"}}]}'
    )

    def feed(data: bytes) -> None:
        (layout / "index.json").write_bytes(data)
        read_layout(layout, "", "fuzzed", AMD64, store)

    return Target([text.encode()], feed)


# ── whole files to break ─────────────────────────────────────────────────────────────────────────────────────────────


def _real(*names: str) -> list[Path]:
    return [Path(found).resolve() for name in names if (found := shutil.which(name, path="/usr/bin:/bin:/sbin"))]


def _info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def _tar(form: int) -> bytes:
    """Every kind of member that a layer has, long names and whiteouts among them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as writer:
        for name in ("usr", "usr/lib", "etc"):
            writer.addfile(_info(name, tarfile.DIRTYPE, mode=0o755))
        for name in ("usr/lib/libc.so.6", "etc/passwd", "usr/lib/" + "long/" * 15 + "name", "app"):
            data = name.encode() * 40
            writer.addfile(_info(name, size=len(data), mode=0o755), io.BytesIO(data))
        writer.addfile(_info("lib", tarfile.SYMTYPE, linkname="usr/lib"))
        writer.addfile(_info("loop", tarfile.SYMTYPE, linkname="/loop"))
        writer.addfile(_info("again", tarfile.LNKTYPE, linkname="app"))
        writer.addfile(_info("etc/.wh.gone"))
        writer.addfile(_info("usr/.wh..wh..opq"))
        writer.addfile(_info("dev", tarfile.CHRTYPE, devmajor=1, devminor=3))
    return out.getvalue()


TARGETS = {"elf": 30, "go": 5, "loading": 15, "ldcache": 15, "tar": 20, "layer": 5, "archive": 5, "index": 5}
"""Name → how many of every hundred inputs go to it."""


def make(name: str, folder: Path) -> Target:
    """The target of that name, with `folder` for what it has to keep on disk."""
    function = getattr(sys.modules[__name__], name)
    made: Target = function(folder) if name in ("go", "layer", "archive", "index") else function()
    return made
