"""`python -m tests.bench.transfer push|pull FOLDER …`: one push or pull of ours, as a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from recipes.model import Descriptor, Platform
from recipes.oci.store import Store
from recipes.support.workspace import Workspace

_JOBS = 2


def main(kind: str, folder: Path, *words: str) -> None:
    """Pull a reference into the project at `folder`, or push an image of it and write what was moved."""
    workspace = Workspace(folder)
    store = Store.of(workspace)
    if kind == "pull":
        from recipes.bases.resolve import resolve

        resolve(words[0], Platform.host(), workspace, store)
        return
    from recipes.oci.reference import image_name
    from recipes.registry.push import push

    media_type, digest, size, target = words
    start = Descriptor(media_type, digest, int(size))
    done = push(store, start, image_name(target), workspace=workspace, jobs=_JOBS)
    sys.stdout.write(json.dumps({"blobs": len(done.sent), "bytes": done.bytes_moved}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
