from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.compile.build import build, smaller
from recipes.compile.recipe import RECIPES
from recipes.errors import CommandFailed
from recipes.model import Command, Platform, Sample
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.compile.programs import HELLO, build_command, make, output, write

FILES = {
    "main.cpp": '#include <iostream>\n#include "both.h"\n#include "mine.h"\nint other();\n'
    "int main() { std::cout << BOTH << MINE << other(); }\n",
    "other.cpp": '#include "both.h"\nint other() { return BOTH; }\n',
    "both.h": "#define BOTH 1\n",
    "mine.h": "#define MINE 2\n",
}


@pytest.fixture
def sample(workspace: Workspace) -> Sample:
    return write(workspace, FILES)


def steps(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was run since the last call: the compiled sources, and `link`."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("(cd ")]
    return [line.partition(" -c ./")[2].partition(" ")[0] or "link" for line in lines]


def rebuilt(sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The steps that a build runs now, and what the program then prints."""
    capsys.readouterr()
    binary = make(sample, "gcc-dynamic", workspace)
    ran = steps(capsys)
    assert binary.build.cached == (ran == [])
    return ran, output(binary)


def test_only_what_must_be_is_rebuilt(sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed header rebuilds the objects that include it, and the link; a changed source itself and the link."""
    assert rebuilt(sample, workspace, capsys) == (["main.cpp", "other.cpp", "link"], "121")
    assert rebuilt(sample, workspace, capsys) == ([], "121")
    (sample.folder / "mine.h").write_text("#define MINE 3\n")
    assert rebuilt(sample, workspace, capsys) == (["main.cpp", "link"], "131")
    (sample.folder / "both.h").write_text("#define BOTH 4\n")
    assert rebuilt(sample, workspace, capsys) == (["main.cpp", "other.cpp", "link"], "434")
    (sample.folder / "other.cpp").write_text("int other() { return 5; }\n")
    assert rebuilt(sample, workspace, capsys) == (["other.cpp", "link"], "435")


def test_a_touched_file_rebuilds_nothing(
    sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """New times, a new inode and a new mode with the old content are no change."""
    rebuilt(sample, workspace, capsys)
    os.utime(sample.folder / "both.h")
    (sample.folder / "copy").write_text(FILES["main.cpp"])
    (sample.folder / "copy").rename(sample.folder / "main.cpp")
    (sample.folder / "mine.h").chmod(0o600)
    assert rebuilt(sample, workspace, capsys) == ([], "121")


def test_an_edit_that_hides_is_found(sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Other content of the same size, with the old modification time put back, is a change."""
    rebuilt(sample, workspace, capsys)
    header = sample.folder / "both.h"
    before = header.stat()
    header.write_text("#define BOTH 7\n")
    os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rebuilt(sample, workspace, capsys)[1] == "727"


def test_a_comment_relinks_nothing(sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the object comes out the same, there is nothing to link."""
    rebuilt(sample, workspace, capsys)
    with (sample.folder / "other.cpp").open("a") as file:
        file.write("// a remark\n")
    capsys.readouterr()
    make(sample, "gcc-dynamic", workspace)
    assert steps(capsys) == ["other.cpp"]
    assert rebuilt(sample, workspace, capsys) == ([], "121")


def test_a_new_header_that_comes_first_is_seen(
    sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A header that shadows another one counts, though no file that was read before has changed."""
    files = {
        "main.cpp": '#include "x.h"\n#include <iostream>\nint main() { std::cout << X; }\n',
        "second/x.h": "#define X 2\n",
        "first/y.h": "",
        "sample.toml": 'include = ["first", "second"]\n',
    }
    sample = write(workspace, files, "shadow")
    assert rebuilt(sample, workspace, capsys)[1] == "2"
    (sample.folder / "first/x.h").write_text("#define X 1\n")
    assert rebuilt(sample, workspace, capsys)[1] == "1"


INCBIN = """\
#include <stdio.h>
__asm__(".section .rodata\\n.global blob\\nblob:\\n%s\\n.byte 0\\n.text\\n");
extern const char blob[];
int main(void) { fputs(blob, stdout); return 0; }
"""


@pytest.mark.parametrize(("first", "header"), [("first", "conf"), (".first", "conf.h")])
def test_what_shadows_may_look_like_no_header(first: str, header: str, workspace: Workspace) -> None:
    """A header without a suffix, or in a hidden folder, counts where that folder is searched."""
    files = {
        "main.cpp": f"#include <iostream>\n#include <{header}>\nint main() {{ std::cout << X; }}\n",
        f"second/{header}": "#define X 2\n",
        f"{first}/other.h": "",
        "sample.toml": f'include = ["{first}", "second"]\n',
    }
    sample = write(workspace, files)
    assert output(make(sample, "gcc-dynamic", workspace)) == "2"
    (sample.folder / first / header).write_text("#define X 1\n")
    assert output(make(sample, "gcc-dynamic", workspace)) == "1"


def test_what_is_built_is_no_header(workspace: Workspace) -> None:
    """Where the project's own folder is the sample, what lies in its build folder changes nothing."""
    workspace.root.joinpath("main.cpp").write_text(HELLO)
    workspace.root.joinpath("sample.toml").write_text('include = ["."]\n')
    sample = load(str(workspace.root), workspace)
    make(sample, "gcc-dynamic", workspace)
    workspace.build.joinpath("made.h").touch()
    assert make(sample, "gcc-dynamic", workspace).build.cached


@pytest.mark.parametrize("directive", ['.incbin \\"data\\"', '.include \\"data\\"'])
def test_what_the_assembler_reads_counts(directive: str, workspace: Workspace) -> None:
    """A file that assembly in a source takes in, which no -MD lists, is an input."""
    contents = ("one", "two") if "incbin" in directive else ('.ascii "one"\n', '.ascii "two"\n')
    sample = write(workspace, {"main.c": INCBIN % directive, "data": contents[0]})
    assert output(make(sample, "gcc-static", workspace)) == "one"
    assert make(sample, "gcc-static", workspace).build.cached
    (sample.folder / "data").write_text(contents[1])
    assert output(make(sample, "gcc-static", workspace)) == "two"


def test_a_header_that_is_gone_is_an_error(sample: Sample, workspace: Workspace) -> None:
    """A cached result does not hide that the sample no longer compiles."""
    make(sample, "gcc-dynamic", workspace)
    (sample.folder / "mine.h").unlink()
    with pytest.raises(CommandFailed) as caught:
        make(sample, "gcc-dynamic", workspace)
    assert "mine.h" in caught.value.output


def test_an_archive_forgets_what_was_taken_out(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is no longer in a library is no longer in its archive."""
    files = {
        "main.cpp": "int x(); int main() { return x(); }\n",
        "lib/x.cpp": "int x() { return 0; }\n",
        "lib/y.cpp": "int y() { return 1; }\n",
        "sample.toml": '[libraries]\nl = ["lib/*.cpp"]\n',
    }
    make(write(workspace, files), "gcc-dynamic", workspace)
    (workspace.samples / "app/lib/x.cpp").unlink()
    with pytest.raises(CommandFailed) as caught:
        make(write(workspace, {}), "gcc-dynamic", workspace)
    assert "undefined reference to `x()'" in caught.value.output


def test_changed_during_the_build(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was edited while the compiler ran is compiled again the next time."""
    sample = write(workspace, {"main.cpp": HELLO})
    source = sample.folder / "main.cpp"
    wrapper = workspace.root / "bin"
    wrapper.mkdir()
    real = shell.which("g++")
    # A compiler after whose work somebody edits the file, before anyone has looked at what was read.
    edit = f"sed -i s/Hello/Later/ '{source}'"
    (wrapper / "g++").write_text(f'#!/bin/sh\n"{real}" "$@" || exit\ncase " $* " in *" -c "*) {edit};; esac\n')
    (wrapper / "g++").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{wrapper}:{os.environ['PATH']}")
        assert output(make(sample, "gcc-dynamic", workspace)) == "Hello\n"
        assert output(make(sample, "gcc-dynamic", workspace)) == "Later\n"


def test_another_compiler_builds_anew(
    sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When g++ on PATH is another program, nothing that the first one made is used."""
    rebuilt(sample, workspace, capsys)
    wrapper = workspace.root / "bin"
    wrapper.mkdir()
    (wrapper / "g++").write_text(f'#!/bin/sh\nexec "{shell.which("g++")}" "$@"\n')
    (wrapper / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper}:{os.environ['PATH']}")
    assert rebuilt(sample, workspace, capsys)[0] == ["main.cpp", "other.cpp", "link"]


def test_another_linker_builds_anew(
    sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The linker that g++ finds on PATH is a part of it, also one that comes first only later."""
    if os.path.isabs(shell.check(Command(("g++", "-print-prog-name=ld"))).stdout.decode().strip()):
        pytest.skip("this g++ knows where its linker is")
    wrapper = workspace.root / "bin"
    wrapper.mkdir()
    monkeypatch.setenv("PATH", f"{wrapper}:{os.environ['PATH']}")
    rebuilt(sample, workspace, capsys)
    (wrapper / "ld").write_text(f'#!/bin/sh\nexec "{shell.which("ld")}" "$@"\n')
    (wrapper / "ld").chmod(0o755)
    assert rebuilt(sample, workspace, capsys)[0] == ["main.cpp", "other.cpp", "link"]


def test_a_damaged_record_is_no_error(sample: Sample, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Rubbish, another version or half a record only mean that it is built again."""
    rebuilt(sample, workspace, capsys)
    (record,) = workspace.build.rglob("record.json")
    whole = record.read_bytes()
    for damaged in (b"", b"[]", b"\xff", whole[: len(whole) // 2], whole.replace(b'"steps": {', b'"steps": {"x": 1, ')):
        record.write_bytes(damaged)
        assert rebuilt(sample, workspace, capsys) == (["main.cpp", "other.cpp", "link"], "121")


@pytest.mark.parametrize("victim", ["app", "app.map"])
def test_a_kept_file_that_is_gone_is_made_again(victim: str, sample: Sample, workspace: Workspace) -> None:
    """Whoever deletes from build/cache or build/work only causes work."""
    before = make(sample, "gcc-dynamic", workspace)
    for path in workspace.build.rglob(victim):
        if path.is_file():
            path.unlink()
    after = make(sample, "gcc-dynamic", workspace)
    assert after.sha256 == before.sha256
    assert (after.path.parent / victim).is_file()


def test_a_kept_file_that_was_cut_short_is_made_again(sample: Sample, workspace: Workspace) -> None:
    """A program in the cache that lost its end is not handed out."""
    before = make(sample, "gcc-dynamic", workspace)
    os.truncate(before.path, 100)
    assert output(make(sample, "gcc-dynamic", workspace)) == "121"


def test_a_tampered_object_is_not_linked(sample: Sample, workspace: Workspace) -> None:
    """Objects in build/work are checked before they are used again."""
    make(sample, "gcc-dynamic", workspace)
    (target,) = workspace.build.rglob("other.cpp.o")
    target.write_bytes(b"not an object")
    (sample.folder / "mine.h").write_text("#define MINE 9\n")
    assert output(make(sample, "gcc-dynamic", workspace)) == "191"


def test_every_file_of_a_go_module_counts(workspace: Workspace) -> None:
    """A package, an embedded file, a new file and go.mod itself are all inputs."""
    files = {
        "go.mod": "module example.org/app\n\ngo 1.21\n",
        "main.go": 'package main\n\nimport (\n\t_ "embed"\n\t"fmt"\n\n\t"example.org/app/part"\n)\n\n'
        "//go:embed data.txt\nvar data string\n\nfunc main() { fmt.Print(data, part.Name, extra) }\n",
        "extra.go": "package main\n\nvar extra = 1\n",
        "part/part.go": 'package part\n\nconst Name = "n"\n',
        "data.txt": "d",
    }
    sample = write(workspace, files)

    def printed() -> str:
        return output(make(sample, "go-static", workspace))

    assert printed() == "dn1" or printed() == "dn 1"
    first = printed()
    assert make(sample, "go-static", workspace).build.cached
    (sample.folder / "data.txt").write_text("D")
    assert printed() == first.replace("d", "D")
    (sample.folder / "part/part.go").write_text('package part\n\nconst Name = "N"\n')
    assert printed() == first.replace("dn", "DN")
    (sample.folder / "new.go").write_text("package main\n\nfunc init() { extra = 2 }\n")
    assert printed() == first.replace("dn", "DN").replace("1", "2")


@pytest.mark.parametrize("absolute", [False, True])
def test_a_go_module_nearby_counts(absolute: bool, workspace: Workspace) -> None:
    """A module that go.mod replaces by a folder beside it, or anywhere, is an input too."""
    lib = workspace.samples / "lib"
    lib.mkdir(parents=True)
    (lib / "go.mod").write_text("module example.org/lib\n\ngo 1.21\n")
    (lib / "lib.go").write_text("package lib\n\nconst Value = 1\n")
    files = {
        "go.mod": "module example.org/app\n\ngo 1.21\n\nrequire example.org/lib v0.0.0\n\n"
        f"replace example.org/lib => {lib if absolute else '../lib'}\n",
        "main.go": 'package main\n\nimport "example.org/lib"\n\nfunc main() { print(lib.Value) }\n',
    }
    sample = write(workspace, files)
    first = make(sample, "go-static", workspace)
    (lib / "lib.go").write_text("package lib\n\nconst Value = 2\n")
    assert make(sample, "go-static", workspace).sha256 != first.sha256


LIB_GO = "package lib\n\nconst Value = %d\n"


def test_a_go_package_behind_a_link_counts(workspace: Workspace) -> None:
    """A package's folder may be a link, also one that leads elsewhere later; a link back up is no way into a circle."""
    first, second = workspace.root / "first", workspace.root / "second"
    for number, folder in enumerate((first, second)):
        folder.mkdir()
        (folder / "lib.go").write_text(LIB_GO % number)
    files = {
        "go.mod": "module example.org/app\n\ngo 1.21\n",
        "main.go": 'package main\n\nimport "example.org/app/lib"\n\nfunc main() { println(lib.Value) }\n',
    }
    sample = write(workspace, files)
    (sample.folder / "lib").symlink_to(first)
    (sample.folder / "up").symlink_to("..")
    digests = [make(sample, "go-static", workspace).sha256]
    assert make(sample, "go-static", workspace).build.cached
    (first / "lib.go").write_text(LIB_GO % 2)
    digests.append(make(sample, "go-static", workspace).sha256)
    (sample.folder / "lib").unlink()
    (sample.folder / "lib").symlink_to(second)
    digests.append(make(sample, "go-static", workspace).sha256)
    assert len(set(digests)) == 3


def test_a_go_sample_that_is_a_link_counts(workspace: Workspace) -> None:
    """Where the sample's folder is a link into a module, that module is the input, as it is for go."""
    module = workspace.root / "module"
    for name, text in {
        "go.mod": "module example.org/app\n\ngo 1.21\n",
        "cmd/main.go": 'package main\n\nimport "example.org/app/lib"\n\nfunc main() { println(lib.Value) }\n',
        "lib/lib.go": LIB_GO % 1,
    }.items():
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text(text)
    workspace.samples.mkdir()
    (workspace.samples / "app").symlink_to(module / "cmd")
    sample = load("app", workspace)
    first = make(sample, "go-static", workspace)
    (module / "lib/lib.go").write_text(LIB_GO % 2)
    assert make(sample, "go-static", workspace).sha256 != first.sha256


def test_whatever_may_be_embedded_counts(workspace: Workspace) -> None:
    """A file in node_modules is as good as any other."""
    files = {
        "go.mod": "module example.org/app\n\ngo 1.21\n",
        "main.go": 'package main\n\nimport _ "embed"\n\n//go:embed node_modules/a.txt\nvar data string\n\n'
        "func main() { print(data) }\n",
        "node_modules/a.txt": "one",
    }
    sample = write(workspace, files)
    first = make(sample, "go-static", workspace)
    (sample.folder / "node_modules/a.txt").write_text("two")
    assert make(sample, "go-static", workspace).sha256 != first.sha256


def test_nothing_to_do_starts_nothing(sample: Sample, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second build starts no process at all, in a new process too: it works without any program on PATH but g++."""
    make(sample, "gcc-dynamic", workspace)

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError(f"started {args}")

    monkeypatch.setattr(shell, "run", refuse)
    assert build(sample, RECIPES["gcc-dynamic"], Platform.host(), workspace).build.cached


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_project_that_is_built_can_be_used(sample: Sample, workspace: Workspace) -> None:
    """Where nothing has to be written, nothing is."""
    make(sample, "gcc-dynamic", workspace)
    folders = [Path(parent) for parent, _, _ in os.walk(workspace.root)]
    for folder in folders:
        folder.chmod(0o555)
    try:
        binary = make(sample, "gcc-dynamic", workspace)
        assert binary.build.cached
        assert list(smaller(binary, workspace)) == []
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_process_of_its_own_finds_the_result(sample: Sample, workspace: Workspace) -> None:
    """The result is kept on disk, not in memory."""
    binary = make(sample, "gcc-dynamic", workspace)
    done = shell.check(build_command(workspace, "gcc-dynamic", "app"))
    assert done.stdout.decode() == f"{binary.sha256} {binary.path}\n"
    assert done.stderr == b""
