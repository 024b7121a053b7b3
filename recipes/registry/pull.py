"""Images from a registry: what a tag stands for, and its blobs into the store, also after a connection broke.

Source: OCI distribution-spec, "Pull".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from recipes.errors import BadArchive, Unavailable, shortened
from recipes.model import BaseImage, Descriptor, Platform
from recipes.oci.manifests import MAX_MANIFEST_BYTES, read_image
from recipes.oci.media_types import ACCEPT
from recipes.oci.reference import ImageName
from recipes.oci.store import Store
from recipes.registry.answer import Answer, BrokenOff
from recipes.registry.client import Client
from recipes.registry.session import ATTEMPTS, MAX_WAIT_SECONDS, backoff
from recipes.support import console
from recipes.support.digest import digest_of


def find(image: ImageName) -> Remote:
    """Ask the registry what the image's tag or digest stands for.

    Raises: Unreachable, Unavailable (not there, or no access), BadArchive.
    """
    return Remote(image)


def pull(remote: Remote, name: str, platform: Platform, store: Store) -> BaseImage:
    """The image for `platform`, with its layers in the store.

    Raises: Unavailable (not for this platform, or broken off), BadArchive (a digest is wrong).
    """
    return read_image(
        name, remote.start, platform, store, read=remote.manifest, fetch=lambda at: remote.fetch(at, store)
    )


class Remote:
    """One image of a registry. `start` is the manifest or index that its name stands for."""

    def __init__(self, image: ImageName) -> None:
        self.image = image
        self._client = Client(image)
        self._known: dict[str, bytes] = {}
        self.start = self._find()

    def _find(self) -> Descriptor:
        data, media_type, digest = self._get_manifest(self.image.digest or self.image.tag)
        if self.image.digest:
            digest = self.image.digest
        self._known[digest] = data
        return Descriptor(media_type, digest, len(data))

    def manifest(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > MAX_MANIFEST_BYTES:
            raise BadArchive(f"{self.image} names a manifest of {descriptor.size} bytes")
        if descriptor.digest not in self._known:
            self._known[descriptor.digest] = self._get_manifest(descriptor.digest)[0]
        return self._known[descriptor.digest]

    def fetch(self, descriptor: Descriptor, store: Store) -> None:
        """Stream a blob into the store; a broken connection is taken up where it broke."""
        title = f"fetching {self.image.repository.rpartition('/')[2]} {descriptor.digest[7:19]}"
        with (
            console.progress(title, descriptor.size, "bytes") as advance,
            store.writer(expect=descriptor.digest) as writer,
        ):
            done = 0
            for attempt in range(ATTEMPTS):
                try:
                    for data in self._stream(descriptor.digest, done):
                        done += len(data)
                        if done > descriptor.size:
                            raise BadArchive(f"{self.image}: blob {descriptor.digest} is longer than its manifest says")
                        writer.write(data)
                        advance(len(data))
                except BrokenOff:
                    if done < descriptor.size:
                        time.sleep(backoff(attempt))
                        continue
                return
            raise Unavailable(
                f"{self.image.host} broke off {ATTEMPTS} times while sending {descriptor.digest}",
                hint="try again; complete blobs are kept",
            )

    def _stream(self, digest: str, start: int) -> Iterator[bytes]:
        """The blob's bytes from `start` on. Raises: BrokenOff."""
        with self._open(digest, start) as answer:
            if answer.status not in (200, 206):
                raise self._client.error_of(answer, "a blob")
            skip = 0 if answer.status == 206 else start
            for data in answer.chunks():
                if skip < len(data):
                    yield data[skip:]
                skip = max(0, skip - len(data))

    def _open(self, digest: str, start: int) -> Answer:
        """The blob from `start` on, or all of it where the registry cannot go on there."""
        where = f"blobs/{digest}"
        if start:
            answer = self._ask(where, {"Range": f"bytes={start}-"})
            if answer.status != 416:
                return answer
            answer.close()
        return self._ask(where)

    def _get_manifest(self, selector: str) -> tuple[bytes, str, str]:
        """(bytes, media type, digest) of a manifest or an index."""
        accept = {"Accept": ACCEPT}
        with self._ask(f"manifests/{selector}", accept) as answer:
            if answer.status != 200:
                raise self._client.error_of(answer, f"{self.image}")
            data = answer.body(MAX_MANIFEST_BYTES)
            actual = digest_of(data)
            # A proxy in between may send something else with "200": the registry's own word tells.
            promised = answer.headers.get("Docker-Content-Digest", actual)
            if promised.startswith("sha256:") and promised != actual:
                raise BadArchive(f"{self.image}: the manifest received has digest {actual}, not {shortened(promised)}")
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            return data, shortened(media_type), actual

    def _ask(self, where: str, headers: Mapping[str, str] = {}) -> Answer:  # never changed
        """A GET, which is sent once more when the registry has asked to come back in a few seconds."""
        for _ in range(ATTEMPTS - 1):
            answer = self._client.ask("GET", where, headers)
            if answer.status != 429 or not 0 < answer.wait <= MAX_WAIT_SECONDS:
                return answer
            answer.close()
            time.sleep(answer.wait)
        return self._client.ask("GET", where, headers)
