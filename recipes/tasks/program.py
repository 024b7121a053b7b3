"""`fromscratch`: the tasks as a command of their own, which works in any folder."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from invoke.config import Config
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program
from invoke.util import helpline

import recipes
from recipes.errors import BadInput
from recipes.support import console
from recipes.tasks import GROUPS, collection
from recipes.tasks.completion import candidates, script
from recipes.tasks.ending import reader_may_leave
from recipes.tasks.help import QUIET, VERBOSE, columns
from recipes.tasks.output import show
from recipes.tasks.place import cache_folder, project_around
from recipes.tasks.usage import explained

_OPTIONS = {
    "help": ("-h, --help [TASK]", "print this, or what a task takes, and exit"),
    "list": ("-l, --list", "print the tasks alone"),
    "version": ("-V, --version", "print the version"),
    "quiet": QUIET,
    "verbose": VERBOSE,
    "print-completion-script": (
        "--print-completion-script SHELL",
        "print what makes bash, zsh or fish complete tasks, options and their values",
    ),
}
_HIDDEN = ("complete", "debug", "list-depth", "list-format", "write-pyc")
"""Those of Invoke's own options that are about us; the others are about commands that tasks run in a shell."""


class Settings(Config):
    """Invoke's, from files called fromscratch.yaml, so that what is meant for `invoke` does not reach us."""

    prefix = "fromscratch"


class Fromscratch(Program):
    """Invoke's program with our tasks alone, and our words for what it prints."""

    def __init__(self) -> None:
        super().__init__(
            version=recipes.__version__,
            namespace=collection(project_around(Path.cwd()) or cache_folder()),
            name="fromscratch",
            binary="fromscratch",
            binary_names=["fromscratch"],
            config_class=Settings,
        )

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002  # Invoke's name
        with reader_may_leave():
            super().run(argv, exit)

    def core_args(self) -> list[Argument]:
        theirs = [each for each in super().core_args() if each.name in (*_OPTIONS, *_HIDDEN)]
        return [*theirs, *(Argument(names=(name, name[0]), kind=bool, default=False) for name in ("quiet", "verbose"))]

    def print_version(self) -> None:
        show(f"{self.name} {self.version}\n")

    def print_help(self) -> None:
        show(f"Usage: {self.binary} TASK [WORDS AND OPTIONS]\n\n")
        self.list_tasks()
        show("\nOptions\n" + columns(_OPTIONS.values()))
        show(f"\n`{self.binary} TASK --help` shows what a task takes, with examples.\n")

    def list_flat(self) -> None:
        """Every task with its first sentence, under the headings of `GROUPS`."""
        for number, (title, tasks) in enumerate(GROUPS.items()):
            pairs = ((self.collection.transform(each.name), str(helpline(each))) for each in tasks)
            show(("\n" if number else "") + f"{title}\n" + columns(pairs, left=13))

    def print_task_help(self, name: str) -> None:
        show(self.collection[name].render_help(self.binary))

    def parse_core_args(self) -> None:
        """Completion is ours, so what Invoke would do about it is done before it is asked."""
        super().parse_core_args()
        if shell := self.args["print-completion-script"].value:
            with self._explaining():
                show(script(shell))
            raise Exit

    def parse_core(self, argv: list[str] | None) -> None:
        super().parse_core(argv)
        sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)  # Invoke forbids it, whatever the user says

    def parse_tasks(self) -> None:
        with self._explaining():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        if self.args.complete.value:
            self._complete(self.argv[self.argv.index("--") + 1 :])
            raise Exit
        with self._explaining():
            super().parse_cleanup()

    def update_config(self, merge: bool = True) -> None:
        """`--verbose` and `--quiet` are what Invoke calls echo and hide; its other options are not among ours."""
        run = {"echo": self.args.verbose.value or None, "hide": self.args.quiet.value or None}
        self.config.load_overrides({"run": {name: value for name, value in run.items() if value}}, merge=merge)

    def _complete(self, words: list[str]) -> None:
        from recipes.pipeline import Project

        project = Project.at(Path(self.collection.configuration()["fromscratch"]["root"]))
        found = candidates(words, self.initial_context, self._make_parser().contexts, project)
        show("".join(f"{each}\n" for each in found))

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """An error of Invoke's parser ends the program with our words and exit code."""
        try:
            yield
        except BadInput as error:
            console.error(error.message, error.hint)
            raise Exit(code=error.exit_code) from error
        except ParseError as error:
            tasks = self.parser.contexts
            reading = next((tasks[word] for word in self.core.unparsed if word in tasks), None)
            wrong = explained(error, error.context or reading, self.initial_context, tasks, self.binary)
            console.error(wrong.message, wrong.hint)
            raise Exit(code=wrong.exit_code) from error


def main() -> None:
    """The console script."""
    Fromscratch().run()


if __name__ == "__main__":
    main()
