from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.errors import BadInput
from recipes.model import Expect, ImageSettings, Sample
from recipes.samples.reader import load, names, prebuilt
from recipes.support.workspace import Workspace

OURS = Workspace(Path(__file__).resolve().parents[2])
MAIN = "int main() {}\n"


def make(workspace: Workspace, settings: str = "", name: str = "app", **files: str) -> Sample:
    """A sample with these files (`main_cpp` is main.cpp) and this sample.toml, loaded by its name."""
    folder = workspace.samples / name
    folder.mkdir(parents=True)
    for file, text in (files or {"main_cpp": MAIN}).items():
        (folder / file.replace("_", ".")).write_text(text)
    if settings:
        (folder / "sample.toml").write_text(settings)
    return load(name, workspace)


def refusal(workspace: Workspace, settings: str, **files: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        make(workspace, settings, **files)
    return caught.value


def test_the_samples_of_this_project() -> None:
    """hello, hello-go and wordcount are there, and each says what it prints."""
    assert {"hello", "hello-go", "wordcount"} <= set(names(OURS))
    for name in names(OURS):
        assert (load(name, OURS).expect or Expect()).stdout, name
    wordcount = load("wordcount", OURS)
    assert wordcount.libraries == (("count", (Path("lib/count.cpp"), Path("lib/space.cpp"))),)
    assert wordcount.include == (Path("include"),)
    assert load("hello-go", OURS).language == "go"


@pytest.mark.parametrize("file", ["main.c", "main.cc", "main.cpp", "main.cxx", "main.c++"])
def test_the_language_is_guessed_from_the_files(file: str, workspace: Workspace) -> None:
    """Each usual suffix makes a C++ sample, with nothing but that file in it."""
    folder = workspace.samples / "app"
    folder.mkdir(parents=True)
    (folder / file).write_text(MAIN)
    (folder / "notes.txt").write_text("")
    sample = load("app", workspace)
    assert (sample.language, sample.sources) == ("c++", (Path(file),))


def test_go_is_guessed_and_its_tests_are_no_sources(workspace: Workspace) -> None:
    """A .go file makes a Go sample, also beside C; `_test.go` is not part of the program."""
    folder = workspace.samples / "app"
    folder.mkdir(parents=True)
    for file in ("main.go", "main_test.go", "glue.c"):
        (folder / file).write_text("package main\n")
    sample = load("app", workspace)
    assert (sample.language, sample.sources) == ("go", (Path("main.go"),))


def test_everything_that_can_be_set(workspace: Workspace) -> None:
    """Every key of sample.toml arrives in the value."""
    sample = make(
        workspace,
        """
        language = "c++"
        args = ["-x", "two words"]
        stdin = "in"
        expect = { stdout = "out", exit_code = 3 }
        default_recipe = "gcc-static"
        [image]
        user = "1000"
        workdir = "/data"
        cmd = ["serve"]
        ports = ["8080/tcp"]
        env = { B = "2", A = "1" }
        labels = { l = "x" }
        annotations = { a = "y" }
        """,
    )
    assert (sample.args, sample.stdin) == (("-x", "two words"), "in")
    assert (sample.expect, sample.default_recipe) == (Expect("out", 3), "gcc-static")
    assert sample.image == ImageSettings(
        user="1000",
        workdir="/data",
        cmd=("serve",),
        env=(("B", "2"), ("A", "1")),
        ports=("8080/tcp",),
        labels=(("l", "x"),),
        annotations=(("a", "y"),),
    )


@pytest.mark.parametrize(
    ("settings", "expect"),
    [
        ("", None),
        ("expect = {}", Expect()),
        ('expect = "out"', Expect("out")),
        ('expect = { contains = "out", exit_code = 1 }', Expect(exit_code=1, contains="out")),
    ],
)
def test_what_is_expected(workspace: Workspace, settings: str, expect: Expect | None) -> None:
    """Nothing, where sample.toml says nothing of it; with `expect` the exit code counts, too, and is 0 by default."""
    assert make(workspace, settings).expect == expect


def test_sources_may_be_patterns(workspace: Workspace) -> None:
    """A pattern is expanded in sorted order, each file once; files of a library are not compiled twice."""
    settings = 'sources = ["b.cpp", "*.cpp"]\n[libraries]\nc = ["c.cpp"]\n'
    sample = make(workspace, settings, c_cpp="", b_cpp="", a_cpp="")
    assert sample.sources == (Path("b.cpp"), Path("a.cpp"))


def test_a_file_name_may_look_like_a_pattern(workspace: Workspace) -> None:
    """A name with brackets means that file where it is there."""
    folder = workspace.samples / "app"
    folder.mkdir(parents=True)
    (folder / "[a].cpp").write_text(MAIN)
    (folder / "sample.toml").write_text('sources = ["[a].cpp"]')
    assert load("app", workspace).sources == (Path("[a].cpp"),)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ('expects = "x"', "unknown key 'expects'", "did you mean 'expect'?"),
        ('[image]\nuzer = "x"', "unknown key 'image.uzer'", "did you mean 'user'?"),
        ("[expect]\nexitcode = 1", "unknown key 'expect.exitcode'", "did you mean 'exit_code'?"),
        ("args = 'x'", "'args' has to be a list of strings", ""),
        ('args = ["a\\u0000b"]', "'args' has a string with a NUL", ""),
        ("args = [1]", "'args' has to be a list of strings", ""),
        ("stdin = 1", "'stdin' has to be a string", ""),
        ("expect = 1", "'expect' has to be a string or a table", ""),
        ("expect = { exit_code = true }", "'expect.exit_code' has to be a number 0 to 255", ""),
        ("expect = { exit_code = 256 }", "'expect.exit_code' has to be a number 0 to 255", ""),
        ("expect = { serves = 2, exit_code = 0 }", "'expect.exit_code' and serves exclude each other", ""),
        ("image = 'x'", "'image' has to be a table", ""),
        ("[image]\nenv = { A = 1 }", "'image.env' has to be a table of strings", ""),
        ("[image]\nworkdir = 'here'", "'image.workdir' has to be an absolute path", ""),
        ("language = 'rust'", "'language' is 'rust'", 'write "c++" (for C too) or "go"'),
        ("default_recipe = 'gcc-statik'", "not a recipe for c++", "did you mean 'gcc-static'?"),
        ("default_recipe = 'go-static'", "not a recipe for c++", "did you mean"),
        ("sources = ['gone.cpp']", "'sources' names 'gone.cpp', which matches no file", ""),
        ("[libraries]\nx = ['*.cc']", "'libraries.x' names '*.cc', which matches no file", ""),
        ("sources = ['**x']", "'sources' names '**x'", ""),
        ("sources = ['.']", "'sources' names '.', which matches no file", ""),
        (
            "[libraries]\na = ['main.cpp']",
            "'libraries' takes all sources, and none is left for the program",
            "add its own",
        ),
        ('build = "make"\noptions = ["a\\u0000b"]', "'options' has a string with a NUL", ""),
        ("language = 'go'\noptions = ['-ldflags=-X main.v=1']", "'options' has -ldflags", "[stamps]"),
        ("language = 'go'\noptions = ['--ldflags', '-s']", "'options' has -ldflags", "[stamps]"),
        ("sources = ['sample.toml']", "not a C or C++ source", ".cpp"),
        ("[libraries]\nx = 'y'", "'libraries.x' has to be a list of strings", ""),
        ("sources = ['../x.cpp']", "not inside the sample's folder", ""),
        ("include = ['/usr/include']", "not inside the sample's folder", ""),
        ("include = ['gone']", "not a folder here", ""),
        ("a = ", "is not valid TOML", ""),
        ("a = " + "[" * 5000, "is not valid TOML", ""),
    ],
)
def test_a_wrong_setting_is_named(settings: str, message: str, hint: str, workspace: Workspace) -> None:
    """The error names the file, the key and, where there is one, the nearest right word."""
    error = refusal(workspace, settings)
    assert message in error.message
    assert str(workspace.samples / "app/sample.toml") in error.message
    assert hint in error.hint


def test_an_unknown_sample_gets_the_nearest_name(workspace: Workspace) -> None:
    """A misspelt name is exit code 2 with the right one."""
    make(workspace, name="hello")
    with pytest.raises(BadInput, match="unknown sample 'helo'") as caught:
        load("helo", workspace)
    assert (caught.value.hint, caught.value.exit_code) == ("did you mean 'hello'?", 2)


@pytest.mark.parametrize("name", ["", "nowhere/at all", "\0", "x" * 5000])
def test_a_name_that_can_be_no_folder(name: str, workspace: Workspace) -> None:
    """Nothing, a missing path, a NUL and a name longer than a name can be are no samples, and no bugs either."""
    with pytest.raises(BadInput, match=r"unknown sample|no such file or folder"):
        load(name, workspace)


@pytest.mark.parametrize("path", ["", "nowhere/at all", "\0", "x" * 5000])
def test_a_path_that_can_be_no_program(path: str) -> None:
    """Nothing, a missing path, a NUL and a name longer than a name can be are bad input."""
    with pytest.raises(BadInput, match=r"no such file|cannot access"):
        prebuilt(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may search any folder")
def test_a_program_in_a_folder_that_may_not_be_searched(tmp_path: Path) -> None:
    """The error says why it cannot be looked at."""
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(BadInput, match="Permission denied"):
        prebuilt(str(tmp_path / "closed/program"))


def test_an_empty_sample_is_an_error(workspace: Workspace) -> None:
    """A folder with nothing to build in it says so."""
    (workspace.samples / "empty").mkdir(parents=True)
    with pytest.raises(BadInput, match="sample 'empty' has no sources"):
        load("empty", workspace)


def test_a_path_is_a_sample_too(workspace: Workspace, tmp_path: Path) -> None:
    """Any folder can be given by its path; it is called after the folder."""
    folder = tmp_path / "else where"
    folder.mkdir()
    (folder / "main.cpp").write_text(MAIN)
    assert load(str(folder), workspace).name == "else where"


def test_a_name_under_samples_wins_over_a_path(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hello` means samples/hello, wherever one stands."""
    make(workspace, name="hello")
    monkeypatch.chdir(workspace.root)
    os.mkdir("hello")
    assert load("hello", workspace).folder == workspace.samples / "hello"


def test_a_folder_of_samples_that_cannot_be_read(workspace: Workspace) -> None:
    """That is an error, and not a project without samples."""
    workspace.samples.write_text("")
    with pytest.raises(BadInput, match=r"cannot read .*samples': Not a directory"):
        names(workspace)


def test_names_are_the_folders(workspace: Workspace) -> None:
    """Files and hidden folders below samples/ are not listed; a project without samples has none."""
    assert names(workspace) == ()
    for name in ("b", "a", ".hidden", "__pycache__"):
        (workspace.samples / name).mkdir(parents=True)
    (workspace.samples / "README").write_text("")
    assert names(workspace) == ("a", "b")
