"""Steps about programs and their libraries: compiling, what is needed, what happens when it is not there, -static."""

from __future__ import annotations

from pathlib import Path

from recipes.bases.specs import known
from recipes.compile.recipe import RECIPES
from recipes.elf.dynamic import read_dynamic
from recipes.elf.segments import FileReader
from recipes.errors import RecipeError, ToolMissing
from recipes.loader.explain import explain
from recipes.model import Command, Library, Program
from recipes.rootfs.root import RootFs
from recipes.support import console, shell
from recipes.workflows.walkthrough.stage import GREETING, Stage
from recipes.workflows.walkthrough.step import Found, agree, told

DYNAMIC = RECIPES["gcc-dynamic"]
STATIC = RECIPES["gcc-static"]


@told("compile and link, in one go or in two")
def compile_and_link(stage: Stage) -> Found:
    """`g++ main.cpp` is two things: a compiler that makes an object from each source, and a linker that makes a
    program of the objects. The object is small, because it names what it uses and holds none of it. Doing both in
    one go or one after the other gives the same program, byte for byte."""
    compiler = shell.which("g++")
    if compiler is None:
        raise ToolMissing("g++ not found")
    source = stage.sample("hello").folder / "main.cpp"
    with stage.project.workspace.temporary("walkthrough") as place:
        (place / "main.cpp").write_bytes(source.read_bytes())
        commands = [
            Command((str(compiler), "-O2", "-o", "hello", "main.cpp"), place),
            Command((str(compiler), "-O2", "-c", "main.cpp"), place),
            Command((str(compiler), "-o", "hello-linked", "main.o"), place),
        ]
        for command in commands:
            console.note(str(command))
            shell.check(command)
        sizes = {name: (place / name).stat().st_size for name in ("main.cpp", "main.o", "hello", "hello-linked")}
        same = (place / "hello").read_bytes() == (place / "hello-linked").read_bytes()
        ran = shell.check(Command((str(place / "hello-linked"),))).stdout.decode()
    table = [("file", "bytes"), *((name, f"{size:,}") for name, size in sizes.items())]
    return Found(
        did="g++ in one go; g++ -c, then g++ on the object",
        predicted="the same program twice",
        observed="the same bytes" if same else "programs that differ",
        agrees=same and ran == GREETING,
        commands=tuple(commands),
        table=table,
    )


@told("which libraries it needs, without running it")
def needed_libraries(stage: Stage) -> Found:
    """The program has the names of its libraries (DT_NEEDED) and of the loader (PT_INTERP). Following the loader's
    rules from file to file gives everything that will be loaded. Nothing is executed for that, so it works for
    programs that are not to be trusted, and for other CPUs. The loader's own answer (`--list`) is only asked here to
    check ours."""
    program = stage.build("hello", DYNAMIC)
    libraries = _closure(program, stage)
    loader = str(program.facts.interpreter)
    listing = Command((loader, "--list", str(program.path)))
    answer = shell.check(listing).stdout.decode()
    lines = [line.split() for line in answer.splitlines() if line.strip()]
    theirs = {words[0].rpartition("/")[2] for words in lines if not words[0].startswith("linux-")}
    ours = {library.name.rpartition("/")[2] for library in libraries}
    ours.discard(loader.rpartition("/")[2])
    theirs.discard(loader.rpartition("/")[2])
    rows = [(library.name, str(library.path), library.needed_by) for library in libraries]
    return Found(
        did="read the program and its libraries",
        predicted=", ".join(sorted(ours)),
        observed=f"{', '.join(sorted(theirs))} (the loader's --list)",
        agrees=ours == theirs,
        commands=(listing,),
        table=[("library", "found as", "needed by"), *rows],
    )


@told("a library taken away")
def library_taken_away(stage: Stage) -> Found:
    """The same program in a private root that holds its loader and its libraries, all but libstdc++. (Do not try
    this with the libraries of a running system.) The kernel starts the loader, and it is the loader that gives
    up."""
    program = stage.build("hello", DYNAMIC)
    libraries = [library for library in _closure(program, stage) if library.path]
    loader = str(program.facts.interpreter)
    files = {loader: Path(loader), **{str(library.path): Path(str(library.path)) for library in libraries}}
    whole = stage.try_on(program, stage.folder_as_base("root-whole", files.items()))
    without = [(path, file) for path, file in files.items() if "libstdc++" not in path]
    lacking = stage.try_on(program, stage.folder_as_base("root-without-libstdc++", without))
    rows = [("root", "predicted", "observed")]
    rows += [
        ("loader and all libraries", whole.predicted, whole.observed),
        ("without libstdc++", lacking.predicted, lacking.observed),
    ]
    return Found(
        did="the dynamic program in a root without libstdc++",
        predicted=lacking.predicted,
        observed=lacking.observed,
        agrees=agree((whole.agrees, lacking.agrees)),
        table=rows,
    )


@told("a base with another libc")
def another_libc(stage: Stage) -> Found:
    """The best known message of them all: `no such file or directory`, about a file that is plainly there. What is
    missing is the loader that the program names. The kernel starts that in place of the program, and has only one
    message for both."""
    program = stage.build("hello", DYNAMIC)
    trial = stage.try_on(program, stage.base("deb-musl"))
    evidence = next((finding.evidence for finding in trial.verdict.findings), "")
    return Found(
        did="the dynamic program on deb-musl",
        predicted=trial.predicted,
        observed=trial.observed,
        agrees=trial.agrees,
        table=[("the file that is missing", "why"), (str(program.facts.interpreter), evidence)],
    )


@told("a base with its libraries")
def base_with_libraries(stage: Stage) -> Found:
    """On a base that has the loader and the libraries the program runs. The program is the smallest part of what is
    then shipped, patched and scanned."""
    program = stage.build("hello", DYNAMIC)
    trial = stage.try_on(program, stage.base("deb-cc"))
    image = trial.image
    return Found(
        did="the dynamic program on deb-cc",
        predicted=trial.predicted,
        observed=trial.observed,
        agrees=trial.agrees,
        table=[
            ("bytes of the program", "of the image", "what the base costs"),
            (f"{program.size:,}", f"{image.image_bytes:,}", f"{image.overhead_bytes:,}"),
        ],
    )


@told("-static")
def static(stage: Stage) -> Found:
    """`-static` copies what is used out of the libraries into the program. It names no loader and no library any more,
    so no base can lack them: it runs on all of them, and on none at all."""
    program = stage.build("hello", STATIC)
    trials, left_out = {}, []
    for name in known(stage.project.workspace):
        try:
            trials[name] = stage.try_on(program, stage.base(name))
        except RecipeError:
            left_out.append(name)
    predicted, observed = (
        sum(getattr(trial, what) == "runs" for trial in trials.values()) for what in ("predicted", "observed")
    )
    missing = f" (not available here: {', '.join(left_out)})" if left_out else ""
    return Found(
        did=f"g++ -static: {program.size:,} bytes, {program.facts.linkage}",
        predicted=f"no interpreter, nothing needed: runs on {predicted} of {len(trials)} bases",
        observed=f"runs on {observed} of {len(trials)}{missing}",
        agrees=agree((program.facts.linkage.is_static, *(trial.agrees for trial in trials.values()))),
        commands=program.build.commands,
        table=[
            ("base", "predicted", "observed"),
            *((name, trial.predicted, trial.observed) for name, trial in trials.items()),
        ],
    )


def _closure(program: Program, stage: Stage) -> tuple[Library, ...]:
    """What the loader of this machine would load for a program, by its rules alone."""
    with FileReader(program.path) as reader:
        dynamic = read_dynamic(reader)
    root = RootFs.from_directory(Path("/"))
    return explain(dynamic, root, platform=stage.platform, path="/hello").libraries
