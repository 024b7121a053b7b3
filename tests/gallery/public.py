"""What may be shown of a tool's words: nothing of where things lie on this machine, or whom it asks."""

from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

_LONGEST = 240


def public(text: str, *private: Path) -> str:
    """`text` as one line without the folders `private`, the user's own and the temporary ones, and without hosts."""
    for folder in sorted({*private, Path.home(), Path(tempfile.gettempdir())}, key=lambda path: -len(str(path))):
        text = re.sub(rf"{re.escape(str(folder))}(/[^\s:'\"]*/)?", "…/", text) if folder != Path("/") else text
    text = re.sub(r"\bhttps?://[^\s'\"]+", "a URL", text).replace(socket.gethostname(), "this machine")
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
