"""A library or a tool that a build did not find: which package of Debian's has it, and whether it has a static archive.

What is installed is asked of dpkg; what is not, of apt's list of names, where a library's headers and archive are in a
package that is mostly called `lib…-dev`. Source: Debian Policy, 8.3 and 8.4.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recipes.compile.files import text_of
from recipes.errors import RecipeError
from recipes.model import Command
from recipes.support import shell

_HEADER = re.compile(r"fatal error: '?([\w./+-]+\.h(?:pp|xx|h)?)'?(?:: No such file| file not found)")
_LINKED = re.compile(r"cannot find -l([\w.+-]+)|library not found for -l([\w.+-]+)|system library '([\w.+-]+)'")
_MODULE = re.compile(
    r"No package '([\w.+-]+)' found|Package '([\w.+-]+)', required by|Package ([\w.+-]+) was not found"
    r"|Dependency \"?([\w.+-]+)\"? not found|Dependency lookup for ([\w.+-]+) with"
)
_CMAKE = re.compile(r"Could NOT find (\w+)|Could not find a package configuration file provided by \"(\w+)\"")
_NOT_CONFIGURED = re.compile(r"configure\S*: error: |^CMake Error|ERROR: ")
_IN_WORDS = re.compile(r"\b([\w/+-]+\.h)\b|-l([\w.+-]+)|\b(lib[a-z][\w.+-]*\w)\b|\b([A-Za-z]\w+) (?:library|headers)\b")
_CALLED = re.compile(
    r"(?:^|: )(?:\d+: )?(\w[\w.+-]*): (?:command not found|not found)$|Can't exec \"([\w.+-]+)\""
    r"|^g?make(?:\[\d+\])?: ([\w.+-]+): No such file or directory|'([\w.+-]+)' is missing on your system"
    r"|Program '([\w.+-]+)(?: [^']*)?' not found",
    re.MULTILINE,
)
_UNDEFINED = "undefined reference to "
_IN_ARCHIVE = re.compile(r"^/usr/bin/\S*ld: /\S*/(lib[\w.+-]+\.a)\([^)]*\): in function ")
_SHARED = "`invoke smallest` puts the shared libraries beside the program"

_STARTED = " failed with exit status: "
"""What `autoreconf` says of a program that it could not start either."""

_ASKED_FOR = re.compile(r"^checking for ([\w.+-]+)\.\.\. (?:no|not found)$")
_PACKAGE_OF_TOOL = {
    "a2x": "asciidoc-base", "aclocal": "automake", "autoreconf": "autoconf", "glib-genmarshal": "libglib2.0-dev-bin",
    "lex": "flex", "libtoolize": "libtool", "makeinfo": "texinfo", "msgfmt": "gettext", "pod2man": "perl",
    "rst2man": "python3-docutils", "yacc": "bison",
}  # fmt: skip
"""Where the package is not called like the tool."""

_BUILD_DEPENDS = re.compile(r"^Build-Depends:((?:.|\n[ \t#])*)", re.MULTILINE)
_PACKAGE, _CPUS = re.compile(r"[a-z0-9][a-z0-9+.-]+"), re.compile(r"\[\s*([^\s\]][^\]]*)\]")
_PACKAGING = ("debhelper", "dh-", "dpkg-dev", "po-debconf", "quilt", "cdbs")
_TAIL = 40
"""A `configure` that gives up says what it has not found in so many lines, at most."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """What was looked for, as it was called; `stems` are what the library may be called."""

    what: str
    stems: tuple[str, ...]
    is_linked: bool = False


def advice(lines: Sequence[str], why: str, *, own_libc: bool) -> str:
    """One sentence about the libraries or the tool that are missing; "" where none seems to be.

    `lines` are the whole output, `why` is the one that says why the build failed; `own_libc`: the compiler uses no
    library of this machine.
    """
    tool = _tool(lines, why)
    if tool:
        return tool
    found = tuple(_find(lines, why))
    if not found:
        return _incomplete(lines, why)
    if own_libc:
        return (
            f"{found[0].what} is not part of the project, and this recipe uses none of this machine's libraries: "
            "the gcc-* recipes do"
        )
    try:
        return _of_debian(found)
    except RecipeError:  # no dpkg or no apt: another system, whose names are not known
        return f"{found[0].what} is missing: install the package that has its header and its static archive"


def _incomplete(lines: Sequence[str], why: str) -> str:
    """One sentence about an archive of this machine that calls what nothing that is linked has."""
    names = [match[1] for line in lines if (match := _IN_ARCHIVE.search(line))] if _UNDEFINED in why else []
    return f"{names[0]} needs a library that is not linked: {_SHARED}" if names else ""


def build_depends(folder: Path) -> tuple[str, ...]:
    """Those packages that are not installed and that one of Debian's source packages is built with; none for another
    folder. Source: Debian Policy, 7.1 and 7.7.
    """
    match = _BUILD_DEPENDS.search(text_of(folder / "debian/control"))
    if match is None:
        return ()
    try:
        here = next(iter(_ask("dpkg", "--print-architecture")), "")
        installed = {name.partition(":")[0] for name in _ask("dpkg-query", "--show", "--showformat", "${Package}\n")}
    except RecipeError:  # another system
        return ()
    clauses = re.sub(r"^#.*$", "", match[1], flags=re.MULTILINE).split(",")
    return tuple(dict.fromkeys(name for clause in clauses if (name := _absent(clause, here, installed))))


def with_packages(advice: str, packages: Sequence[str]) -> str:
    """What to do: the packages at once, if there are any; and the advice, if it is about another one."""
    if not packages:
        return advice
    all_of_them = f"`apt-get install {' '.join(packages)}` brings what debian/control builds it with"
    is_among = any(re.search(rf"[ `]{re.escape(name)}(?![\w.+-])", advice) for name in packages)
    return all_of_them if is_among or not advice else f"{advice}; {all_of_them}"


def _absent(clause: str, here: str, installed: Set[str]) -> str:
    """The first package of a choice of which none is installed; not what is for tests, manuals or other CPUs alone, and
    none of the tools that only make a package.
    """
    names = []
    for choice in clause.split("|"):
        name, for_cpus = _PACKAGE.match(choice.strip()), _CPUS.search(choice)
        cpus = for_cpus[1].split() if for_cpus else [here]
        meant = f"!{here}" not in cpus if cpus[0].startswith("!") else here in cpus or "linux-any" in cpus
        if name and meant and not re.search(r"<\s*!no", choice):
            names.append(name[0])
    unknown = names and installed.isdisjoint(names) and not names[0].startswith(_PACKAGING)
    return names[0] if unknown else ""


def _tool(lines: Sequence[str], why: str) -> str:
    """One sentence about a program that the build has called, or `configure` has asked for; "" where that was none."""
    match = _CALLED.search("\n".join(lines) if _STARTED in why else why)
    name = _first(match) if match else _asked_for(lines, why)
    package = _PACKAGE_OF_TOOL.get(name) or next(iter(_named(name)), "") if name else ""
    return f"{name} is not on this machine: `apt-get install {package}` brings it" if package else ""


def _asked_for(lines: Sequence[str], why: str) -> str:
    """What was not found before `configure` gave up, where that is what it speaks of."""
    if not _NOT_CONFIGURED.search(why):
        return ""
    names = (match[1] for line in reversed(lines) if (match := _ASKED_FOR.search(line)))
    return next((name for name in names if re.search(rf"\b{re.escape(name)}\b", why, re.IGNORECASE)), "")


def _named(name: str) -> Iterator[str]:
    with contextlib.suppress(RecipeError):  # no apt
        yield from (each for each in _ask("apt-cache", "pkgnames", "--", name) if each == name)


def _find(lines: Sequence[str], why: str) -> Iterator[_Missing]:
    output = "\n".join(lines)
    for pattern, make in ((_HEADER, _header), (_LINKED, _linked), (_MODULE, _module)):
        names = dict.fromkeys(_first(match) for match in pattern.finditer(output))
        if names:
            yield from map(make, names if pattern is _LINKED else list(names)[:1])
            return
    if not _NOT_CONFIGURED.search(why):
        return
    match = _CMAKE.search(why) or _IN_WORDS.search(why)
    if match is not None:
        yield _header(match[1]) if match[1] and match[1].endswith(".h") else _module(_first(match))
        return
    for line in lines[-_TAIL:]:
        if not line.startswith("checking ") and (match := _IN_WORDS.search(line)) and match[1]:
            yield _header(match[1])


def _first(match: re.Match[str]) -> str:
    return next(text for text in match.groups() if text)


def _header(name: str) -> _Missing:
    path = PurePosixPath(name)
    return _Missing(name, tuple(_plain(part) for part in (path.stem, *path.parts[:-1])))


def _linked(name: str) -> _Missing:
    return _Missing(f"lib{name}.a", (_plain(name),), is_linked=True)


def _module(name: str) -> _Missing:
    return _Missing(name, (_plain(name),))


def _plain(name: str) -> str:
    return name.lower().removeprefix("lib").replace("_", "-")


def _of_debian(found: tuple[_Missing, ...]) -> str:
    """One clause for each package that is known; one for all that have to be installed."""
    clauses, wanted = [], {}
    for missing in found:
        text, package = _package_of(missing)
        if package:
            wanted[missing.what] = package
        else:
            clauses.append(text)
    if wanted:
        names = " ".join(dict.fromkeys(wanted.values()))
        clauses.append(
            f"{', '.join(wanted)}: not found; `apt-get install {names}` brings what is called so "
            "(whether there is a static archive is known once it is installed)"
        )
    return "; ".join(dict.fromkeys(clauses))


def _package_of(missing: _Missing) -> tuple[str, str]:
    """What is known of it; or, where it is not installed, the package that is called like it."""
    if missing.is_linked:
        library = missing.what.removesuffix(".a")
        owner = _owner(f"*/{library}.so")
        if owner and f"{library}.a" not in (_archives(owner) or ()):
            return f"Debian's {owner} has no static archive of {library}: {_SHARED}", ""
    names = sorted({name for stem in missing.stems for name in _packages(stem)}, key=lambda name: (len(name), name))
    if not names:
        return f"{missing.what} is missing; no package of Debian's is called like it", ""
    name = names[0]
    installed = _archives(name)
    if installed is not None:
        has = f"has {', '.join(installed)}" if installed else "has no static archive"
        return f"{missing.what} is missing, though Debian's {name} is installed; it {has}", ""
    return "", name


def _owner(pattern: str) -> str:
    """The installed package that has a file like this."""
    lines = _ask("dpkg", "-S", "--", pattern)
    return lines[0].partition(":")[0].partition(",")[0] if lines else ""


def _archives(package: str) -> list[str] | None:
    """The static libraries in an installed package; None where it is not installed."""
    lines = _ask("dpkg", "-L", "--", package)
    return [PurePosixPath(line).name for line in lines if line.endswith(".a")] if lines else None


def _packages(stem: str) -> Iterator[str]:
    """The packages for development whose name says that they are for the library `stem`, in whatever version."""
    fitting = re.compile(rf"(lib)?{re.escape(stem)}[\d.-]*[a-z]?-dev")
    for prefix in (f"lib{stem}", stem):
        yield from (name for name in _ask("apt-cache", "pkgnames", "--", prefix) if fitting.fullmatch(name))


def _ask(*argv: str) -> list[str]:
    """The lines of the answer; none where it is no. Raises: ToolMissing."""
    done = shell.run(Command(argv, env=(("LC_ALL", "C"),)), timeout=20)
    return done.stdout.decode(errors="replace").splitlines() if done.exit_code == 0 else []
