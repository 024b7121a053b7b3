"""What the steps share: the little programs, building them, putting them on bases, judging and running them."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import Recipe
from recipes.model import (
    PROGRAM,
    Additions,
    BaseImage,
    BuildSystem,
    Expect,
    FileEntry,
    Image,
    Language,
    Platform,
    Program,
    RunOutcome,
    RunStatus,
    Sample,
    Verdict,
)
from recipes.package.assemble import assemble, data_layer, finish
from recipes.pipeline import Project
from recipes.rootfs.root import RootFs
from recipes.run.engine import Engine
from recipes.support.workspace import make_folder, write_atomically

GREETING = "Hello World!\n"

_SOURCES: dict[str, tuple[Language, dict[str, str]]] = {
    "hello": ("c++", {"main.cpp": '#include <iostream>\n\nint main() {\n    std::cout << "Hello World!\\n";\n}\n'}),
    "hello-go": (
        "go",
        {
            "go.mod": "module example.org/hello\n\ngo 1.21\n",
            "main.go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("Hello World!")\n}\n',
        },
    ),
    "user-go": (
        "go",
        {
            "go.mod": "module example.org/user\n\ngo 1.21\n",
            "main.go": (
                'package main\n\nimport (\n\t"fmt"\n\t"os/user"\n)\n\nfunc main() {\n'
                '\tuser.LookupId("0")\n\tfmt.Println("Hello World!")\n}\n'
            ),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A program on a base: predicted, then tried."""

    image: Image
    verdict: Verdict
    outcome: RunOutcome

    @property
    def predicted(self) -> str:
        return self.verdict.reason or str(self.verdict.status)

    @property
    def observed(self) -> str:
        """`runs`, or the message that a user would have seen."""
        outcome = self.outcome
        if outcome.status is RunStatus.EXITED and outcome.exit_code == 0:
            return "runs"
        return (outcome.reason or outcome.stderr.strip() or f"exit code {outcome.exit_code}").splitlines()[0]

    @property
    def agrees(self) -> bool | None:
        """Whether it went as predicted, message and all; None where nothing could be run."""
        if self.outcome.status is RunStatus.NOT_RUN:
            return None
        return same_words(self.predicted, self.observed)


def same_words(predicted: str, observed: str) -> bool:
    """Engines put their own name of what they start before the kernel's words; these have to be the same."""
    return predicted == observed or predicted.rpartition(": ")[2].lower() == observed.rpartition(": ")[2].lower()


@dataclass(frozen=True, slots=True)
class Stage:
    """`project` says where, `engine` runs."""

    project: Project
    engine: Engine
    _bases: dict[str, BaseImage] = field(default_factory=dict)

    @property
    def platform(self) -> Platform:
        return Platform.host()

    @property
    def folder(self) -> Path:
        return self.project.workspace.build / "walkthrough"

    def sample(self, name: str) -> Sample:
        """One of the little programs, written to disk: the walkthrough needs no samples of the project's own."""
        language, files = _SOURCES[name]
        folder = self.folder / name
        for file, text in files.items():
            place = folder / file
            if not place.exists() or place.read_text() != text:
                make_folder(folder)
                write_atomically(place, text.encode())
        sources = tuple(Path(file) for file in files if not file.endswith(".mod"))
        build: BuildSystem = "go" if language == "go" else "sources"
        return Sample(f"walkthrough-{name}", folder, language, sources, build=build, expect=Expect(GREETING))

    def build(self, name: str, recipe: Recipe, platform: Platform | None = None) -> Program:
        return pipeline.build_program(self.project, self.sample(name), recipe, platform or self.platform)

    def base(self, name: str) -> BaseImage:
        """Raises: RecipeError where it is unavailable."""
        if name not in self._bases:
            project = self.project
            self._bases[name] = resolve(name, self.platform, project.workspace, project.store)
        return self._bases[name]

    def root(self, base: BaseImage) -> RootFs:
        return pipeline.open_root(self.project, base)

    def folder_as_base(self, name: str, files: Iterable[tuple[str, Path]]) -> BaseImage:
        """A base of exactly these files: (path in the root, file of this machine)."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        for path, source in files:
            place = folder / path.lstrip("/")
            make_folder(place.parent)
            shutil.copy(source, place)
        project = self.project
        base = resolve(f"rootfs:{folder}", self.platform, project.workspace, project.store)
        return dataclasses.replace(base, name=name)

    def try_on(self, program: Program, base: BaseImage) -> Trial:
        image, verdict = pipeline.package(self.project, program, base)
        return Trial(image, verdict, self.engine.run(image))

    def try_script(self, script: Path, program: Program, base: BaseImage) -> Trial:
        """The same for a file that starts with `#!`, in the place of a program and with its settings."""
        from recipes.verdict.scripts import judge_script

        store = self.project.store
        layer = data_layer((FileEntry(PROGRAM, script, 0o755),), store, self.project.compression)
        image = finish(
            program, base, layer, store, name="walkthrough:script", additions=Additions(), entrypoint=(PROGRAM,)
        )
        line = script.read_bytes().partition(b"\n")[0]
        user = image.settings.user
        verdict = judge_script(self.root(base), line, PROGRAM, self.platform, env=base.env, user=user)
        return Trial(image, verdict, self.engine.run(image))

    def run_through(self, program: Program, base: BaseImage, *words: str) -> RunOutcome:
        """The program as the argument of a program of the base."""
        image = assemble(
            program,
            base,
            store=self.project.store,
            name=f"walkthrough:{Path(words[0]).name}",
            entrypoint=(*words, PROGRAM),
        )
        return self.engine.run(image)


def other_platform(platform: Platform) -> Platform:
    return Platform("linux", "arm64" if platform.architecture == "amd64" else "amd64")
