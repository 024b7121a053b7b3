"""Go: one command for the whole module; `go` itself compiles package by package."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from recipes.architecture import architecture
from recipes.compile.context import BuildContext
from recipes.compile.environment import unset
from recipes.compile.files import entries_below, listed
from recipes.compile.gomod import module_of, source_folders, work_file_of
from recipes.compile.goproxy import MainModule, is_fixed, some
from recipes.compile.paths import built_in
from recipes.compile.product import Product
from recipes.compile.step import Step, write_step
from recipes.compile.systems.protocol import PlannedSteps
from recipes.compile.toolchains import CGO_COMPILERS, TOOLCHAINS
from recipes.compile.toolchains.go import go_level, module_settings, numbers, proxy
from recipes.errors import BadInput
from recipes.model import Command, Environment, Sample
from recipes.support import shell


def steps(context: BuildContext) -> PlannedSteps:
    """Every file of the module is an input: source, go.mod, go.sum, vendor/, and whatever may be embedded."""
    sample, recipe = context.sample, context.recipe
    caches = TOOLCHAINS[recipe.toolchain].caches(context.workspace)
    env = (*_environment(context), *caches)
    stamps = _stamps(context)
    linking = _quoted((*recipe.linker_flags.split(), *(word for pair in stamps for word in _stamp(pair))))
    flags = (*sample.options, *recipe.build_flags, f"-ldflags={linking}")
    before = unset(env)
    argv = (*before, *context.toolchain.argv)
    return PlannedSteps(
        steps=_install(context, argv, flags, env) if sample.module else _build(context, argv, flags, env),
        unset=before,
        environment_only=frozenset(name for name, _ in caches),
        atomic=bool(sample.module),
    )


def cgo_packages(context: BuildContext) -> tuple[str, ...]:
    """The packages of the program, besides Go's own, that have code in C; () where go cannot list them."""
    sample, workspace = context.sample, context.workspace
    caches = TOOLCHAINS[context.recipe.toolchain].caches(workspace)
    env = (*_environment(context), *caches, ("CGO_ENABLED", "1"))
    form = "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}"
    listing = (*unset(env), *context.toolchain.argv, "list", "-deps", "-f", form, *sample.options)
    if not sample.module:
        return _lines(Command((*listing, *_named(sample)), sample.folder, env))
    main = proxy(context.toolchain.argv[0], workspace).main_module(sample.module)
    if main is None:
        return ()
    with workspace.temporary("go-list") as folder:
        (folder / "go.mod").write_text(main.go_mod)
        if main.go_sum:
            (folder / "go.sum").write_bytes(Path(main.go_sum).read_bytes())
        return _lines(Command((*listing, "-mod=mod", sample.module.partition("@")[0]), folder, env))


def _lines(command: Command) -> tuple[str, ...]:
    done = shell.run(command)
    return tuple(done.stdout.decode(errors="replace").split()) if done.exit_code == 0 else ()


def _environment(context: BuildContext) -> Environment:
    """Everything that decides what is built."""
    work_file = None if context.sample.module else work_file_of(context.sample.folder)
    target = (("GOOS", context.platform.os), ("GOARCH", context.platform.architecture))
    settings = (*module_settings(str(work_file or "off")), *target)
    return (*settings, *go_level(context.platform), *context.recipe.env, *_c_compilers(context))


def _c_compilers(context: BuildContext) -> Environment:
    """The variables that name cgo's compilers, as words that Go splits again."""
    if context.recipe.cgo is None:
        return ()
    pie = "pie" in (option.rpartition("buildmode=")[2] for option in context.sample.options)
    named = CGO_COMPILERS[context.recipe.cgo].cgo_environment(context.toolchain.c, context.platform, pie=pie)
    return tuple((name, _quoted(words)) for name, words in named)


def _quoted(words: Iterable[str]) -> str:
    """Words as Go reads them back. There are no escapes: a word with both kinds of quotes cannot be written.

    Source: cmd/internal/quoted.
    """
    joined = []
    for word in words:
        if not re.search(r"[\s'\"]", word):
            joined.append(word)
        elif "'" not in word or '"' not in word:
            mark = '"' if "'" in word else "'"
            joined.append(f"{mark}{word}{mark}")
        else:
            raise BadInput(f"{word!r} has both kinds of quotes, and go accepts only one")
    return " ".join(joined)


def _build(context: BuildContext, go: tuple[str, ...], flags: tuple[str, ...], env: Environment) -> tuple[Step, ...]:
    sample, work = context.sample, context.work
    module = module_of(sample.folder)
    program = work / "app"
    lent = _lent_module(context) if sample.package and module is None else ()
    overlay = tuple(f"-overlay={step.output}" for step in lent[-1:])
    found = sorted({*_inputs(module or sample.folder, work_file_of(sample.folder), work), *_settings_file()})
    vendored = module is None or _vendor_fits(go, sample.folder, env)
    flags = (*(() if vendored else ("-mod=readonly",)), *flags, *overlay)
    build = Step(
        title="go build",
        command=Command((*go, "build", *flags, "-o", str(program), *_named(sample)), sample.folder, env),
        output=program,
        stage=1,
        inputs=tuple(each.path for each in found if each.path),
        made=tuple(step.output for step in lent),
        # Which files there are, and where links lead, matters even where nothing else changes.
        names=tuple(each.name for each in found),
        links=True,
        remark="" if vendored else "vendor/modules.txt does not fit go.mod: the vendor folder is not used",
    )
    return (*lent, build)


def _named(sample: Sample) -> tuple[str, ...]:
    return (sample.package,) if sample.package else tuple(f"./{source}" for source in sample.sources)


def _vendor_fits(go: tuple[str, ...], folder: Path, env: Environment) -> bool:
    """Whether go would use the vendor folder, if there is one, as it is. It compares the whole before anything else.

    Source: go.dev/ref/mod, "Vendoring".
    """
    module, work_file = module_of(folder), work_file_of(folder)
    tops = (module, work_file and work_file.parent)
    if not any(top and (top / "vendor/modules.txt").is_file() for top in tops):
        return True
    done = shell.run(Command((*go, "list", "errors"), folder, env))
    return b"inconsistent vendoring" not in done.stderr


def _lent_module(context: BuildContext) -> tuple[Step, ...]:
    """A go.mod for a folder without one, laid over it while go builds; the overlay comes last.

    Only a package of a module can be named by its folder. Files that are named instead are all compiled, whatever
    their names and build constraints say.
    """
    work = context.work
    where = os.path.relpath(work, context.sample.folder.resolve())
    major, minor = numbers(context.toolchain.version)[:2]
    overlay = json.dumps({"Replace": {"go.mod": f"{where}/go.mod"}})
    return (
        write_step(work / "go.mod", f"module app\n\ngo {major}.{minor}\n"),
        write_step(work / "overlay.json", f"{overlay}\n"),
    )


def _install(context: BuildContext, go: tuple[str, ...], flags: tuple[str, ...], env: Environment) -> tuple[Step, ...]:
    """From the module proxy, into a GOPATH of its own: `go install` refuses to say where else, when cross-compiling.

    What was downloaded stays in the caller's module cache. A version means the same for ever; anything else, such as
    `latest`, is asked for each time.
    """
    sample, work = context.sample, context.work
    path = work / "path"
    modules = dict(env).get("GOMODCACHE") or os.environ.get("GOMODCACHE") or str(_gopath() / "pkg/mod")
    own = (*(pair for pair in env if pair[0] not in ("GOPATH", "GOMODCACHE")), ("GOPATH", str(path)))
    own = (*own, ("GOMODCACHE", modules))
    main = proxy(context.toolchain.argv[0], context.workspace).main_module(sample.module)
    if main is not None and main.needed:
        made = _in_main_module(context, main, go, flags, own)
    else:
        install = Step(
            title="go install",
            command=Command((*go, "install", *flags, sample.module), work, own),
            output=path / "bin",
            stage=1,
            links=True,
            always_run=not is_fixed(sample.module.partition("@")[2]),
            remark=_stamped(context, main),
        )
        made = (install,)
    pick = Command(("cp", "--", f"path/bin/{sample.name}", "app"), work)
    product = Product(path / "bin", "", architecture(context.platform.architecture).elf_machine)
    return (
        Step(title="clear", command=Command(("rm", "-rf", "--", "path"), work), output=work),
        *made,
        Step(title="pick the program", command=pick, output=work / "app", stage=2, product=product),
    )


def _in_main_module(
    context: BuildContext, main: MainModule, go: tuple[str, ...], flags: tuple[str, ...], env: Environment
) -> tuple[Step, ...]:
    """What `go install` refuses, built from a main module of ours. Go adds what the program's own go.sum lacks."""
    work, programs = context.work, context.work / "path/bin"
    package = context.sample.module.partition("@")[0]
    sums = work / "go.sum"
    copy = Command(("install", "-m", "644", "--", main.go_sum or os.devnull, str(sums)))
    return (
        write_step(work / "go.mod", main.go_mod),
        Step(title="copy go.sum", command=copy, output=sums),
        Step(
            title="go build",
            command=Command((*go, "build", "-mod=mod", *flags, "-o", f"{programs}/", package), work, env),
            output=programs,
            stage=1,
            links=True,
            remark="; ".join(filter(None, (main.remark, _stamped(context, main)))),
        ),
    )


def _stamps(context: BuildContext) -> Environment:
    """What the sample says; for a program of the module proxy that says nothing, the variables that hold its version.

    What is built in a folder has no version that its files tell.
    """
    sample = context.sample
    if sample.stamps is not None or not sample.module:
        return sample.stamps or ()
    main = proxy(context.toolchain.argv[0], context.workspace).main_module(sample.module)
    return main.stamps if main else ()


def _stamped(context: BuildContext, main: MainModule | None) -> str:
    """What is said of variables that were set without being asked for."""
    if main is None or context.sample.stamps is not None or not main.stamps:
        return ""
    return f"stamped {some([f'{name} = {value}' for name, value in main.stamps])}"


def _stamp(pair: tuple[str, str]) -> tuple[str, str]:
    return ("-X", f"{pair[0]}={pair[1]}")


def _gopath() -> Path:
    """Where go keeps modules. Source: `go help gopath`."""
    given = (os.environ.get("GOPATH") or "").split(os.pathsep)[0]
    return Path(given or os.path.join(os.environ.get("HOME") or "/", "go"))


class _Input(NamedTuple):
    """`name` says where a link leads, too; `path` is "" for a link that does not lead to a file."""

    name: str
    path: str


def _inputs(top: Path, work_file: Path | None, work: Path) -> Iterator[_Input]:
    """The files of the module at `top`, and of all that its go.mod or go.work takes from other folders; and links to
    folders, as an import may lead through one.
    """
    if work_file is not None:
        yield from _files(work_file, work_file.with_name("go.work.sum"))
    for folder in source_folders(top, work_file):
        for entry, is_file in entries_below(folder, built_in(work)):
            name = listed(Path(entry.path)) if entry.is_symlink() else entry.path
            yield _Input(name, entry.path if is_file else "")


def _settings_file() -> Iterator[_Input]:
    """Where `go env -w` writes: what is left to it can still be noticed when it changes."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    yield from _files(Path(home, "go/env"))


def _files(*paths: Path) -> Iterator[_Input]:
    return (_Input(listed(path) if path.is_symlink() else str(path), str(path)) for path in paths if path.is_file())
