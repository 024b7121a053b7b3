"""A failed build of a Go program ends with the reason."""

from __future__ import annotations

import pytest

from recipes.compile.gofailure import go_failed

DOWNLOADS = "go: downloading example.org/lib v1.0.0\ngo: downloading example.org/other v1.2.0\n"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            "# example.org/app\n./main.go:3:15: undefined: gone\n./main.go:4:1: too\n",
            "./main.go:3:15: undefined: gone",
        ),
        (
            "go: example.org/app@v1.0.0 requires\n\texample.org/lib@v0.0.0: reading a proxy: 404 Not Found\n",
            "example.org/app@v1.0.0 requires example.org/lib@v0.0.0: reading a proxy: 404 Not Found",
        ),
        ("package a\n\timports b\n\timports c: no such package\n", "package a imports b imports c: no such package"),
    ],
    ids=["the-compiler", "a-module", "an-import"],
)
def test_the_reason_is_the_message(output: str, why: str) -> None:
    """What is named is the first thing that is wrong, with the lines that go on; all else but progress stands above."""
    error = go_failed("app: go build", DOWNLOADS + output)
    assert error.message == f"app: go build failed: {why}"
    assert error.output == output.rstrip()
    assert error.hint == ""


def test_a_newer_go_is_asked_for() -> None:
    """A module that needs a later Go says which, and the hint repeats it in plain words."""
    error = go_failed("app: go install", "go: go.mod requires go >= 1.99.1 (running go 1.26.8; GOTOOLCHAIN=local)\n")
    assert error.hint == "install Go 1.99.1 or a later one"


@pytest.mark.parametrize(
    "output",
    [
        "go: cannot load module gone listed in go.work file: open gone/go.mod: no such file or directory\n",
        "main.go:2:8: example.org/lib@v0.0.0: replacement directory ./gone does not exist\n",
        "main.go:2:8: pattern gone.txt: no matching files found\n",
    ],
    ids=["go.work", "replace", "neither"],
)
def test_folders_that_only_the_repository_has(output: str) -> None:
    """An unpacked module lacks what is a module of its own: a clone has it, and the proxy has a version of it."""
    assert ("build a clone" in go_failed("app: go build", output).hint) == ("pattern" not in output)


def test_a_library_in_c() -> None:
    """The compiler that knows no library of this machine leads to the way that does."""
    error = go_failed("app: go build", "# example.org/it\nit.go:3:10: fatal error: 'it.h' file not found\n")
    assert error.hint.startswith("it.h is of a library in C, and this recipe uses none of this machine's: `invoke smal")
    error = go_failed("app: go build", "# example.org/it\nit.go:3:10: fatal error: it.h: No such file or directory\n")
    assert error.hint.startswith("it.h")


@pytest.mark.parametrize("output", ["", DOWNLOADS, "# example.org/app\n"])
def test_nothing_said_is_no_reason(output: str) -> None:
    """A command that was killed may have said nothing at all."""
    assert go_failed("app: go build", output).message == "app: go build failed"
