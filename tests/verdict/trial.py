"""Put a program into a root, predict what happens, then do it: the two are compared by the tests."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath

from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.elf.segments import BytesReader, Reader
from recipes.errors import BadInput
from recipes.model import Command, Environment, Finding, Platform, Verdict
from recipes.rootfs.accounts import Account
from recipes.support import shell
from recipes.verdict.judge import judge
from tests.need import need, need_tool

CONTAINER_ENV: Environment = (("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/"))


# chroot(1) tries /bin/sh where the kernel refuses a file; this says what the kernel said, as runc does.
_LAUNCH = """
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
try:
    os.execve(sys.argv[2], sys.argv[2:], os.environ)
except OSError as error:
    sys.stderr.write(f"exec {sys.argv[2]}: {error.strerror.lower()}\\n")
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


class FolderRoot:
    """A folder without links as a root, of which everybody may see everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def exists(self, path: str) -> bool:
        return path != "" and self._at(path).exists()

    def is_folder(self, path: str) -> bool:
        return self._at(path).is_dir()

    def is_loop(self, path: str) -> bool:
        return False

    def mode(self, path: str) -> int:
        return self._at(path).stat().st_mode & 0o7777 if self.exists(path) else 0

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(entry.name for entry in self._at(path).iterdir()) if path and self.is_folder(path) else ()

    def beneath_mounts(self, folders: tuple[str, ...]) -> FolderRoot:
        return self

    def file_on_the_way(self, path: str) -> str:
        way = PurePosixPath(f"{path}_").parents  # with a slash at its end, a path takes all of itself for a folder
        return next((str(each) for each in way if self._at(str(each)).is_file()), "")

    def seen_by(self, account: Account) -> FolderRoot:
        return self

    def may_read(self, path: str) -> bool:
        return self.exists(path)

    def may_execute(self, path: str) -> bool:
        return self.exists(path) and not self.is_folder(path) and bool(self.mode(path) & 0o111)

    def barrier(self, path: str) -> str:
        return ""

    def may_pass_top(self) -> bool:
        return True

    def reader(self, path: str) -> Reader:
        if not self._at(path).is_file():
            raise BadInput(f"no file {path!r}")
        return BytesReader(self._at(path).read_bytes())


class Trial:
    """One program in one root."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.program = program
        folder.mkdir(exist_ok=True)
        shutil.copy(program, folder / "app")
        (folder / "app").chmod(0o755)

    def add(self, path: str, content: bytes = b"x") -> Trial:
        """Put a file (or, with a closing slash, a folder) into the root."""
        target = self.folder / path.strip("/")
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            target.chmod(0o1777)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return self

    def verdict(
        self,
        *,
        platform: str = "linux/amd64",
        env: Environment = (),
        warnings: tuple[str, ...] = (),
        commands: tuple[Command, ...] = (),
        linker_map: Path | None = None,
    ) -> Verdict:
        return judge(
            examine(self.program),
            read_elf(self.program),
            FolderRoot(self.folder),
            Platform.parse(platform),
            env=env,
            warnings=warnings,
            commands=commands,
            linker_map=linker_map,
        )

    def codes(self, **settings: object) -> set[str]:
        return {finding.code for finding in self.verdict(**settings).findings}  # type: ignore[arg-type]

    def predicted(self, code: str, **settings: object) -> Finding:
        verdict = self.verdict(**settings)  # type: ignore[arg-type]
        found = [finding for finding in verdict.findings if finding.code == code]
        assert len(found) == 1, verdict
        assert found[0].evidence
        assert found[0].fix
        return found[0]

    def run(self, *args: str, env: Environment = ()) -> shell.Completed:
        """Really run it: in its root, without a network, as an ordinary user or not."""
        enter = (need_tool("unshare"), "--map-root-user", "--net")
        need(shell.run(Command((*enter, "true"))).exit_code == 0, "user namespaces")
        launch = (sys.executable, "-IS", "-c", _LAUNCH, str(self.folder), "/app", *args)
        return shell.run(Command((*enter, *launch)), environment=dict((*CONTAINER_ENV, *env)), timeout=20)

    def output(self, *args: str, env: Environment = ()) -> str:
        done = self.run(*args, env=env)
        return (done.stdout + done.stderr).decode(errors="replace")
