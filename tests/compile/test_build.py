from __future__ import annotations

import shutil
import sys

import pytest

from recipes.compile.availability import available
from recipes.compile.build import smaller
from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.elf.facts import read_elf
from recipes.errors import BadInput, CommandFailed, GateFailed, ToolMissing
from recipes.model import BaseImage, Command, Linkage, Platform, Sample
from recipes.pipeline import Project, build_program, build_static, smaller_hint
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.compile.programs import HELLO, OURS, make, output, run, write

SMALL = ("gcc-static-small", "clang-static-small", "zig-static-small")

GOAL = 0.16 * 2_180_000
"""Bytes: the smallest image of hello against the textbook's."""


def ours(name: str, workspace: Workspace) -> Sample:
    """A sample of this project, copied to where it is built."""
    shutil.copytree(OURS.samples / name, workspace.samples / name)
    return load(name, workspace)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["hello", "hello-go", "wordcount"])
def test_every_sample_with_every_recipe(name: str, recipe: str, workspace: Workspace) -> None:
    """Each sample prints what it promises, a static recipe makes a static file, and the smallest hello is as small as
    promised.
    """
    sample = ours(name, workspace)
    if RECIPES[recipe].language != sample.language:
        return
    binary = make(sample, recipe, workspace)
    if (name, recipe) == ("hello", "zig-static-small"):
        assert binary.size <= GOAL
    assert sample.expect is not None
    assert output(binary, *sample.args, stdin=sample.stdin.encode()) == sample.expect.stdout
    linkage = read_elf(binary.path).linkage
    assert linkage.is_static or not RECIPES[recipe].static
    if recipe == "gcc-dynamic":
        assert linkage is Linkage.DYNAMIC
    assert binary.size == binary.path.stat().st_size
    if sample.language == "c++":
        assert binary.build.linker_map is not None
        # With link-time optimisation zig's linker names the object no more.
        assert ("libc.a(" if "zig" in recipe else "main.cpp.o") in binary.build.linker_map.read_text()


@pytest.mark.parametrize(
    ("recipe", "extra"),
    [("zig-static-small", "zig"), ("go-static", "go"), ("gcc-static", "zig"), ("clang-static-small", "zig")],
)
def test_a_recipe_without_its_toolchain_names_the_extra(
    recipe: str, extra: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither the machine nor this environment has the toolchain, the hint is the command that brings one."""
    monkeypatch.setenv("PATH", str(workspace.root))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not path.endswith("site-packages")])
    error = available(RECIPES[recipe], Platform.host(), workspace)
    assert isinstance(error, ToolMissing)
    assert error.hint.endswith(f"pip install 'fromscratch[{extra}]'")


@pytest.mark.slow
def test_small_is_smaller(workspace: Workspace) -> None:
    """gcc-static-small is smaller than gcc-static, and both are on record; the dynamic one is not comparable."""
    sample = ours("hello", workspace)
    dynamic, static, small = (
        make(sample, name, workspace) for name in ("gcc-dynamic", "gcc-static", "gcc-static-small")
    )
    assert dynamic.size < small.size < static.size
    assert [(other.build.recipe, other.sha256) for other in smaller(static, workspace)] == [
        (small.build.recipe, small.sha256)
    ]
    assert list(smaller(small, workspace)) == []
    (sample.folder / "main.cpp").write_text(HELLO)
    assert list(smaller(static, workspace)) == []


def hint(sample: Sample, recipe: str, workspace: Workspace) -> str:
    """What `build-static` says about other recipes, or the test ends because a compiler is not there."""
    make(sample, recipe, workspace)
    project = Project.at(workspace.root)
    base = BaseImage("scratch", "scratch", Platform.host())
    return smaller_hint(project, build_static(project, sample, RECIPES[recipe], base, None, run=False).program)


def test_what_is_not_static_is_no_advice(workspace: Workspace) -> None:
    """A smaller program that its own recipe would refuse, as it came out dynamic, is not recommended."""
    source = 'package main\n\nimport _ "os/user"\n\nfunc main() {}\n'
    sample = write(workspace, {"main.go": source, "sample.toml": 'options = ["-buildmode=pie"]\n'})
    project = Project.at(workspace.root)
    with pytest.raises(GateFailed, match="promises a static program"):
        build_program(project, sample, RECIPES["go-static"], Platform.host())
    assert [other.build.recipe for other in smaller(make(sample, "go-dynamic", workspace), workspace)] == ["go-static"]
    assert hint(sample, "go-dynamic", workspace) == ""


def test_advice_is_for_the_sample_as_it_is(workspace: Workspace) -> None:
    """What a recipe made of other sources, which have not changed, is not recommended."""
    files = {
        "small.c": "int main(void) { return 0; }\n",
        "big.c": "char big[300000] = {1};\nint main(void) { return 0; }\n",
    }
    sample = write(workspace, {**files, "sample.toml": 'sources = ["small.c"]\n'})
    make(sample, "gcc-static-small", workspace)
    assert hint(sample, "gcc-static", workspace).startswith("gcc-static-small is ")
    assert hint(write(workspace, {"sample.toml": 'sources = ["big.c"]\n'}), "gcc-static", workspace) == ""


EXCEPTIONS_AND_THREADS = """\
#include <atomic>
#include <future>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

struct Base { virtual ~Base() = default; };
struct Derived : Base {};
thread_local int mine = 0;

int fall(int depth) {
    if (depth == 0) throw std::runtime_error("deep");
    return fall(depth - 1) + 1;
}

int main() {
    try { fall(50); } catch (const std::exception& error) { std::cout << error.what() << '\\n'; }
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&sum, i] {
            char stack[1 << 20];  // more than musl's own default
            stack[sizeof stack - 1] = static_cast<char>(i);
            mine = *static_cast<volatile char*>(&stack[sizeof stack - 1]);
            try { fall(i); } catch (const std::runtime_error&) { sum += mine; }
        });
    }
    for (auto& thread : threads) thread.join();
    std::cout << sum << '\\n';
    auto later = std::async(std::launch::async, []() -> int { throw std::logic_error("async"); });
    try { std::cout << later.get(); } catch (const std::logic_error& error) { std::cout << error.what() << '\\n'; }
    try { std::cout << std::stoi("x"); } catch (const std::invalid_argument&) { std::cout << "invalid\\n"; }
    const std::unique_ptr<Base> base = std::make_unique<Derived>();
    std::cout << (dynamic_cast<Derived*>(base.get()) != nullptr) << mine << '\\n';
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gcc-static", *SMALL])
def test_small_programs_keep_exceptions_and_threads(recipe: str, workspace: Workspace) -> None:
    """No shrinking flag costs exceptions (in threads too), RTTI, thread-local variables or a usual thread stack."""
    binary = make(write(workspace, {"main.cpp": EXCEPTIONS_AND_THREADS}), recipe, workspace)
    assert output(binary) == "deep\n28\nasync\ninvalid\n10\n"


RESOLVE = '#include <netdb.h>\nint main() { addrinfo* a; return getaddrinfo("x", "y", nullptr, &a) == 12345; }\n'


@pytest.mark.parametrize("recipe", ["gcc-static", "gcc-static-small"])
def test_linker_warnings_are_kept(recipe: str, workspace: Workspace) -> None:
    """What GNU ld warns of is one string each, and is still there when nothing is built."""
    sample = write(workspace, {"main.cpp": RESOLVE})
    warnings = make(sample, recipe, workspace).build.warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("Using 'getaddrinfo' in statically linked applications requires at runtime")
    again = make(sample, recipe, workspace)
    assert again.build.cached
    assert again.build.warnings == warnings


def test_a_compiler_error_is_shown_whole(workspace: Workspace) -> None:
    """All that the compiler says is in the error, with the command; the exit code is 5."""
    sample = write(workspace, {"main.cpp": "int main() { return one; }\nint f() { return two; }\n"})
    with pytest.raises(CommandFailed, match=r"compile main\.cpp failed \(exit code 1\)") as caught:
        make(sample, "gcc-static", workspace)
    assert "main.cpp:1:21: error: 'one' was not declared" in caught.value.output
    assert "main.cpp:2:18: error: 'two' was not declared" in caught.value.output
    assert "g++" in caught.value.hint
    assert caught.value.exit_code == 5


def test_an_error_in_one_of_several_that_are_compiled_side_by_side(workspace: Workspace) -> None:
    """The right file is blamed, and after it is put right, the rest of the work is not lost."""
    sample = write(workspace, {f"f{i}.cpp": f"int f{i}() {{ return {i}; }}\n" for i in range(4)} | {"main.cpp": HELLO})
    (sample.folder / "f2.cpp").write_text("no\n")
    with pytest.raises(CommandFailed, match=r"compile f2\.cpp failed"):
        make(sample, "gcc-dynamic", workspace, jobs=3)
    (sample.folder / "f2.cpp").write_text("int f2() { return 2; }\n")
    assert output(make(sample, "gcc-dynamic", workspace, jobs=3)) == "Hello\n"


def test_a_linker_error_is_shown_whole(workspace: Workspace) -> None:
    """An undefined symbol is the linker's message, and exit code 5."""
    sample = write(workspace, {"main.cpp": "int gone(); int main() { return gone(); }\n"})
    with pytest.raises(CommandFailed, match="link failed") as caught:
        make(sample, "gcc-static", workspace)
    assert "undefined reference to `gone()'" in caught.value.output


def test_a_go_error_is_shown_whole(workspace: Workspace) -> None:
    """The same for Go."""
    sample = write(workspace, {"main.go": "package main\nfunc main() { gone() }\n"})
    with pytest.raises(CommandFailed, match="go build failed") as caught:
        make(sample, "go-static", workspace)
    assert "undefined: gone" in caught.value.output


def test_c_is_built_by_the_c_compiler(workspace: Workspace) -> None:
    """A C program may use what C++ forbids, and does not need libstdc++."""
    sample = write(workspace, {"main.c": "int main(void) { int class = 0; return class; }\n"})
    binary = make(sample, "gcc-dynamic", workspace)
    assert run(binary).exit_code == 0
    assert read_elf(binary.path).needed == ("libc.so.6",)


def test_c_and_cpp_in_one_program(workspace: Workspace) -> None:
    """Each file has its own language; the program is linked as C++."""
    files = {
        "answer.c": "int answer(void) { int class = 42; return class; }\n",
        "main.cpp": '#include <iostream>\nextern "C" int answer();\nint main() { std::cout << answer(); }\n',
    }
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "42"


def test_libraries_that_need_each_other(workspace: Workspace) -> None:
    """Two static libraries of the sample's own may call into each other, with LTO too."""
    files = {
        "main.cpp": "int a(int); int main() { return a(3); }\n",
        "a/a.cpp": "int b(int); int a(int n) { return n ? b(n - 1) : 0; }\n",
        "b/b.cpp": "int a(int); int b(int n) { return n ? a(n - 1) : 0; }\n",
        "sample.toml": '[libraries]\na = ["a/*.cpp"]\nb = ["b/*.cpp"]\n',
    }
    sample = write(workspace, files)
    for recipe in ("gcc-static", "gcc-static-small"):
        assert run(make(sample, recipe, workspace)).exit_code == 0


def test_equal_file_names_in_one_library(workspace: Workspace) -> None:
    """x/part.cpp and y/part.cpp both end up in the library."""
    files = {
        "main.cpp": "int x(); int y(); int main() { return x() + y(); }\n",
        "x/part.cpp": "int x() { return 1; }\n",
        "y/part.cpp": "int y() { return -1; }\n",
        "sample.toml": '[libraries]\nboth = ["x/part.cpp", "y/part.cpp"]\n',
    }
    assert run(make(write(workspace, files), "gcc-static", workspace)).exit_code == 0


def test_a_source_in_two_libraries(workspace: Workspace) -> None:
    """A file that two libraries share is no conflict."""
    files = {
        "main.cpp": "int x(); int main() { return x(); }\n",
        "x.cpp": "int x() { return 0; }\n",
        "sample.toml": 'sources = ["main.cpp"]\n[libraries]\na = ["x.cpp"]\nb = ["x.cpp"]\n',
    }
    assert run(make(write(workspace, files), "gcc-static", workspace, jobs=4)).exit_code == 0


@pytest.mark.parametrize("recipe", ["gcc-static-small", "go-static"])
def test_the_plan_can_be_pasted(recipe: str, workspace: Workspace) -> None:
    """The printed commands, fed to a shell in a fresh project, make the very same file as `build`."""
    files = {"main.cpp": HELLO} if recipe.startswith("gcc") else {"main.go": "package main\nfunc main() {}\n"}
    sample = write(workspace, files, name='it\'s an "app"')
    planned = plan(sample, RECIPES[recipe], Platform.host(), workspace)
    script = "set -e\n" + "".join(f"{step.pasted}\n" for step in planned.steps)
    shell.check(Command(("sh", "-c", script)))
    pasted = planned.steps[-1].output.read_bytes()
    assert make(sample, recipe, workspace).path.read_bytes() == pasted


def test_what_is_echoed_is_what_is_run(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """stderr has each command once, in the order of the plan; stdout has nothing; a second build says nothing."""
    sample = write(workspace, {"main.cpp": HELLO})
    binary = make(sample, "gcc-dynamic", workspace)
    captured = capsys.readouterr()
    first, *commands = [line for line in captured.err.splitlines() if ": done in " not in line]
    assert first == f"building {sample.name} with gcc-dynamic"
    assert commands == [str(command) for command in binary.build.commands]
    assert captured.out == ""
    make(sample, "gcc-dynamic", workspace)
    assert capsys.readouterr().err == ""


def test_a_plan_runs_nothing(workspace: Workspace) -> None:
    """Planning makes no folder and no file but the probe of the compilers."""
    sample = write(workspace, {"main.cpp": HELLO})
    planned = plan(sample, RECIPES["gcc-static"], Platform.host(), workspace)
    assert [step.title for step in planned.steps] == ["make the folder", "compile main.cpp", "link"]
    assert not planned.work.exists()


def test_gcc_needs_a_cross_compiler(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one another platform is a missing tool, with the recipe that can."""
    monkeypatch.setenv("PATH", str(workspace.root))
    sample = write(workspace, {"main.cpp": HELLO})
    with pytest.raises(ToolMissing, match=r"no g\+\+ for linux/s390x found") as caught:
        plan(sample, RECIPES["gcc-static"], Platform.parse("linux/s390x"), workspace)
    assert "--recipe zig-static-small" in caught.value.hint


@pytest.mark.parametrize(
    ("platform", "machine"), [("linux/arm64", "arm64"), ("linux/arm/v7", "arm"), ("linux/arm/v8", "arm")]
)
def test_go_builds_for_other_platforms(platform: str, machine: str, workspace: Workspace) -> None:
    """go-static takes the platform, whatever the caller's GOARCH."""
    sample = write(workspace, {"main.go": "package main\nfunc main() {}\n"})
    assert read_elf(make(sample, "go-static", workspace, platform=platform).path).machine == machine


@pytest.mark.parametrize("platform", ["linux/amd64/v9", "linux/386/zzz", "linux/arm64/v9", "linux/s390x/v1"])
def test_go_refuses_a_variant_that_it_does_not_know(platform: str, workspace: Workspace) -> None:
    """The baseline under the name of another CPU would be a wrong label: it is bad input instead."""
    sample = write(workspace, {"main.go": "package main\nfunc main() {}\n"})
    with pytest.raises(BadInput, match=f"Go cannot build for {platform}") as caught:
        plan(sample, RECIPES["go-static"], Platform.parse(platform), workspace)
    assert "variants of" in caught.value.hint


@pytest.mark.slow
def test_zig_builds_for_other_platforms(workspace: Workspace) -> None:
    """zig-static-small takes the platform."""
    sample = write(workspace, {"main.c": "int main(void) { return 0; }\n"})
    facts = read_elf(make(sample, "zig-static-small", workspace, platform="linux/arm64").path)
    assert (facts.machine, facts.linkage) == ("arm64", Linkage.STATIC)


def test_go_becomes_dynamic_through_the_resolver(workspace: Workspace) -> None:
    """With cgo on, importing net is enough; with cgo off it is not. A plain program stays static either way."""
    resolve = 'package main\nimport "net"\nfunc main() { net.LookupHost("x") }\n'
    plain = "package main\nfunc main() {}\n"
    uses, does_not = (write(workspace, {"main.go": text}, name) for name, text in (("uses", resolve), ("not", plain)))
    assert read_elf(make(uses, "go-dynamic", workspace).path).linkage is Linkage.DYNAMIC
    assert read_elf(make(uses, "go-static", workspace).path).linkage is Linkage.STATIC
    assert read_elf(make(does_not, "go-dynamic", workspace).path).linkage is Linkage.STATIC


def test_a_binary_tells_how_it_came_about(workspace: Workspace) -> None:
    """Commands, toolchain, recipe, sample and time are with the result."""
    sample = write(workspace, {"main.cpp": HELLO})
    binary = make(sample, "gcc-static", workspace)
    assert binary.sample == sample
    assert binary.build.recipe == "gcc-static"
    assert binary.build.toolchain.startswith("g++ ")
    assert binary.build.seconds > 0
    assert binary.path.stat().st_mode & 0o777 == 0o755
