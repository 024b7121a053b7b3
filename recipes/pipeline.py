"""The stages for one program, one after the other.

Each function takes the values of the stage before and returns the next one. `Project` is what they share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recipes import errors
from recipes.compile.finished import has_cgo_stub, take_prebuilt
from recipes.compile.recipe import RECIPES, Recipe
from recipes.model import (
    PROGRAM,
    Additions,
    BaseImage,
    Compression,
    Descriptor,
    ElfFacts,
    FileEntry,
    Image,
    ImageSettings,
    Layer,
    Limits,
    Platform,
    Program,
    RunOutcome,
    RunStatus,
    Sample,
    SizeRow,
    Status,
    Verdict,
)
from recipes.oci.roots import Roots
from recipes.oci.store import MAX_BLOB, Store
from recipes.package import assemble
from recipes.support import console
from recipes.support.disk_cache import cached
from recipes.support.workspace import Workspace

if TYPE_CHECKING:
    from recipes.rootfs.root import RootFs
    from recipes.run.engine import Engine


@dataclass(frozen=True, slots=True)
class Project:
    """Where things are kept, what is open, and how much is done at once: the same for every program and platform."""

    workspace: Workspace
    store: Store
    roots: Roots
    compression: Compression = "gzip"
    jobs: int = 1

    @classmethod
    def at(cls, root: Path, compression: str = "gzip", *, jobs: int = 0, max_blob: int = 0) -> Project:
        workspace = Workspace(root.resolve())
        if compression not in ("gzip", "zstd", "none"):
            raise errors.unknown("compression", compression, ("gzip", "zstd", "none"))
        store = Store.of(workspace, max_blob or MAX_BLOB)
        return cls(
            workspace,
            store,
            Roots(store),
            compression=compression,  # type: ignore[arg-type]  # checked just above
            jobs=jobs or processors(),
        )


def processors() -> int:
    """How many things to do side by side: the processors that this process may use."""
    return len(os.sched_getaffinity(0))


# ── a program ────────────────────────────────────────────────────────────────────────────────────────────────────────


def build_program(
    project: Project, sample: Sample, recipe: Recipe | None, platform: Platform, *, echo: bool = True
) -> Program:
    """Compile and link, then look at the file: a static recipe whose result is not static is a GateFailed.

    Without a recipe it is the sample's own, else the usual one; or the one with cgo for a Go program that turns out to
    need it.
    """
    from recipes.compile.availability import available, default
    from recipes.compile.build import build

    if recipe is None:
        recipe = default(sample, platform, project.workspace)
        other = RECIPES.get(recipe.with_cgo) if not sample.default_recipe else None
        if other is not None and available(other, platform, project.workspace) is None:
            return _build_with_cgo_as_needed(project, sample, recipe, other, platform, echo=echo)
    program = build(sample, recipe, platform, project.workspace, jobs=project.jobs, echo=echo)
    if recipe.static and not program.facts.linkage.is_static:
        raise errors.GateFailed(
            f"{sample.name}: recipe {recipe.name} promises a static program, but the file is "
            f"{_why_not_static(program.facts)}",
            hint=_why_dynamic(sample),
        )
    return program


CGO_STUB = "without cgo, a package of it has an error in the place of its code"


def _build_with_cgo_as_needed(
    project: Project, sample: Sample, without: Recipe, with_cgo: Recipe, platform: Platform, *, echo: bool
) -> Program:
    try:
        program = build_program(project, sample, without, platform, echo=echo)
        if not has_cgo_stub(program, project.workspace):
            return program
        reason = CGO_STUB
    except errors.CommandFailed as error:
        from recipes.compile.gofailure import lacks_code
        from recipes.compile.plan import cgo_packages

        if not lacks_code(error.output):
            raise
        packages = cgo_packages(sample, without, platform, project.workspace)
        if not packages:
            raise
        reason = f"it does not build without the code in C of {packages[0]}"
    console.note(f"{sample.name} is built with {with_cgo.name}: {reason}")
    return build_program(project, sample, with_cgo, platform, echo=echo)


def program_of(project: Project, sample: Sample, recipe: Recipe | None, platform: Platform) -> Program:
    """The program of a sample: built, or taken as it is. Raises: what `build_program` and `take_program` raise."""
    if sample.language == "binary":
        return take_program(project, sample, platform)
    return build_program(project, sample, recipe, platform)


def take_program(project: Project, sample: Sample, platform: Platform, *, keep: bool = True) -> Program:
    """A prebuilt program; with `keep` by its content, as the file may change once we have looked at it.

    Raises: NotElf, TruncatedElf, BadInput.
    """
    return take_prebuilt(sample, platform, project.workspace, keep=keep)


def smaller_hint(project: Project, program: Program) -> str:
    """By how much another recipe is smaller, as far as it was measured on this machine; "" where none is."""
    from recipes.compile.build import smaller

    for other in smaller(program, project.workspace):
        if other.facts.linkage.is_static and not has_cgo_stub(other, project.workspace):
            less = program.size - other.size
            return f"{other.build.recipe} is {less:,} bytes smaller (measured: {other.size:,} against {program.size:,})"
    return ""


# ── on a base ────────────────────────────────────────────────────────────────────────────────────────────────────────


def package(project: Project, program: Program, base: BaseImage) -> tuple[Image, Verdict]:
    """Put the program on `base` with the data that it will ask for, and say what the verdict on the result is.

    The verdict on the base tells what is missing there; with that added, it is asked again.
    """
    additions, verdict = prepare(project, program, base)
    return make_image(project, program, base, additions), verdict


def prepare(project: Project, program: Program, base: BaseImage) -> tuple[Additions, Verdict]:
    """What the image has to hold beside base and program, and the verdict on it all."""
    settings = _placed(project, program, base)
    own = _own_files(project, program, settings)
    tmp = settings.needs is None and _lacks_tmp(project, base, own)
    additions = Additions(settings, own, tmp=tmp)
    verdict = judge_on(project, program, base, additions)
    if settings.needs is None and not (verdict.findings or settings.ca):
        return additions, verdict
    from recipes.package import runtime_data

    chosen = runtime_data.choose(verdict, settings, base.platform)
    if not chosen:
        return additions, verdict
    entries = runtime_data.files(chosen, settings, open_root(project, base, own))
    data = (assemble.data_layer(entries, project.store, project.compression),) if entries else ()
    settings = replace(settings, env=(*settings.env, *runtime_data.environment(chosen, settings)))
    additions = Additions(settings, (*own, *data), chosen, tmp)
    return additions, judge_on(project, program, base, additions)


def judge_on(project: Project, program: Program, base: BaseImage, additions: Additions | None = None) -> Verdict:
    """What the file and the root say about a run, before there is one. Remembered by the content of both."""
    additions = additions or Additions(program.sample.image)
    settings, build = additions.settings, program.build
    env = (*base.env, *settings.env)

    def ask() -> Verdict:
        from recipes.elf.markers import examine
        from recipes.verdict.judge import judge

        return judge(
            examine(program.path),
            program.facts,
            _with_own_folders(open_root(project, base, additions.layers), additions),
            base.platform,
            env=env,
            user=settings.user,
            workdir=settings.workdir,
            warnings=build.warnings,
            commands=build.commands,
            linker_map=build.linker_map,
            entry=settings.place,
            argv0=settings.called,
        )

    key = {
        "binary": program.sha256,
        "root": [layer.diff_id for layer in (*base.layers, *additions.layers)],
        "platform": str(base.platform),
        "env": env,
        "user": settings.user,
        "workdir": settings.workdir,
        "path": settings.place,
        "called": settings.called,
        "tmp": additions.tmp,
        "build": [build.warnings, [(command.argv, command.env, str(command.cwd)) for command in build.commands]],
    }
    return cached(project.workspace.cache / "verdicts", key, ask, Verdict)


def _with_own_folders(root: RootFs, additions: Additions) -> RootFs:
    """With the folders that the program's layer brings: $ORIGIN may lead through its own."""
    root = root.with_folder(os.path.dirname(additions.settings.place))
    return root.with_folder(assemble.TMP.path, assemble.TMP.mode) if additions.tmp else root


def open_root(project: Project, base: BaseImage, more: tuple[Layer, ...] = ()) -> RootFs:
    """The base's layers, and `more` above them, as one root file system: the same one for all who ask."""
    return project.roots.of((*base.layers, *more))


def make_image(project: Project, program: Program, base: BaseImage, additions: Additions | None = None) -> Image:
    """The image in the store, tagged `<sample>:<recipe>-<base>`."""
    name = image_name(program, base)
    return assemble.assemble(
        program, base, store=project.store, name=name, additions=additions, compression=project.compression
    )


def image_name(program: Program, base: BaseImage) -> str:
    """`hello:gcc-static-scratch`; another platform than this machine's is part of the tag."""
    from recipes.oci.reference import docker_tag

    parts = [program.build.recipe or "prebuilt", base.name]
    if program.platform != Platform.host():
        parts.append(str(program.platform))
    return docker_tag(f"{program.name}:{'-'.join(parts)}")


def join(project: Project, images: Sequence[Image]) -> Descriptor:
    """What stands for all of them: the only image's manifest, or an index of several, tagged `<sample>:latest`."""
    if len(images) == 1:
        return images[0].manifest
    return assemble.join(images, project.store, latest_name(images[0]))


def latest_name(image: Image) -> str:
    return f"{image.name.partition(':')[0]}:latest"


def refuse_failing(verdict: Verdict, image: Image) -> None:
    """Raises: GateFailed for an image that is certain not to start."""
    if verdict.status is Status.FAILS:
        raise errors.GateFailed(
            f"{image.name} would not start: {verdict.reason}",
            hint="`invoke verify` says why and what would help; --force pushes it anyway",
        )


PROBE = Sample("probe", Path(__file__).parent / "package/probe", "c++", (Path("probe.c"),))
"""The program that asks a server for its health; an image from scratch has no other."""


def _placed(project: Project, program: Program, base: BaseImage) -> ImageSettings:
    """The sample's settings, with the program at its place, which is where the base's links lead.

    A layer with /bin/x would put a folder in the place of a base's link from /bin to /usr/bin.
    """
    settings = replace(program.sample.image, path=program.place)
    if settings.path == PROGRAM or not base.layers:
        return settings
    root = open_root(project, base)
    return replace(
        settings, path=root.standing(settings.path), called=settings.called and root.standing(settings.called)
    )


def _tell_left_out(program: Program) -> None:
    """Say what the program's project installs beside it, where the image has none of it."""
    installed = program.build.installed
    if installed is None or program.sample.image.install:
        return
    from recipes.package.installed import data_of, named_data

    named = {entry.path for entry in named_data(installed)} if program.sample.image.needs is None else ()
    data = [entry for entry in data_of(installed) if entry.path not in named]
    if data:
        folders = ", ".join(sorted({os.path.dirname(entry.path) for entry in data})[:3])
        size = sum(entry.size() for entry in data)
        console.note(
            f"note: the project installs {len(data)} more files ({size:,} bytes) that the program may read, such as in "
            f"{folders}: --set install=true takes all along"
        )


def _tell_named(program: Program) -> None:
    """Say which of the files that its project installs an image has because the program names them."""
    installed, settings = program.build.installed, program.sample.image
    if installed is None or not installed.named or settings.install or settings.needs is not None:
        return
    from recipes.package.installed import named_data

    named = named_data(installed)
    if named:
        size = sum(entry.size() for entry in named)
        what = named[0].path if len(named) == 1 else f"{len(named)} installed files, such as {named[0].path}"
        console.note(f"added {what} ({size:,} bytes): the program has the path inside")


def _lacks_tmp(project: Project, base: BaseImage, more: tuple[Layer, ...]) -> bool:
    """Whether neither the base nor the layers on it have anything at /tmp. Remembered by their content."""

    def ask() -> bool:
        return open_root(project, base, more).lookup(assemble.TMP.path) is None

    layers = (*base.layers, *more)
    if not layers:
        return True
    return cached(project.workspace.cache / "tmp", [layer.diff_id for layer in layers], ask, bool)


def _own_files(project: Project, program: Program, settings: ImageSettings) -> tuple[Layer, ...]:
    """The layer with what the image has beside the program: the sample's files, the program's other name, the probe."""
    entries = settings.files
    if settings.called:
        entries = (*entries, FileEntry(settings.called, None, 0o777, link=settings.path))
    installed = program.build.installed
    if installed and (settings.install or (installed.named and settings.needs is None)):
        from recipes.package.installed import beside, named_data

        own = {entry.path for entry in (*entries, FileEntry(settings.path, None, 0))}
        more = (beside if settings.install else named_data)(installed)
        entries = (*entries, *(entry for entry in more if entry.path not in own))
    if settings.healthcheck and settings.healthcheck.http:
        from recipes.compile.build import build

        probe = build(PROBE, RECIPES["zig-static-small"], program.platform, project.workspace)
        entries = (*entries, FileEntry(settings.healthcheck.test[0], probe.path, 0o755))
    return (assemble.data_layer(entries, project.store, project.compression),) if entries else ()


# ── tried ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def try_run(project: Project, image: Image, engine: Engine) -> RunOutcome:
    """Run the image as its sample asks; one for another CPU through an emulator, if this machine has one."""
    from recipes.run import emulation

    sample = image.program.sample
    limits = limits_of(sample)
    stdin = sample.stdin.encode("utf-8", "surrogateescape")
    if emulation.runs_by_itself(image.platform):
        return engine.run(image, args=sample.args, stdin=stdin, limits=limits)
    from recipes.run.local import LocalEngine

    emulator = emulation.emulator(image.platform)
    if emulator is None:
        reason = f"this machine cannot run programs for {image.platform}, and has no QEMU for them"
        return RunOutcome(engine.name, RunStatus.NOT_RUN, reason=reason)
    # An engine that asks the kernel can only say `exec format error`; ours starts the emulator itself.
    local = LocalEngine(project.workspace, project.roots)
    return local.run(image, args=sample.args, stdin=stdin, limits=limits, emulator=emulator)


_LISTENING_SECONDS = 2.0


def limits_of(sample: Sample) -> Limits:
    """As long as the sample has to serve. Where nothing is expected, one that listens need not use up its time."""
    if sample.expect is None:
        return Limits(listening_seconds=_LISTENING_SECONDS)
    return Limits() if sample.expect.serves is None else Limits(seconds=sample.expect.serves)


def build_static(
    project: Project, sample: Sample, recipe: Recipe | None, base: BaseImage, engine: Engine | None, *, run: bool = True
) -> SizeRow:
    """The main job for one sample: build for the base's platform, prove, package, load where there is a Docker Engine,
    run.
    """
    return package_and_run(project, build_program(project, sample, recipe, base.platform), base, engine, run=run)


def package_and_run(
    project: Project, program: Program, base: BaseImage, engine: Engine | None, *, run: bool = True
) -> SizeRow:
    """What `build_static` does with a program once it is there."""
    image, verdict = package(project, program, base)
    project.store.tag(latest_name(image), image.manifest, platform=image.platform)
    for each in image.additions.runtime_data:
        console.note(f"added {each.need}: {each.reason}")
    _tell_named(program)
    if not program.build.cached:
        _tell_left_out(program)
    if engine is None:
        return SizeRow(image, verdict, None)
    with console.activity(f"loading {image.name}"):
        engine.load(image)
    if not run:
        return SizeRow(image, verdict, None)
    with console.activity(f"running {image.name}"):
        return SizeRow(image, verdict, try_run(project, image, engine))


def _why_dynamic(sample: Sample) -> str:
    if sample.build in ("make", "autotools"):
        return (
            "the recipe's compiler is given as CC and CXX, and adds what static linking takes: look in the Makefile "
            "for a compiler that is called by another name, for -shared, -Wl,-Bdynamic or a .so by its path"
        )
    if sample.build in ("cmake", "meson"):
        return f"look in the {sample.build} project for what links a shared library, and for an option against it"
    return "look for a flag or a library of the sample that asks for dynamic linking"


def _why_not_static(facts: ElfFacts) -> str:
    evidence = []
    if facts.interpreter:
        evidence.append(f"it names the interpreter {facts.interpreter}")
    if facts.needed:
        evidence.append(f"it needs {', '.join(facts.needed)}")
    return f"{facts.linkage}: {' and '.join(evidence) or 'it is not marked as a program (no DF_1_PIE)'}"
