"""One command of a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recipes.model import Command
from recipes.support.printable import shell_word

if TYPE_CHECKING:
    from recipes.compile.product import Product


class Step(NamedTuple):
    """One command, what it reads and what it leaves behind. All paths but those in the argv are absolute.

    `inputs` are known beforehand; the others are in `depfile` afterwards. `made` are inputs that earlier steps make.
    `names` are files whose coming or going changes the result even where no content does. Steps of the same `stage`
    can run side by side.
    """

    title: str
    command: Command
    output: Path
    stage: int = 0
    inputs: tuple[Path | str, ...] = ()
    made: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    depfile: Path | None = None
    linker_map: Path | None = None
    map_on_stdout: bool = False
    links: bool = False
    loads: bool = False
    """It links libraries of this machine: the linker's map says which files these were."""
    is_folder: bool = False
    """It only makes the folder `output`, so that what follows can be pasted."""
    text: str | None = None
    """It writes this into the file `output`, which the steps after it read; an executable one where it is a script."""
    always_run: bool = False
    """What it reads may be another the next time, and only it can tell."""
    remark: str = ""
    """What the user is told when it is done."""
    jobs_flag: str = ""
    """The word that says how much the command does at once: no part of what it makes."""
    optional: bool = False
    """Where it fails, a line says so, and what it has made until then counts."""
    makes_all: bool = False
    """It makes what the project makes by default. Where it fails, what is asked for by name may still be made."""
    product: Product | None = None
    """It copies the program that is found when the steps before it are done; its command names it only then."""
    target_step: Step | None = None
    """Beside `product`: the command that makes its target, where the steps before it have not."""

    @property
    def pasted(self) -> str:
        """The step as it can be pasted into a shell."""
        if self.text is None:
            return f"{self.command} || :" if self.optional else str(self.command)
        name = shell_word(str(self.output))
        made_executable = f"\nchmod +x -- {name}" if self.is_script else ""
        return f"cat > {name} <<'END OF FILE'\n{self.text}END OF FILE{made_executable}"

    @property
    def is_script(self) -> bool:
        return self.text is not None and self.text.startswith("#!")


def write_step(path: Path, text: str) -> Step:
    """The step that writes `text` into the file `path`."""
    return Step(title=f"write {path.name}", command=Command(("tee", "--", str(path))), output=path, text=text)


def folder_step(path: Path) -> Step:
    """The step that makes the folder `path`, before all others."""
    command = Command(("mkdir", "-p", "--", str(path)))
    return Step(title="make the folder", command=command, output=path, stage=-1, is_folder=True)
