"""The store: an OCI image layout, shared by every image, safe with several processes at once.

Blobs are written beside their place and renamed into it; the index is replaced as a whole under a lock. It is read by
skopeo, podman, crane and newer Docker as it is. Source: OCI image-spec, "Image Layout".

Every blob is checked on its way out, as its bytes pass by anyway; one that is not what its digest says is removed. The
records that speak of it (layers, bases) are believed only while it is there, so they go with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from recipes.errors import BadArchive, DamagedBlob
from recipes.model import Descriptor, Environment, Platform
from recipes.oci.media_types import OCI_INDEX
from recipes.support.digest import digest_of, encoded, is_digest
from recipes.support.disk import Room
from recipes.support.workspace import Workspace, locked, replacing, write_atomically

REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

MAX_BLOB = 16 << 30
"""The largest blob that is taken from elsewhere, in bytes, unless the user says something else."""

_READ = 256 << 10


class BlobWriter:
    """Takes a blob's bytes; `digest` and `size` are right when the block of `Store.writer` has ended."""

    def __init__(self, file: IO[bytes], room: Room) -> None:
        self._file, self._room = file, room
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray) -> int:
        """Raises: CannotWrite where the disk would be full."""
        self._room.take(len(data))
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def digest(self) -> str:
        return digest_of(self._hash)


@dataclass(frozen=True, slots=True)
class Store:
    """An OCI image layout in the folder `root`, and what belongs to it but must not be in it.

    `cache` is for what is made of the blobs and only saves work, `locks` for the lock on the index. `max_blob` is the
    largest blob of an image from elsewhere that it takes, in bytes.
    """

    root: Path
    _: KW_ONLY
    cache: Path
    locks: Path
    max_blob: int = MAX_BLOB

    @classmethod
    def of(cls, workspace: Workspace, max_blob: int = MAX_BLOB) -> Store:
        """The one with all images of a project."""
        return cls(workspace.images, cache=workspace.cache, locks=workspace.build, max_blob=max_blob)

    # ── blobs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, digest: str) -> Path:
        """Where a blob lies or would lie. Raises BadArchive for what is not a digest, as that could name any path."""
        if not is_digest(digest):
            raise BadArchive(f"not a digest: {digest!r}", hint="only sha256:<64 hex digits> is supported")
        return Path(f"{self.root}/blobs/sha256/{encoded(digest)}")

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the blob is there, and as long as it should be."""
        try:
            found = self.place(digest).stat().st_size
        except OSError:
            return False
        return size is None or found == size

    def blob(self, digest: str) -> Path:
        """Raises: BadArchive where there is no such blob."""
        path = self.place(digest)
        if not path.is_file():
            raise BadArchive(
                f"the blob {digest} is not in the store",
                hint="run the command again: the blob is then rebuilt or fetched",
            )
        return path

    def open(self, digest: str) -> IO[bytes]:
        """A blob as a stream. Raises: BadArchive where it is not there; at its end DamagedBlob where it was damaged."""
        path = self.blob(digest)
        try:
            return io.BufferedReader(_Blob(path, digest), _READ)
        except OSError as error:
            raise BadArchive(f"cannot read {str(path)!r}: {error.strerror}") from error

    def read(self, digest: str) -> bytes:
        """Raises: BadArchive where it is not there, DamagedBlob."""
        with self.open(digest) as blob:
            return blob.read()

    def is_whole(self, digest: str) -> bool:
        """Whether the blob is there and what its digest says: it is read to its end."""
        try:
            with self.open(digest) as blob:
                while blob.read(_READ):
                    pass
        except BadArchive:
            return False
        return True

    def drop(self, digest: str) -> None:
        with contextlib.suppress(OSError):  # it has gone already, or must stay
            self.place(digest).unlink()

    def add(self, data: bytes, media_type: str) -> Descriptor:
        digest = digest_of(data)
        if not self.has(digest, len(data)) or not self.is_whole(digest):
            write_atomically(self.place(digest), data)
        return Descriptor(media_type, digest, len(data))

    def check_room(self, blobs: Iterable[Descriptor], name: str) -> None:
        """Before the blobs of the image `name` are fetched: whether those that are not here may come.

        Raises: BadArchive for one larger than `max_blob`, CannotWrite where the file system has not enough room.
        """
        lacking = {(blob.digest, blob.size) for blob in blobs if not self.has(blob.digest, blob.size)}
        sizes = [size for _, size in lacking]
        largest, total = max(sizes, default=0), sum(sizes)
        if largest > self.max_blob:
            raise BadArchive(
                f"{name} has a blob of {largest:,} bytes; at most {self.max_blob:,} are accepted",
                hint="raise the limit with --max-blob",
            )
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        Room(there, f"{name}'s layers").need(total)

    @contextmanager
    def writer(self, expect: str | None = None) -> Iterator[BlobWriter]:
        """A blob as a stream; it is there once the block has ended well.

        Raises: BadArchive where its digest is not the one that was expected, CannotWrite where the disk would be full.
        """
        folder = self.root / "blobs" / "sha256"
        unnamed = folder / f"incoming-{os.urandom(6).hex()}"
        with replacing(unnamed, becomes=lambda: self.place(writer.digest)) as file:
            writer = BlobWriter(file, Room(folder, "a blob"))
            yield writer
            if expect is not None and writer.digest != expect:
                raise BadArchive(f"a blob has the digest {writer.digest}, not {expect}", hint="fetch it again")

    # ── the index ────────────────────────────────────────────────────────────────────────────────────────────────────

    def tags(self) -> dict[str, Descriptor]:
        """Every name in the index. Raises BadArchive where the index was damaged."""
        found = {}
        for entry in self._manifests():
            try:
                name = entry.get("annotations", {}).get(REF_NAME)
                if name:
                    found[str(name)] = Descriptor(entry["mediaType"], entry["digest"], entry["size"])
            except (KeyError, AttributeError, TypeError) as error:
                raise self._damaged() from error
        return found

    def tag(
        self, name: str, manifest: Descriptor, *, platform: Platform | None = None, annotations: Environment = ()
    ) -> None:
        """Let `name` mean `manifest`; whatever it meant before stays in the store without a name."""
        entry: dict[str, Any] = {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.size,
            "annotations": {**dict(annotations), REF_NAME: name},
        }
        if platform is not None:
            entry["platform"] = platform_document(platform)
        if entry in self._manifests():
            return
        with locked(self.locks / f"{self.root.name}.lock"):
            index = self._index()
            others = [old for old in index.get("manifests", ()) if _name_of(old) != name]
            manifests = sorted([*others, entry], key=lambda item: (_name_of(item), str(item.get("digest"))))
            if not self._is_layout():
                write_atomically(self.root / "oci-layout", LAYOUT)
            write_atomically(self.root / "index.json", index_document(manifests, index))

    def _is_layout(self) -> bool:
        try:
            return (self.root / "oci-layout").read_bytes() == LAYOUT
        except OSError:
            return False

    def _manifests(self) -> list[dict[str, Any]]:
        manifests: list[dict[str, Any]] = self._index().get("manifests", [])
        return manifests

    def _index(self) -> dict[str, Any]:
        """The whole index.json; {} where there is none yet. Raises: BadArchive."""
        path = self.root / "index.json"
        try:
            # A matrix tags hundreds of images: the index is read again only when it is another one.
            status = path.stat()
            index = _read_index(path, (status.st_mtime_ns, status.st_size, status.st_ino))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged() from error
        if index is None:
            raise self._damaged()
        return index

    def _damaged(self) -> BadArchive:
        return BadArchive(f"{str(self.root / 'index.json')!r} is damaged", hint="remove it: images are then rebuilt")


class _Blob(io.RawIOBase):
    """A blob on its way out, which at its end is what its digest says."""

    def __init__(self, path: Path, digest: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed with this
        self._path, self._digest = path, digest
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer that BufferedReader hands over
        try:
            count = self._file.readinto(buffer)
        except OSError as error:
            raise self._damaged(f"cannot be read: {error.strerror}") from error
        self._hash.update(buffer[:count])
        if not count and digest_of(self._hash) != self._digest:
            raise self._damaged("is damaged")
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _damaged(self, words: str) -> DamagedBlob:
        hint = "it was removed: run the command again to rebuild or fetch it"
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):  # not one that was put there since
                self._path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            hint = f"it could not be removed ({error.strerror}): remove {str(self._path)!r}"
        return DamagedBlob(f"the blob {self._digest} {words} in the store", hint=hint)


@lru_cache(maxsize=4)
def _read_index(path: Path, identity: tuple[int, int, int]) -> dict[str, Any] | None:
    """An index.json; None where it is not as it should be."""
    index: Any = json.loads(path.read_bytes())
    manifests = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(manifests, list) or not all(isinstance(entry, dict) for entry in manifests):
        return None
    whole: dict[str, Any] = index
    return whole


def index_document(manifests: list[dict[str, Any]], before: Mapping[str, Any] = {}) -> bytes:  # never changed
    """index.json for these descriptors; what else it held before stays."""
    return to_json({**before, "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})


def platform_document(platform: Platform) -> dict[str, str]:
    document = {"architecture": platform.architecture, "os": platform.os}
    return {**document, "variant": platform.variant} if platform.variant else document


def to_json(document: object) -> bytes:
    """One way to write a document, so that equal documents have equal digests."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _name_of(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(REF_NAME, "")) if isinstance(annotations, dict) else ""
