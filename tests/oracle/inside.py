"""Runs inside a root, as a process of its own: asks the root's loader about many programs, one after the other.

`python -IS inside.py ROOT FOLDER…` shows each FOLDER of this machine at the same path beneath ROOT/mnt, enters ROOT,
and answers one JSON list on stdin (of argv, env and working folder) with one on stdout: of exit code, both outputs
together, and, of a program that stopped itself, the files that were mapped then, else null.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys

_MOST_SECONDS = 60
_MOST_OUTPUT = 1 << 20


def main() -> None:
    root, *folders = sys.argv[1:]
    requests = json.load(sys.stdin)
    for folder in folders if root != "/" else ():
        subprocess.run(("mount", "--rbind", folder, f"{root}/mnt{folder}"), check=True)
    if root != "/":  # every engine mounts it, and glibc's loader asks it where the program is
        subprocess.run(("mount", "--rbind", "/proc", f"{root}/proc"), check=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _too_late)
    null = os.open("/dev/null", os.O_RDONLY)
    os.chroot(root)
    json.dump([_answer(null, *request) for request in requests], sys.stdout)


def _answer(null: int, argv: list[str], env: dict[str, str], folder: str) -> tuple[int, str, list[str] | None]:
    output = os.memfd_create("output")
    os.chdir(folder)
    try:
        code, mapped = _run(null, output, argv, env)
        return code, os.pread(output, _MOST_OUTPUT, 0).decode(errors="surrogateescape"), mapped
    except OSError as error:
        return -1, error.strerror or "", None
    finally:
        os.close(output)


def _run(null: int, output: int, argv: list[str], env: dict[str, str]) -> tuple[int, list[str] | None]:
    # A group of its own: the program stops the whole of it.
    process = subprocess.Popen(argv, env=env, stdin=null, stdout=output, stderr=output, process_group=0)
    signal.alarm(_MOST_SECONDS)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, None
        return 0, _mapped(process.pid)
    except TimeoutError:
        return -2, None
    finally:
        signal.alarm(0)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _mapped(pid: int) -> list[str]:
    with open(f"/proc/{pid}/maps", errors="surrogateescape") as maps:
        fields = [line.rstrip("\n").split(maxsplit=5) for line in maps]
    return sorted({each[5] for each in fields if len(each) == 6 and each[5].startswith("/")})


def _too_late(*_: object) -> None:
    raise TimeoutError


if __name__ == "__main__":
    main()
