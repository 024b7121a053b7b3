"""A project's tests, documentation and examples: the switches that its build system has for them.

They are no part of the program, and need tools and libraries of their own. Each system declares its switches in files,
so only those are turned off that are there; the sample's own options come later and win.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from recipes.compile.files import text_of

_WORDS = "tests?|testing|unit[-_]?tests?|docs?|documentation|man|manpages|man[-_]pages|gtk[-_]?docs?|doxygen|examples?"
_EXTRA = re.compile(rf"(?:[\w-]*[-_])?(?:{_WORDS}|benchmarks?)", re.IGNORECASE)
_NEGATED = re.compile(r"(?:^|[-_])(?:no|not|without|disable[sd]?|skip)(?:[-_]|$)", re.IGNORECASE)

_CMAKE = re.compile(r"^[ \t]*(?:option|cmake_dependent_option)\s*\(\s*(\w+)\s", re.IGNORECASE | re.MULTILINE)
_CMAKE_SET = re.compile(r"^[ \t]*set\s*\(\s*(\w+)\s[^()]*?\bCACHE\s+BOOL\b", re.IGNORECASE | re.MULTILINE)
_MESON = re.compile(r"option\s*\(\s*'([\w.-]+)'\s*,((?:[^()']|'[^']*')*)\)")
_CONFIGURE = re.compile(rf"^  --(enable|disable|with|without)-({_WORDS})(?=[\s\[=]|$)", re.MULTILINE)
_CONFIGURE_AC = re.compile(rf"AC_ARG_(ENABLE|WITH)\s*\(\s*\[?({_WORDS})\]?\s*,")
_AGAINST = {"enable": "disable", "disable": "disable", "with": "without", "without": "without"}
_OFF = ("disabled", "false", "no", "none", "off")


def of_cmake(folder: Path) -> tuple[str, ...]:
    """The names of its options. Source: cmake-commands(7), option; CMakeDependentOption in cmake-modules(7)."""
    names: dict[str, None] = {}
    for path in (folder / "CMakeLists.txt", *sorted(folder.glob("cmake/**/*.cmake"))):
        text = text_of(path)
        names.update(dict.fromkeys((*_CMAKE.findall(text), *_CMAKE_SET.findall(text))))
    return tuple(name for name in names if _is_extra(name) and name != "BUILD_TESTING")


def of_meson(folder: Path) -> Iterator[tuple[str, str]]:
    """Its options, each with the value that turns it off. Source: mesonbuild.com, "Build options"."""
    text = "".join(text_of(folder / name) for name in ("meson.options", "meson_options.txt"))
    for name, rest in _MESON.findall(re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE)):
        kind = re.search(r"\btype\s*:\s*'(\w+)'", rest)
        choices = re.search(r"\bchoices\s*:\s*\[([^\]]*)\]", rest)
        offered = {"boolean": ["false"], "feature": ["disabled"]}.get(kind[1] if kind else "", [])
        offered += re.findall(r"'([^']*)'", choices[1]) if choices else []
        value = next((off for off in _OFF if off in offered), "")
        if value and _is_extra(name):
            yield name, value


def of_configure(folder: Path) -> tuple[str, ...]:
    """The words for a `configure` that Autoconf has made, or will make. Source: Autoconf manual, 15."""
    script = text_of(folder / "configure")
    text = script or text_of(folder / "configure.ac") or text_of(folder / "configure.in")
    found = (_CONFIGURE if script else _CONFIGURE_AC).findall(text)
    words = (f"--{_AGAINST[kind.lower()]}-{name}" for kind, name in found)
    return tuple(dict.fromkeys(words))


def _is_extra(name: str) -> bool:
    return _EXTRA.fullmatch(name) is not None and not _NEGATED.search(name)
