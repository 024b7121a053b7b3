"""Tests of recipes/compile/systems/extras.py: the switches for tests and documentation that projects declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compile.systems import extras


def test_cmake(tmp_path: Path) -> None:
    """Options whose name ends in such a word; not what only contains one, and not what turns something off."""
    (tmp_path / "CMakeLists.txt").write_text(
        'option(APP_BUILD_TESTS "x" ON)\n  option( WITH_DOCS "x" ON)\ncmake_dependent_option(EXAMPLES "x" ON "A" OFF)\n'
        'set(APP_BENCHMARKS ON CACHE BOOL "x")\noption(BUILD_TESTING "set anyway" ON)\noption(TESTER "x" ON)\n'
        'option(WITHOUT_TESTS "x" ON)\noption(ENABLE_MANUAL "built into the program" ON)\n# option(OLD_TESTS "x")\n'
    )
    assert extras.of_cmake(tmp_path) == ("APP_BUILD_TESTS", "WITH_DOCS", "EXAMPLES", "APP_BENCHMARKS")


def test_meson(tmp_path: Path) -> None:
    """A boolean is false, a feature disabled, a choice what it offers; an array has nothing that turns it off."""
    (tmp_path / "meson_options.txt").write_text(
        "option('tests', type: 'boolean', value: true, description: 'build (all) tests')\n"
        "option('docs', type : 'feature', value : 'auto')\n"
        "option('man-pages', type: 'combo', choices: ['auto', 'enabled', 'no'], value: 'auto')\n"
        "option('gtk_doc', type: 'array', choices: ['a', 'b'])\n# option('examples', type: 'boolean')\n"
        "option('tls', type: 'boolean')\noption('doxygen', value: true)\n"
    )
    assert list(extras.of_meson(tmp_path)) == [("tests", "false"), ("docs", "disabled"), ("man-pages", "no")]


@pytest.mark.parametrize("name", ["configure", "configure.ac", "configure.in"])
def test_configure(name: str, tmp_path: Path) -> None:
    """What `configure --help` would list; before there is a script, what it will be made of."""
    if name == "configure":
        text = "  --disable-docs  no docs\n  --enable-tests[=x]  x\n  --with-doxygen  x\n  --enable-doctor  x\n"
        (tmp_path / name).write_text(f"#!/bin/sh\n# Autoconf\ncat <<_EOF\n{text}_EOF\n")
    else:
        text = "AC_ARG_ENABLE([docs], [x])\nAC_ARG_ENABLE(tests,[x])\nAC_ARG_WITH([doxygen], [x])\n"
        (tmp_path / name).write_text(text)
    assert extras.of_configure(tmp_path) == ("--disable-docs", "--disable-tests", "--without-doxygen")


def test_a_project_without_switches(tmp_path: Path) -> None:
    """Nothing is said to a build system that it has not declared."""
    assert (extras.of_cmake(tmp_path), list(extras.of_meson(tmp_path)), extras.of_configure(tmp_path)) == ((), [], ())
