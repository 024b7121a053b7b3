"""Tests of recipes/verdict/locales.py: which locales glibc finds in a root, and what a program does without them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from recipes.model import Environment, Level
from tests.compilers import Compilers
from tests.need import need
from tests.verdict import programs
from tests.verdict.test_libraries import with_libraries
from tests.verdict.trial import Trial

UTF8 = Path("/usr/lib/locale/C.utf8")


def output(trial: Trial, env: Environment = ()) -> str:
    """What it prints, without the variables of whoever runs the tests."""
    return trial.output(env=(("LANG", ""), ("LC_ALL", ""), ("LC_CTYPE", ""), *env))


def lang(name: str) -> Environment:
    return (("LANG", name),)


def add_utf8(trial: Trial, folder: str = "/usr/lib/locale/C.utf8") -> Trial:
    need(UTF8.is_dir(), "the locale C.UTF-8")
    for file in UTF8.rglob("*"):
        if file.is_file():
            trial.add(f"{folder}/{file.relative_to(UTF8)}", file.read_bytes())
    return trial


@pytest.mark.parametrize("variable", ["LC_ALL", "LC_CTYPE", "LANG"])
def test_a_locale_that_the_image_names_and_lacks(compilers: Compilers, tmp_path: Path, variable: str) -> None:
    """Not even C.UTF-8 is inside glibc: the program stays with ASCII; the locale's folder answers it."""
    env = ((variable, "C.UTF-8"),)
    trial = with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_LOCALE)))
    finding = trial.predicted("c-locale", env=env)
    assert finding.level is Level.NEEDS_DATA
    assert finding.evidence == f"{variable}=C.UTF-8 and a call of setlocale, and no such locale in the image"
    assert "setlocale returns NULL" in finding.message
    assert output(trial, env) == "setlocale returns NULL: ANSI_X3.4-1968\n"
    add_utf8(trial)
    assert trial.codes(env=env) == set()
    assert output(trial, env) == "UTF-8\n"


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ((), True),
        (lang("C"), True),
        (lang("POSIX"), True),
        (lang("C.UTF-8"), True),
        (lang("C.utf8"), True),
        (lang("C.ISO-8859-1"), False),
        (lang("en_US.UTF-8"), False),
        ((("LC_ALL", "C"), ("LANG", "en_US.UTF-8")), True),
        ((("LC_ALL", ""), ("LANG", "en_US.UTF-8")), False),
        ((*lang("C.UTF-8"), ("LOCPATH", "/none")), True),
        ((*lang("C.UTF-8"), ("LOCPATH", ":")), True),
        ((*lang("en_US.UTF-8"), ("LOCPATH", "/none:/mine")), True),
    ],
)
def test_what_glibc_finds(compilers: Compilers, tmp_path: Path, env: Environment, found: bool) -> None:
    """The rule says what setlocale does, in a root with C.UTF-8, and another name for it elsewhere."""
    trial = add_utf8(with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_LOCALE))))
    add_utf8(trial, "/mine/en_US.utf8")
    assert ("NULL" not in output(trial, env)) is found
    assert ("c-locale" not in trial.codes(env=env)) is found


@pytest.mark.parametrize("flags", [(), ("-static",)])
def test_locales_that_the_program_names(compilers: Compilers, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """A program with names of UTF-8 locales, static or dynamic: one of them is enough; only possible, as names are."""
    trial = with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_UTF8, *flags)))
    finding = trial.predicted("c-locale")
    assert finding.level is Level.POSSIBLE
    assert finding.evidence == "it names the locale C.UTF-8 or en_US.UTF-8, which the image lacks"
    assert output(trial) == "ANSI_X3.4-1968\n"
    add_utf8(trial)
    assert trial.codes() == set()
    assert output(trial) == "UTF-8\n"


def test_calling_setlocale_says_nothing(compilers: Compilers, tmp_path: Path) -> None:
    """Nearly every program does, and most only print other letters then."""
    for number, flags in enumerate(((), ("-static",))):
        trial = with_libraries(Trial(tmp_path / str(number), compilers.c(programs.C_LOCALE, *flags)))
        assert trial.codes() == set()
        assert output(trial, (("LC_ALL", "C"),)) == "ANSI_X3.4-1968\n"


@pytest.mark.slow
def test_musl_is_always_utf8(compilers: Compilers, tmp_path: Path) -> None:
    """It reads no locales."""
    for source in (programs.C_LOCALE, programs.C_UTF8):
        trial = Trial(tmp_path / "root", compilers.zig_small(source))
        assert trial.codes(env=lang("en_US.UTF-8")) == set()
        assert output(trial, lang("en_US.UTF-8")) == "UTF-8\n"


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_archive_of_locales(compilers: Compilers, tmp_path: Path, order: str) -> None:
    """Names in glibc's archive, as localedef writes them; a damaged archive has none."""
    names = b"C.utf8\0de_DE.utf8\0"
    archive = struct.pack(f"{order}7I", 0xDE020109, 0, 56, 2, 2, 64, len(names)) + bytes(36) + names
    trial = Trial(tmp_path / "root", compilers.c(programs.C_LOCALE))
    trial.add("/usr/lib/locale/locale-archive", archive)
    assert "c-locale" not in trial.codes(env=lang("de_DE.UTF-8"))
    assert "c-locale" in trial.codes(env=lang("fr_FR.UTF-8"))
    assert "c-locale" in trial.codes(env=(*lang("de_DE.UTF-8"), ("LOCPATH", "/mine")))  # then glibc leaves it out
    for damaged in (archive[:20], b"\xff" * 100, archive[:70]):
        trial.add("/usr/lib/locale/locale-archive", damaged)
        assert "c-locale" in trial.codes(env=lang("de_DE.UTF-8"))


@pytest.mark.parametrize("name", ["/usr/lib/gconv", "/usr/lib64/gconv", "/usr/lib/arm-linux-gnueabihf/gconv"])
def test_each_folder_of_converters(compilers: Compilers, tmp_path: Path, name: str) -> None:
    """A folder that holds something, of whatever CPU, answers iconv_open; musl needs none."""
    program = compilers.c(programs.C_ICONV)
    trial = Trial(tmp_path / "root", program).add(f"{name}/")
    assert trial.predicted("iconv-modules").level is Level.POSSIBLE
    assert "iconv-modules" not in trial.add(f"{name}/UTF-16.so").codes()


def test_iostream_calls_iconv_for_everybody(compilers: Compilers, tmp_path: Path) -> None:
    """libstdc++ imports it in every C++ program."""
    trial = with_libraries(Trial(tmp_path / "root", compilers.cpp(programs.HELLO_CPP)))
    assert "iconv-modules" not in trial.codes()
