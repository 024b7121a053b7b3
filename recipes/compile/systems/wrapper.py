"""The recipe's compiler as one word: small scripts that a project's build system takes for a compiler.

Build systems differ in which flags they let through, and to whom: `libtool` keeps `-static` to itself, CMake puts its
own `-O3` behind, a Makefile that sets CFLAGS forgets ours, and a shared library must not get the flags of a program.
The script knows what each call is for. It runs nothing else than one call of the real compiler, and whatever the
project asks for stays, but for the level of optimisation and debug data, where the recipe has the last word.

Beside each program that it links it leaves the linker's map and what the linker said, so that whichever program turns
out to be the product has its own.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from recipes.compile.recipe import Recipe
from recipes.compile.toolchains.protocol import CompilerType

CC, CXX = "recipe-cc", "recipe-c++"
C_NAMES = (CC, "cc", "gcc", "clang", "c99", "c89", "c11", "c17")
CXX_NAMES = (CXX, "c++", "g++", "clang++")
"""Those that build systems are told, and those that a Makefile may call all the same."""

AR, RANLIB = "ar", "ranlib"
"""Under their usual names, found on PATH: a Makefile's `AR = ar rcu` cannot be replaced by one word."""

MAP, MESSAGES = ".recipe-map", ".recipe-messages"
"""What stands behind a program's name in the names of the files about it."""


def script(
    recipe: Recipe, compiler: CompilerType, driver: tuple[str, ...], work: Path, *, archivers_know_lto: bool
) -> str:
    """The script that stands for `driver`, the real compiler with the options that choose a platform."""
    # The folder's place leaves no trace. The order counts: the last option that fits is taken.
    maps = [f"-ffile-prefix-map={work}/{name}=." for name in ("build", "source")]
    members = () if archivers_know_lto else compiler.member_flags(recipe)
    common = [*recipe.compile_flags, *members, *maps, *compiler.wrapper_flags]
    own = compiler.object_flags(recipe, '${out#"$work"/}')
    objects = "".join(f'\nset -- "{flag}" "$@"' for flag in own)
    last = [*(flag for flag in recipe.compile_flags if flag.startswith("-O")), "-g0"]
    with_needed = (
        _WITH_NEEDED.format(driver=shlex.join(driver)) if recipe.static and not compiler.brings_its_own_libc else ""
    )
    to_file, to_stdout = f'-Xlinker "-Map=$out{MAP}"', f'-Wl,--print-map >"$out{MAP}"'
    mapping = to_stdout if compiler.prints_linker_map else to_file
    return f"""\
#!/bin/sh
# {recipe.name}: the compiler that the build system of this project is given.
work={shlex.quote(str(work))}
out='' input='' previous='' links=yes libraries='' folders=''
for word; do
    [ "$previous" != -o ] || out=$word
    case $word in
    --version | --help | -dump* | -print* | -Wl,--version | -Wl,-v | -Wl,--help) exec {shlex.join(driver)} "$@" ;;
    -c | -S | -E | -M | -MM | -fsyntax-only | -shared | -r | -Wl,-r) links='' ;;
    -l?*) libraries="$libraries ${{word#-l}}" ;;
    -L?*) folders="$folders ${{word#-L}}" ;;
    -*) ;;
    *) input=$word ;;
    esac
    previous=$word
done
[ $# -gt 1 ] || [ -n "$input" ] || exec {shlex.join(driver)} "$@"
out=${{out:-${{input:-a.out}}}}{objects}
set -- {shlex.join(common)} "$@" {shlex.join(last)}
[ -n "$links" ] || exec {shlex.join(driver)} "$@"{with_needed}
case $out in
"$input" | -* | /dev/* | *%*) exec {shlex.join(driver)} "$@" {shlex.join(recipe.link_flags)} ;;
esac
{shlex.join(driver)} "$@" {shlex.join(recipe.link_flags)} {mapping} 2>"$out{MESSAGES}"
code=$?
cat -- "$out{MESSAGES}" >&2
exit $code
"""


_WITH_NEEDED = """
for name in $libraries; do
    for file in $(printf "%s/lib$name.so\\n" $folders) $({driver} "-print-file-name=lib$name.so"); do
        [ "$(head -c 6 "$file" 2>/dev/null)" = 'INPUT(' ] || continue
        for word in $(tr '()' '  ' <"$file"); do
            case $word in -l*) set -- "$@" "$word" ;; esac
        done
        break
    done
done"""
"""What a library needs is noted in the shared one and not in the archive. Where it is a linker script, such as ncurses'
`INPUT(libncurses.so.6 -ltinfo)`, that says so too. Source: GNU ld manual, "Implicit Linker Scripts"."""


def forward(argv: tuple[str, ...]) -> str:
    """A script that only gives `argv` another name. It leaves PATH, where it stands first: gcc-ar looks for `ar` there,
    and would find the script again.
    """
    return f'#!/bin/sh\nPATH=${{PATH#*:}} exec {shlex.join(argv)} "$@"\n'


def alias(script: Path) -> str:
    """A script that is `script` under another name."""
    return f'#!/bin/sh\nexec {shlex.quote(str(script))} "$@"\n'


DOCUMENTERS = ("makeinfo", "help2man")
NO_MANUAL = """\
#!/bin/sh
# A manual is no part of a program: the file that is asked for is there, and empty.
previous=''
for word; do
    case $previous in -o | --output) : >"$word" ;; esac
    case $word in --output=*) : >"${word#*=}" ;; esac
    previous=$word
done
"""
"""Stands for those of DOCUMENTERS that this machine has not. Projects bring what they make along, and Debian's source
packages leave it out."""

STRIP = """\
#!/bin/sh
# The recipe's linker strips already, and this machine's `strip` may not know the other CPU: at most a copy is wanted.
out='' input='' previous=''
for word; do
    case $previous in -o) out=$word ;; *) case $word in -*) ;; *) input=$word ;; esac ;; esac
    previous=$word
done
[ -z "$out" ] || [ "$out" = "$input" ] || exec cp -- "$input" "$out"
"""
