"""Runs inside a root, as a process of its own: asks the root's loader about many programs, one after the other.

`python -IS inside.py ROOT FOLDER…` shows each FOLDER of this machine at the same path beneath ROOT/mnt, enters ROOT,
and answers one JSON list on stdin (of argv and env) with one on stdout (of exit code, and both outputs together).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main() -> None:
    root, *folders = sys.argv[1:]
    requests = json.load(sys.stdin)
    for folder in folders if root != "/" else ():
        subprocess.run(("mount", "--rbind", folder, f"{root}/mnt{folder}"), check=True)
    if root != "/":  # every engine mounts it, and glibc's loader asks it where the program is
        subprocess.run(("mount", "--rbind", "/proc", f"{root}/proc"), check=True)
    null = os.open("/dev/null", os.O_RDONLY)
    os.chroot(root)
    os.chdir("/")
    answers = []
    for argv, env in requests:
        try:
            done = subprocess.run(
                argv, env=env, stdin=null, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
            )
            answers.append((done.returncode, done.stdout.decode(errors="surrogateescape")))
        except OSError as error:
            answers.append((-1, error.strerror or ""))
        except subprocess.TimeoutExpired:
            answers.append((-2, "time-out"))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
