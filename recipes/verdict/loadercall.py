"""A loader that is called as a program: what it is to load, and with which settings.

Source: ld.so(8) and glibc's elf/rtld.c; musl, ldso/dynlink.c.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from recipes.elf.segments import read_header, read_interpreter
from recipes.errors import NotElf, TruncatedElf
from recipes.loader.glibcpaths import absolute
from recipes.loader.words import words_of_glibc, words_of_musl
from recipes.model import Environment
from recipes.verdict.subject import Root

_LOADER = re.compile(r"ld-linux.*\.so\.\d+|ld-musl-.*\.so\.1|ld64\.so\.\d|ld\.so\.\d")
_VARIABLES = {"--library-path": "LD_LIBRARY_PATH", "--preload": "LD_PRELOAD", "--argv0": ""}
_MOST_BYTES = 8 << 20


def is_loader(path: str) -> bool:
    return _LOADER.fullmatch(posixpath.basename(path)) is not None


def is_musl(path: str) -> bool:
    return posixpath.basename(path).startswith("ld-musl")


def asked_of_loader(root: Root, loader: str, words: Sequence[str], env: Environment) -> tuple[Environment, str] | None:
    """The environment that its options amount to, and the program; None where that is not known here.

    A program without a slash is looked for like a library; other options than these, and those that this loader is too
    old for, are not followed.
    """
    content = _content(root, loader)
    settings = dict(env)
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return (tuple(settings.items()), word) if "/" in word else None
        variable, value = _VARIABLES.get(word), next(rest, None)
        if variable is None or value is None or word.lstrip("-").encode() + b"\0" not in content:
            return None
        if variable == "LD_PRELOAD" and settings.get(variable):
            return None  # glibc takes both, musl the option
        if variable:
            settings[variable] = value
    return None


def is_its_own(root: Root, loader: str, program: str, workdir: str) -> bool:
    """Whether a program names this very loader as its interpreter, by whatever path."""
    reader = root.reader(program)
    try:
        interpreter = read_interpreter(reader, read_header(reader))
    except (NotElf, TruncatedElf):
        return False
    if not interpreter or not root.exists(absolute(interpreter, workdir)):
        return False
    return _content(root, absolute(interpreter, workdir)) == _content(root, loader)


def complaint_of_loader(loader: str, program: str, number: int) -> str:
    """What the loader, called as `loader`, writes where opening the program fails with Linux's error of that number."""
    if is_musl(loader):
        return f"{loader}: cannot load {program}: {words_of_musl(number)}"
    why = words_of_glibc(number)
    return f"{program}: error while loading shared libraries: {program}: cannot open shared object file: {why}"


def _content(root: Root, path: str) -> bytes:
    return root.reader(path).read_at(0, _MOST_BYTES)
