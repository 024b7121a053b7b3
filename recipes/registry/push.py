"""Images from the store to a registry: what it lacks, and nothing twice; the tag comes last.

Blobs go side by side, each from its file as a stream. A blob that is there is left alone, one that another repository
of the registry holds is mounted across, any other is uploaded in one piece (POST, then PUT): an upload that broke off
starts again, as registries differ in what they keep of a half one. Manifests follow when all their blobs are there,
an index after its children, so that an interrupted push leaves the tag as it was.
Source: OCI distribution-spec, "Push".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from recipes.errors import BadInput, Unavailable, shortened
from recipes.model import Descriptor
from recipes.oci.contents import Contents, gather
from recipes.oci.manifests import MAX_MANIFEST_BYTES
from recipes.oci.media_types import ACCEPT
from recipes.oci.reference import ImageName
from recipes.oci.store import Store
from recipes.registry.answer import Answer, BrokenOff
from recipes.registry.blob_locations import holders, remember
from recipes.registry.body import FileBody
from recipes.registry.client import Client
from recipes.registry.error_responses import Retryable
from recipes.registry.host_status import Unreachable
from recipes.registry.session import ATTEMPTS, MAX_WAIT_SECONDS, READ_SECONDS, backoff
from recipes.results import Pushed
from recipes.support import console
from recipes.support.digest import digest_of
from recipes.support.work import Stopped, for_each
from recipes.support.workspace import Workspace

_UPLOAD_SECONDS = (READ_SECONDS, 180.0)
"""For a chunk to go out, and for the answer at the end: the registry may move or check a large blob first."""

_DONE = range(200, 205)

Value = TypeVar("Value")


def push(
    store: Store,
    start: Descriptor,
    target: ImageName,
    *,
    workspace: Workspace,
    jobs: int = 1,
    insecure: bool = False,
) -> Pushed:
    """Let `target` (host, repository and tag) be what `start` is: an image manifest or an image index of the store.

    Raises: BadArchive for what is missing or incomplete in the store, before anything is sent; BadInput for a target by
    digest or `insecure` with a host elsewhere; Unreachable; Unavailable for what the registry refuses.
    """
    check_target(target, insecure=insecure)
    contents = gather(store, start)
    client = Client(target, "pull,push", insecure=insecure, retries=0)
    return _Push(store, target, workspace, client).run(start, contents, jobs)


def check_target(target: ImageName, *, insecure: bool = False) -> None:
    """Raises: BadInput for a target that nothing can be pushed to."""
    if target.digest:
        raise BadInput(f"{target} is a digest", hint="push to a tag; the digest follows from the image")
    if insecure:
        Client.check_insecure(target)


@dataclass
class _Push:
    """One push, under way. What it found and did is written under its lock."""

    store: Store
    target: ImageName
    workspace: Workspace
    client: Client
    sent: list[Descriptor] = field(default_factory=list)
    present: list[Descriptor] = field(default_factory=list)
    mounted: list[tuple[Descriptor, str]] = field(default_factory=list)
    declined: list[tuple[str, str]] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    bytes_moved: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, start: Descriptor, contents: Contents, jobs: int) -> Pushed:
        # A host that is not there is told at once; only one that has answered is waited for.
        before = self._again(partial(self._digest_of, self.target.tag), patient=False)
        title = f"pushing {self.target.repository.rpartition('/')[2]}"
        known = holders(self.workspace, self.target.host)
        try:
            with console.progress(title, sum(blob.size for blob in contents.blobs), "bytes") as advance:
                for_each(
                    # The large ones first: one that starts last would run alone at the end.
                    sorted(contents.blobs, key=lambda blob: (-blob.size, blob.digest)),
                    lambda blob: self._again(partial(self._blob, blob, known.get(blob.digest, ()), advance)),
                    jobs,
                    self.stop,
                )
        finally:
            here = [blob.digest for blob in (*self.sent, *self.present, *(blob for blob, _ in self.mounted))]
            remember(self.workspace, self.target, here, gone=self.declined)
        count = 0
        for descriptor, data in contents.manifests:
            is_last = descriptor.digest == start.digest
            selector = self.target.tag if is_last else descriptor.digest
            there = before if is_last else self._again(partial(self._digest_of, selector))
            if there != descriptor.digest:
                self._again(partial(self._manifest, selector, descriptor, data))
                count += 1
        after = self._again(partial(self._digest_of, self.target.tag))
        if after != start.digest:
            raise Unavailable(
                f"{self.target} points to {shortened(after) or 'nothing'} after the push, not to {start.digest}",
                hint="was the same tag pushed from elsewhere meanwhile? try again",
            )
        return Pushed(
            f"{self.target.host}/{self.target.repository}",
            self.target.tag,
            start.digest,
            sent=tuple(sorted(self.sent, key=_digest)),
            present=tuple(sorted(self.present, key=_digest)),
            mounted=tuple(sorted(self.mounted, key=lambda pair: pair[0].digest)),
            manifests_sent=count,
            bytes_moved=self.bytes_moved,
        )

    def _again(self, work: Callable[[], Value], *, patient: bool = True) -> Value:
        """`work`, and again after a while where it failed in a way that may pass."""
        for attempt in range(ATTEMPTS):
            try:
                return work()
            except (Retryable, Unreachable, BrokenOff) as error:
                wait = max(backoff(attempt), error.wait if isinstance(error, Retryable) else 0.0)
                impatient = isinstance(error, Unreachable) and not patient
                if impatient or attempt == ATTEMPTS - 1 or wait > MAX_WAIT_SECONDS:
                    raise
                if self.stop.wait(wait):
                    raise Stopped from error
        raise AssertionError("the last attempt returns or raises")

    # ── blobs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _blob(self, blob: Descriptor, holding: Iterable[str], advance: console.Advance) -> None:
        # Also before a second attempt: it may be only the answer that was lost.
        with self.client.ask("HEAD", f"blobs/{blob.digest}") as answer:
            # Where one may not ask, the upload brings the answer.
            if answer.status not in (200, 403, 404, 405):
                raise self._error_of(answer, f"a question for {_short(blob)}")
            if answer.status == 200:
                self._note(self.sent if blob.digest in self.begun else self.present, blob)
                advance(blob.size)
                return
        upload = ""
        for repository in holding:
            if repository == self.target.repository or (blob.digest, repository) in self.declined or upload:
                continue
            upload = self._mount(blob, repository)
            if upload == repository:
                self._note(self.mounted, (blob, repository))
                advance(blob.size)
                return
        self._upload(blob, upload or self._start(blob), advance)
        self._note(self.sent, blob)

    def _mount(self, blob: Descriptor, repository: str) -> str:
        """`repository` where the blob was taken over from it, else an upload that was begun instead, or ""."""
        where = f"blobs/uploads/?mount={quote(blob.digest)}&from={quote(repository, safe='')}"
        with self.client.ask("POST", where, also_pull=repository, body=b"") as answer:
            if answer.status == 201:
                return repository
            self._note(self.declined, (blob.digest, repository))
            # Anything else is no reason to give up: the blob is here.
            return self._location(answer) if answer.status == 202 else ""

    def _start(self, blob: Descriptor) -> str:
        with self.client.ask("POST", "blobs/uploads/", body=b"") as answer:
            if answer.status != 202:
                raise self._error_of(answer, f"an upload of {_short(blob)}")
            return self._location(answer)

    def _location(self, answer: Answer) -> str:
        return self.client.follow(answer.url, answer.headers.get("Location", ""))

    def _upload(self, blob: Descriptor, where: str, advance: console.Advance) -> None:
        where += f"{'&' if '?' in where else '?'}digest={quote(blob.digest, safe='')}"
        self.begun.add(blob.digest)
        body = FileBody(self.store, blob, advance, self.stop)
        headers = {"Content-Type": "application/octet-stream"}
        try:
            # Without a byte there is nothing to stream, and a length of 0 has to be said.
            with self.client.ask(
                "PUT", where, headers, body=body if blob.size else b"", seconds=_UPLOAD_SECONDS
            ) as answer:
                if answer.status in _DONE:
                    return
                if answer.status == 404:  # the upload, that is: its session has gone
                    raise Retryable(f"{self.target.host} has lost an upload of {_short(blob)}", hint="try again")
                raise self._error_of(answer, _short(blob))
        except Exception:
            advance(-body.at)  # it starts again
            raise
        finally:
            with self.lock:
                self.bytes_moved += body.moved

    # ── manifests ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _digest_of(self, selector: str) -> str:
        """What a tag or digest stands for in the registry now, "" for nothing."""
        accept = {"Accept": ACCEPT}
        with self.client.ask("HEAD", f"manifests/{selector}", accept) as answer:
            if answer.status == 404:
                return ""
            if answer.status != 200:
                raise self._error_of(answer, f"a question for {self.target}")
            digest = answer.headers.get("Docker-Content-Digest")
        if digest:
            return str(digest)
        with self.client.ask("GET", f"manifests/{selector}", accept) as answer:
            if answer.status != 200:
                raise self._error_of(answer, f"a question for {self.target}")
            return digest_of(answer.body(MAX_MANIFEST_BYTES))

    def _manifest(self, selector: str, descriptor: Descriptor, data: bytes) -> None:
        headers = {"Content-Type": descriptor.media_type}
        with self.client.ask("PUT", f"manifests/{selector}", headers, body=data, seconds=_UPLOAD_SECONDS) as answer:
            self.bytes_moved += len(data)
            if answer.status not in _DONE:
                raise self._error_of(answer, f"the manifest of {self.target}")
            digest = answer.headers.get("Docker-Content-Digest", descriptor.digest)
            if digest != descriptor.digest:
                raise Unavailable(
                    f"{self.target.host} stored {descriptor.digest} as {shortened(digest)}",
                    hint="a proxy before the registry may have changed it",
                )

    def _error_of(self, answer: Answer, what: str) -> Unavailable:
        return self.client.error_of(answer, what, pushing=True)

    def _note(self, found: list[Value], value: Value) -> None:
        with self.lock:
            found.append(value)


def _digest(blob: Descriptor) -> str:
    return blob.digest


def _short(blob: Descriptor) -> str:
    return f"the blob {blob.digest[:19]} ({blob.size:,} bytes)"
