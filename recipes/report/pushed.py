"""A push as text and as JSON: what was sent, what was there already, what was mounted."""

from __future__ import annotations

from recipes.model import Descriptor
from recipes.report.document import Document
from recipes.report.units import human
from recipes.results import Pushed


def summary(pushed: Pushed) -> str:
    """One line: `pushed localhost:5000/hello:1.0: 2 blobs sent (138 kB), 1 mounted, 3 already there`."""
    parts = []
    if pushed.sent:
        count = len(pushed.sent)
        parts.append(f"{count} blob{'' if count == 1 else 's'} sent ({human(sum(blob.size for blob in pushed.sent))})")
    if pushed.mounted:
        parts.append(f"{len(pushed.mounted)} mounted from {', '.join(sorted({name for _, name in pushed.mounted}))}")
    if pushed.present:
        parts.append(f"{len(pushed.present)} already there")
    if not pushed.manifests_sent:
        parts.append("tag unchanged")
    return f"pushed {pushed.repository}:{pushed.tag}: {', '.join(parts)}"


def document(pushed: Pushed) -> Document:
    """`{"image", "tag", "digest", "sent": […], "present": […], "mounted": [{…, "from"}], "bytes_moved"}`"""
    return {
        "image": str(pushed),
        "tag": pushed.tag,
        "digest": pushed.digest,
        "sent": [_blob(blob) for blob in pushed.sent],
        "present": [_blob(blob) for blob in pushed.present],
        "mounted": [{**_blob(blob), "from": repository} for blob, repository in pushed.mounted],
        "manifests_sent": pushed.manifests_sent,
        "bytes_moved": pushed.bytes_moved,
    }


def _blob(blob: Descriptor) -> Document:
    return {"media_type": blob.media_type, "digest": blob.digest, "size": blob.size}
