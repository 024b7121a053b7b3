"""busybox by one of its names: which commands a binary has, and what it says where it lacks one.

Source: busybox, `libbb/appletlib.c`: the names stand one behind the other, a NUL after each, in strcmp's order.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Sequence

from recipes.verdict.subject import Root

_FIRST = b"\0[\0[[\0"
_NOT_FOUND = b"applet not found"
_NAME = re.compile(rb"[\w.\[-]+", re.ASCII)
_MOST_BYTES = 8 << 20


def missing_applet(root: Root, path: str, arguments: Sequence[str] = ()) -> str:
    """The applet that busybox at `path` is called for and lacks; "" where it has it, or is not busybox.

    Called as busybox, it is the first argument that names the applet.
    """
    name = posixpath.basename(path)
    if name.startswith("busybox"):
        name = posixpath.basename(arguments[0]) if arguments else ""
    reader = root.reader(path)
    if not name or name.startswith(("-", "busybox")) or reader.size > _MOST_BYTES:
        return ""
    known = applets(reader.read_at(0, reader.size))
    return name if known and name.encode(errors="surrogateescape") not in known else ""


def applets(content: bytes) -> frozenset[bytes]:
    """The names in busybox's binary; none where it is another program, or is built without `[`, the first of them."""
    start = content.find(_FIRST)
    if start < 0 or _NOT_FOUND not in content:
        return frozenset()
    names = [b"["]
    for match in itertools.islice(re.finditer(rb"([^\0]*)\0", content[start + 3 :]), 5000):
        if not _NAME.fullmatch(match[1]) or match[1] <= names[-1]:
            break
        names.append(match[1])
    return frozenset(names)
