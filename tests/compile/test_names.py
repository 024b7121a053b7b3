from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compile.paths import slug
from recipes.errors import CommandFailed
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from tests.compile.programs import make, output, write
from tests.sharing import know_compilers

WEIRD = [
    "two words",
    "it's",
    'a "quote"',
    "new\nline",
    "-Wall",
    "--",
    "$HOME",
    "a;b&c|d",
    "*",
    "ünï",
    "a,b=c",
    "#x",
    "%s",
]
RECIPES = ["gcc-dynamic", "gcc-static-small", "zig-static-small"]


def weird_sample(folder: Path, name: str) -> None:
    """Folder, source, header and library with this name in their names."""
    (folder / name).mkdir(parents=True)
    (folder / f"{name}.cpp").write_text(
        f'#include <cstdio>\n#include "{name}.h"\nint f();\nint main() {{ std::printf("%d", VALUE + f()); }}\n'
        if not set(name) & set('"\n')
        else '#include <cstdio>\nint f();\nint main() { std::printf("%d", 41 + f()); }\n'
    )
    (folder / f"{name}.h").write_text("#define VALUE 41\n")
    (folder / name / "f.cpp").write_text("int f() { return 1; }\n")
    quoted = "'''" + name + "'''" if '"' in name else '"' + name.replace("\n", "\\n") + '"'
    path = quoted[:-3] + "/f.cpp'''" if '"' in name else quoted[:-1] + '/f.cpp"'
    key = quoted if '"' not in name else "'" + name + "'"
    (folder / "sample.toml").write_text(f"[libraries]\n{key} = [{path}]\n")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", WEIRD)
def test_weird_names_everywhere(name: str, recipe: str, tmp_path: Path, probed: Path) -> None:
    """The project's folder, the sample, its files and its library may have any name."""
    workspace = Workspace(tmp_path / name)
    know_compilers(workspace.root, probed)
    weird_sample(workspace.samples / name, name)
    sample = load(name, workspace)
    assert output(make(sample, recipe, workspace, jobs=2)) == "42"
    assert make(sample, recipe, workspace).build.cached


@pytest.mark.parametrize("name", [name for name in WEIRD if "\n" not in name])
def test_weird_names_with_go(name: str, tmp_path: Path) -> None:
    """The folders may have any name; Go itself restricts the names of files."""
    workspace = Workspace(tmp_path / name)
    folder = workspace.samples / name
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module example.org/app\n\ngo 1.21\n")
    (folder / "main.go").write_text("package main\n\nfunc main() { println(42) }\n")
    binary = make(load(name, workspace), "go-static", workspace)
    assert binary.size > 0


def test_a_newline_is_too_much_for_go(tmp_path: Path) -> None:
    """Go itself refuses a folder with a newline in its name: that is its own message, whole."""
    workspace = Workspace(tmp_path)
    with pytest.raises(CommandFailed) as caught:
        make(write(workspace, {"go.mod": "module x\n", "main.go": "package main\n"}, "a\nb"), "go-static", workspace)
    assert "invalid package directory" in caught.value.output


def test_a_header_whose_name_a_depfile_cannot_hold(tmp_path: Path) -> None:
    """A changed header in a folder with a newline in its name is noticed."""
    workspace = Workspace(tmp_path)
    files = {
        "new\nline/x.h": "#define VALUE 1\n",
        "main.cpp": '#include "x.h"\n#include <cstdio>\nint main() { std::printf("%d", VALUE); }\n',
        "sample.toml": 'include = ["new\\nline"]\n',
    }
    sample = write(workspace, files)
    assert output(make(sample, "gcc-dynamic", workspace)) == "1"
    (sample.folder / "new\nline/x.h").write_text("#define VALUE 2\n")
    assert output(make(sample, "gcc-dynamic", workspace)) == "2"


def test_different_names_never_share_a_place() -> None:
    """Names that differ only in what a plain name cannot show have different slugs, and each is a plain name."""
    names = ["a b", "a_b", "a/b", "a\nb", "-a_b", "a" * 300, "a" * 301, "", ".", "..", "_"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(text == Path(text).name and len(text) < 100 and not text.startswith(("-", ".")) for text in slugs)
