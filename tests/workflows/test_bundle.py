"""Tests of `invoke bundle`: exactly what a dynamic program loads, from any root, judged and run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadInput
from recipes.model import BaseImage, Command, Platform, RunStatus, SizeRow, Status
from recipes.pipeline import Project, open_root, package_and_run, take_program
from recipes.rootfs.root import RootFs
from recipes.run.docker import DockerEngine
from recipes.run.local import LocalEngine
from recipes.samples.reader import prebuilt
from recipes.support import shell
from recipes.support.workspace import Workspace
from recipes.workflows import bundle
from tests.cli import call, error
from tests.fixtures_debian import Assembled
from tests.need import need, need_tool
from tests.schemas import read

pytestmark = pytest.mark.slow

GREET = 'int number(void);\n#include <stdio.h>\nint main(void) { printf("%d\\n", number()); return 0; }\n'
LIBRARY = "int number(void) { return 42; }\n"
PLUGIN = """
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *plugin = dlopen("libplugin.so.1", RTLD_NOW);
    if (plugin == NULL) { puts("no plugin"); return 3; }
    int (*number)(void) = (int (*)(void)) dlsym(plugin, "number");
    printf("plugin %d\\n", number());
    return 0;
}
"""


def compile_to(out: Path, source: str, *flags: str, compiler: tuple[str, ...] = ()) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    (file := out.with_name(f"{out.name}.c")).write_text(source)
    argv = (*(compiler or (need_tool("gcc"),)), "-O1", "-o", str(out), str(file), *flags)
    shell.check(Command(argv), timeout=300)
    file.unlink()
    return out


def zig(*options: str) -> tuple[str, ...]:
    from recipes.compile.toolchains import TOOLCHAINS

    path = TOOLCHAINS["zig"].find(Platform.host())
    need(path, "zig")
    return (str(path), "cc", "-fno-sanitize=undefined", *options)  # zig would build the sanitizer's library first


def bundled(
    project: Project, file: Path, source: str, *named: str, along: tuple[str, ...] = (), args: tuple[str, ...] = ()
) -> tuple[BaseImage, SizeRow]:
    sample = prebuilt(str(file), args, root=bundle.folder_of(project, source) or Path("/"))
    program = take_program(project, sample, Platform.host())
    base = bundle.make(project, program, bundle.Wanted(source, named, along))
    return base, package_and_run(project, program, base, LocalEngine(project.workspace, project.roots))


def files(project: Project, base: BaseImage) -> list[str]:
    return [path for path, entry in open_root(project, base).entries() if entry.kind != "dir"]


def observed(row: SizeRow) -> str:
    assert row.run is not None
    if row.run.status is RunStatus.NOT_RUN:
        need(False, f"namespaces ({row.run.reason})")
    return row.run.stdout


@pytest.fixture
def here(workspace: Workspace) -> Project:
    return Project.at(workspace.root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of its own that has this machine's loader and libc, where its cache has them."""
    top = tmp_path / "a root"
    system = RootFs.from_directory(Path("/"))
    binary = compile_to(tmp_path / "probe", "int main(void) { return 0; }")
    from recipes.elf.segments import FileReader
    from recipes.loader.explain import explain

    with FileReader(binary) as reader:
        found = explain(reader, system, platform=Platform.host())
    for library in found.libraries:
        assert library.path is not None
        place = Path(f"{top}{library.path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(system.read(library.path))
        place.chmod(0o755)
    return top


# ── this machine ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_from_this_machine_runs_in_scratch(shared_project: Path) -> None:
    """A dynamic C++ program with its loader and libraries starts in an image that has nothing else."""
    need_tool("g++")
    done = call(shared_project, "bundle", "hi", "--engine=local", "--format=json")
    assert done.exit_code == 0, done.stderr.decode()
    (row,) = read("images", done.stdout)["rows"]
    assert (row["base"], row["linkage"], row["recipe"]) == ("bundle", "dynamic", "gcc-dynamic")
    assert (row["verdict"]["status"], row["runs"], row["disagrees"]) == ("runs", True, False)
    assert row["run"]["stdout"] == "hello\n"


def test_the_docker_engine_runs_it_too(engine: str, here: Project, tmp_path: Path) -> None:
    """The bundle is an image like any other: Docker loads and runs it."""
    file = compile_to(tmp_path / "program", '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }')
    program = take_program(here, prebuilt(str(file)), Platform.host())
    base = bundle.make(here, program, bundle.Wanted(bundle.MACHINE))
    row = package_and_run(here, program, base, DockerEngine.connect(here.store, here.roots))
    assert row.run is not None
    assert (row.run.engine, row.run.stdout, row.runs) == ("docker", "hello\n", True)


def test_the_files_are_exactly_the_closure(here: Project, tmp_path: Path) -> None:
    """What is in the layer is what the loader itself says that it has loaded, and nothing else; modes are fixed."""
    program = compile_to(tmp_path / "program", "#include <math.h>\nint main(int n, char **v) { return cos(n) > 2; }",
                         "-fno-builtin", "-Wl,--no-as-needed", "-lm")  # fmt: skip
    base, row = bundled(here, program, bundle.MACHINE)
    told = shell.check(Command((str(program),), env=(("LD_TRACE_LOADED_OBJECTS", "1"),))).stdout.decode()
    loaded = {word for line in told.splitlines() for word in line.split() if word.startswith("/")}
    assert set(files(here, base)) == loaded
    assert {entry.mode for _, entry in open_root(here, base).entries() if entry.kind == "file"} == {0o755}
    assert row.verdict.status is Status.RUNS
    assert row.image.image_bytes == sum(Path(path).stat().st_size for path in loaded) + row.image.program.size


@pytest.mark.parametrize("program", ["/usr/bin/xz", "/usr/bin/openssl"])
def test_a_program_of_the_distribution(shared_project: Path, program: str) -> None:
    """A file that Debian built runs with its libraries alone, which come from where it is; that is said."""
    need(os.path.exists(program), program)
    words = ("--args=version" if "openssl" in program else "--args=--version", "--engine=local")
    done = call(shared_project, "bundle", program, *words)
    assert done.exit_code == 0, done.stderr.decode()
    assert b"its libraries are taken from this machine's root (rootfs:/)" in done.stderr


def test_the_same_content_gives_the_same_digest(here: Project, root: Path, tmp_path: Path) -> None:
    """Another folder with the same files, other modes and times: the same image, to the byte."""
    program = compile_to(tmp_path / "program", "int main(void) { return 0; }")
    _, first = bundled(here, program, f"rootfs:{root}")
    elsewhere = tmp_path / "elsewhere"
    root.rename(elsewhere)
    for file in (path for path in elsewhere.rglob("*") if path.is_file()):
        file.chmod(0o755 if file.name.startswith("ld-") else 0o600)
        os.utime(file, (1, 1))
    other = Project.at(tmp_path / "another project")
    _, second = bundled(other, program, f"rootfs:{elsewhere}")
    assert first.image.digest == second.image.digest
    assert first.image.base.digest == second.image.base.digest


def test_a_static_program_has_nothing_to_bundle(here: Project, tmp_path: Path) -> None:
    """It loads nothing, and that is an error with a way on, not an empty bundle."""
    program = compile_to(tmp_path / "program", "int main(void) { return 0; }", "-static")
    with pytest.raises(BadInput, match="nothing to bundle"):
        bundled(here, program, bundle.MACHINE)


# ── where libraries are found ────────────────────────────────────────────────────────────────────────────────────────


def test_a_library_that_only_the_cache_knows(here: Project, root: Path, tmp_path: Path) -> None:
    """Found through ld.so.cache, which the new root has not: it is put next to libc, and found there."""
    ldconfig = need_tool("ldconfig") if os.path.exists("/usr/sbin/ldconfig") is False else "/usr/sbin/ldconfig"
    library = compile_to(root / "opt/deep/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/opt/deep\n")
    shell.check(Command((ldconfig, "-r", str(root))))
    program = compile_to(tmp_path / "program", GREET, str(library))
    base, row = bundled(here, program, f"rootfs:{root}")
    (place,) = [path for path in files(here, base) if path.endswith("libnumber.so.1")]
    (libc,) = [path for path in files(here, base) if path.endswith("libc.so.6")]
    assert os.path.dirname(place) == os.path.dirname(libc)
    assert row.verdict.status is Status.RUNS
    assert observed(row) == "42\n"


def test_a_runpath_with_origin(here: Project, root: Path, tmp_path: Path) -> None:
    """$ORIGIN is where the file stands in its root, and in the image it stands there too."""
    library = compile_to(root / "opt/it/lib/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    program = compile_to(root / "opt/it/bin/it", GREET, str(library), "-Wl,-rpath,$ORIGIN/../lib",
                         "-Wl,--enable-new-dtags")  # fmt: skip
    base, row = bundled(here, program, f"rootfs:{root}")
    assert row.verdict.status is Status.RUNS
    assert observed(row) == "42\n"
    assert row.image.entrypoint == ("/opt/it/bin/it",)
    assert "/opt/it/lib/libnumber.so.1" in files(here, base)
    assert len(files(here, base)) == 3


def test_a_program_that_moves_takes_its_libraries_with_it(here: Project, root: Path) -> None:
    """What it found by $ORIGIN at home is put where the loader looks, where the program is to stand elsewhere."""
    library = compile_to(root / "opt/it/lib/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    file = compile_to(root / "opt/it/bin/it", GREET, str(library), "-Wl,-rpath,$ORIGIN/../lib")
    sample = prebuilt(str(file))  # as the file of a machine on which it is not installed
    program = take_program(here, sample, Platform.host())
    base = bundle.make(here, program, bundle.Wanted(f"rootfs:{root}"))
    row = package_and_run(here, program, base, LocalEngine(here.workspace, here.roots))
    assert row.image.entrypoint == ("/app",)
    assert observed(row) == "42\n"


# ── where the program stands, and what stands beside it ──────────────────────────────────────────────────────────────

NAME = """
#include <stdio.h>
#include <unistd.h>
int main(int n, char **v) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    printf("%s %.*s\\n", v[0], (int) length, path);
    return 0;
}
"""
CALLS = """
#include <stdio.h>
#include <unistd.h>
int main(void) { execl("/usr/lib/it/helper", "helper", (char *) 0); perror("helper"); return 1; }
"""
LOADS = """
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *plugin = dlopen("/usr/lib/it/plugin.so", RTLD_NOW);
    if (plugin == NULL) { puts(dlerror()); return 3; }
    printf("%d\\n", ((int (*)(void)) dlsym(plugin, "number"))());
    return 0;
}
"""


def test_a_program_is_called_as_at_home(here: Project, root: Path) -> None:
    """It stands at its own place, and is started by the name that it was given as, which is a link to there."""
    compile_to(root / "usr/lib/it/bin/it", NAME)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/called").symlink_to("../lib/it/bin/it")
    (root / "bin").symlink_to("usr/bin")
    _, row = bundled(here, root / "bin/called", f"rootfs:{root}")
    assert row.image.entrypoint == ("/usr/bin/called",)
    assert observed(row) == "/usr/bin/called /usr/lib/it/bin/it\n"


def test_a_program_of_no_package_stands_at_app(here: Project, tmp_path: Path) -> None:
    """Where somebody has compiled it means nothing in an image, nor do the settings of one that says otherwise."""
    program = compile_to(tmp_path / "program", NAME)
    _, row = bundled(here, program, bundle.MACHINE)
    assert row.image.entrypoint == ("/app",)
    assert observed(row) == "/app /app\n"


def test_a_program_goes_where_a_link_of_the_base_leads(here: Project, root: Path, tmp_path: Path) -> None:
    """A base whose /bin is a link to usr/bin keeps the link, and what is behind it."""
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/other").write_text("kept")
    (root / "bin").symlink_to("usr/bin")
    program = compile_to(tmp_path / "program", NAME)
    sample = prebuilt(str(program))
    sample = replace(sample, image=replace(sample.image, path="/bin/it"))
    made = take_program(here, sample, Platform.host())
    base = resolve(f"rootfs:{root}", Platform.host(), here.workspace, here.store)
    row = package_and_run(here, made, base, LocalEngine(here.workspace, here.roots))
    assert row.image.entrypoint == ("/usr/bin/it",)
    assert observed(row) == "/usr/bin/it /usr/bin/it\n"
    inside = here.roots.of(row.image.layers)
    assert inside.read("/bin/other") == b"kept"


def test_what_is_taken_along_stays_as_it_is(here: Project, root: Path) -> None:
    """Data with its modes, links with their targets, and what its programs and plugins load."""
    number = compile_to(root / "opt/n/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    compile_to(root / "usr/lib/it/helper", GREET, str(number), "-Wl,-rpath,/opt/n")
    (root / "usr/lib/it/data").write_text("data")
    (root / "usr/lib/it/data").chmod(0o640)
    (root / "usr/lib/it/link").symlink_to("/etc/it.conf")
    (root / "etc").mkdir()
    (root / "etc/it.conf").write_text("setting")
    os.mkfifo(root / "usr/lib/it/pipe")
    program = compile_to(root / "usr/bin/it", CALLS)
    base, row = bundled(here, program, f"rootfs:{root}", along=("/usr/lib/it",))
    inside = open_root(here, base)
    assert observed(row) == "42\n"
    assert "/opt/n/libnumber.so.1" in files(here, base)
    assert (inside.mode("/usr/lib/it/data"), inside.read("/usr/lib/it/data")) == (0o640, b"data")
    link = inside.lookup("/usr/lib/it/link")
    assert link is not None
    assert (link.kind, link.target) == ("symlink", "/etc/it.conf")
    assert inside.read("/usr/lib/it/link") == b"setting"
    assert not inside.exists("/usr/lib/it/pipe")


def test_a_plugin_that_is_taken_along_brings_its_libraries(here: Project, root: Path) -> None:
    """A shared object in a folder that is taken along is one that the program may open."""
    number = compile_to(root / "opt/n/libother.so.1", "int other(void) { return 7; }", "-shared", "-fPIC",
                        "-Wl,-soname,libother.so.1")  # fmt: skip
    compile_to(root / "usr/lib/it/plugin.so", "int other(void); int number(void) { return other(); }", "-shared",
               "-fPIC", str(number), "-Wl,-rpath,/opt/n")  # fmt: skip
    program = compile_to(root / "usr/bin/it", LOADS)
    _, row = bundled(here, program, f"rootfs:{root}", along=("/usr/lib/it",))
    assert observed(row) == "7\n"


def test_a_folder_that_links_to_what_is_above_it_is_not_all_taken(here: Project, root: Path) -> None:
    """A link to the top, as some build folders have, does not take the whole root along."""
    (root / "usr/lib/it").mkdir(parents=True)
    (root / "usr/lib/it/up").symlink_to("/")
    (root / "usr/secret").write_text("not asked for")
    program = compile_to(root / "usr/bin/it", NAME)
    base, _ = bundled(here, program, f"rootfs:{root}", along=("/usr/lib/it",))
    assert "/usr/secret" not in files(here, base)
    assert "/usr/lib/it/up" in files(here, base)


@pytest.mark.parametrize("path", ["/nowhere", "relative", "/"])
def test_what_is_not_there_cannot_be_taken_along(here: Project, root: Path, path: str) -> None:
    """One clear error, before anything is made."""
    program = compile_to(root / "usr/bin/it", NAME)
    with pytest.raises(BadInput, match="to take along"):
        bundled(here, program, f"rootfs:{root}", along=(path,))


def test_programs_and_objects_in_a_folder_of_plugins_are_not_loaded(here: Project, root: Path) -> None:
    """A folder that is named for dlopen may hold other ELF files: only shared objects are for dlopen."""
    compile_to(root / "usr/lib/it/plugin.so", "int number(void) { return 9; }", "-shared", "-fPIC")
    compile_to(root / "usr/lib/it/object.o", "int number(void) { return 9; }", "-c")
    compile_to(root / "usr/lib/it/tool", NAME)
    (root / "usr/lib/it/plugins.conf").write_text("data of the plugins")
    program = compile_to(root / "usr/bin/it", LOADS)
    base, row = bundled(here, program, f"rootfs:{root}", "/usr/lib/it")
    assert observed(row) == "9\n"
    assert {path for path in files(here, base) if path.startswith("/usr/lib/it/")} == {
        "/usr/lib/it/plugin.so",
        "/usr/lib/it/plugins.conf",
    }


def test_a_runpath_that_still_holds_keeps_its_place(here: Project, root: Path, tmp_path: Path) -> None:
    """What is found through an absolute folder stays there; several names for one file stay one file."""
    library = compile_to(root / "opt/lib/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    program = compile_to(tmp_path / "program", GREET, str(library), "-Wl,-rpath,/opt/lib")
    library.rename(library.with_name("libnumber.so.1.2.3"))
    library.symlink_to("libnumber.so.1.2.3")
    base, row = bundled(here, program, f"rootfs:{root}")
    assert "/opt/lib/libnumber.so.1" in files(here, base)
    assert "/opt/lib/libnumber.so.1.2.3" not in files(here, base)
    assert observed(row) == "42\n"


def test_a_missing_library_fails_with_the_verdict(shared_project: Path, root: Path, tmp_path: Path) -> None:
    """What the root lacks is told in the loader's words, with exit code 3."""
    library = compile_to(tmp_path / "libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    program = compile_to(tmp_path / "program", GREET, str(library))
    done = call(shared_project, "bundle", str(program), f"--from=rootfs:{root}", "--engine=local", "--format=json")
    assert done.exit_code == 3
    (row,) = json.loads(done.stdout)["rows"]
    (finding,) = [each for each in row["verdict"]["findings"] if each["level"] == "certain"]
    assert finding["code"] == "library-missing"
    assert "libnumber.so.1: cannot open shared object file" in finding["message"]
    assert row["disagrees"] is False


# ── what the program opens later ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["libplugin.so.1", "/plugins/libplugin.so.1", "/plugins"])
def test_a_plugin_is_there_when_it_is_named(
    here: Project, root: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --dlopen the program misses its plugin, and a note says that; by name, file or folder it is there.

    The plugin's own library comes with it.
    """
    helper = compile_to(root / "plugins/libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    compile_to(
        root / "plugins/libplugin.so.1", "int number(void); int other(void) { return number(); }", str(helper),
        "-shared", "-fPIC", "-Wl,-soname,libplugin.so.1", "-Wl,-rpath,/plugins",
    )  # fmt: skip
    program = compile_to(tmp_path / "program", PLUGIN, "-Wl,-rpath,/plugins")
    without, row = bundled(here, program, f"rootfs:{root}")
    assert observed(row) == "no plugin\n"
    assert "dlopen" in capsys.readouterr().err
    base, row = bundled(here, program, f"rootfs:{root}", name)
    assert observed(row) == "plugin 42\n"
    added = {*files(here, base)} - {*files(here, without)}
    assert added == {"/plugins/libplugin.so.1", "/plugins/libnumber.so.1"}


@pytest.mark.parametrize("name", ["libnowhere.so.9", "/no/such/folder"])
def test_a_name_that_leads_to_nothing(here: Project, root: Path, tmp_path: Path, name: str) -> None:
    """An error that says so, before anything is packaged."""
    program = compile_to(tmp_path / "program", "int main(void) { return 0; }")
    with pytest.raises(BadInput, match=f"the root has no {name}"):
        bundled(here, program, f"rootfs:{root}", name)


def test_a_plugin_whose_own_library_is_missing(project: Path, root: Path, tmp_path: Path) -> None:
    """The program would start, and its plugin would not load: exit code 3, before anything is packaged."""
    helper = compile_to(tmp_path / "libnumber.so.1", LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libnumber.so.1")
    compile_to(root / "plugins/libplugin.so.1", GREET.replace("main", "number_too"), str(helper), "-shared", "-fPIC")
    program = compile_to(tmp_path / "program", PLUGIN)
    done = call(project, "bundle", str(program), f"--from=rootfs:{root}", "--dlopen=/plugins/libplugin.so.1")
    assert done.exit_code == 3
    assert "has no libnumber.so.1, which /plugins/libplugin.so.1 needs" in error(done)


# ── the other libc, other CPUs, other roots ──────────────────────────────────────────────────────────────────────────


def test_a_dynamic_musl_program(here: Project, tmp_path: Path, assembled: Assembled) -> None:
    """musl's libc is its loader: the bundle is that one file, and the program runs."""
    assembled.give(here.workspace, "deb-musl")
    program = compile_to(tmp_path / "program", '#include <stdio.h>\nint main(void) { puts("musl"); return 0; }',
                         compiler=zig("-target", "x86_64-linux-musl", "-dynamic"))  # fmt: skip
    base, row = bundled(here, program, "deb-musl")
    assert files(here, base) == ["/lib/ld-musl-x86_64.so.1"]
    assert row.verdict.status is Status.RUNS
    assert observed(row) == "musl\n"


def test_another_cpu(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing is executed to find the libraries: a program for arm64 is bundled and judged on any machine."""
    need_tool("mmdebstrap")
    there = Project.at(workspace.root)
    file = compile_to(tmp_path / "program", '#include <stdio.h>\nint main(void) { puts("arm"); return 0; }',
                      compiler=zig("-target", "aarch64-linux-gnu.2.31", "-lm"))  # fmt: skip
    program = take_program(there, prebuilt(str(file)), Platform.parse("arm64"))
    base = bundle.make(there, program, bundle.Wanted("mmdebstrap:files:libc6"))
    row = package_and_run(there, program, base, None)
    assert "/lib/ld-linux-aarch64.so.1" in files(there, base)
    assert "/lib/aarch64-linux-gnu/libc.so.6" in files(there, base)
    assert row.verdict.status is Status.RUNS
    assert row.image.platform == Platform.parse("linux/arm64")
    assert row.run is None


def test_the_column_of_a_comparison(shared_project: Path) -> None:
    """One row per dynamic program; a static one has no bundle, and that is not a failure."""
    need_tool("g++")
    words = ("--recipes=gcc-dynamic,gcc-static", "--bases=scratch,bundle", "--engine=local", "--format=json")
    done = call(shared_project, "compare-sizes", *words)
    assert done.exit_code == 0, done.stderr.decode()
    document = json.loads(done.stdout)
    cells = {(row["recipe"], row["base"]): row["runs"] for row in document["rows"]}
    assert cells == {
        ("gcc-dynamic", "scratch"): False,
        ("gcc-dynamic", "bundle"): True,
        ("gcc-static", "scratch"): True,
    }
    assert document["failed"] == []
