"""The task that runs an image, as a user would."""

from __future__ import annotations

from invoke.context import Context

from recipes import errors
from recipes.tasks.ending import ending_well
from recipes.tasks.options import COMMON, ENGINES, one_of, open_project, parse_bytes, platform_of, words
from recipes.tasks.task import task


@task(
    help={
        "image": "an image of the store, as the tasks print it (hello:gcc-static-scratch; hello is hello:latest), or "
        "a file: oci:DIR[:tag], oci-archive:FILE, docker-archive:FILE",
        "args": "arguments, quoted as in a shell, in place of the image's own command",
        "stdin": "text for its stdin, in place of the caller's",
        "network": "none, or host: this machine's own network",
        "tty": "give it a terminal, shown on this one",
        "memory": "the most memory that it may take, for example 2GiB (default: 512MiB)",
        **{name: COMMON[name] for name in ("engine", "platform")},
    },
)
@ending_well
def run(
    c: Context,
    image: str,
    args: str = "",
    stdin: str | None = None,
    network: str = "none",
    tty: bool = False,
    memory: str = "",
    engine: str = "auto",
    platform: str = "",
) -> int:
    """Run an image: with this terminal's input and output, and the program's exit code.

    Examples:
        run hello
        run hello:gcc-static-scratch --args=--help --network host
    """
    from recipes.support import streams
    from recipes.workflows import stored

    one_of("engine", engine, ENGINES)
    one_of("network", network, ("none", "host"))
    if tty and stdin is not None:
        raise errors.BadInput("--tty and --stdin exclude each other", hint="a terminal is typed into")
    if tty and not streams.is_terminal():
        raise errors.BadInput("--tty needs a terminal as stdin", hint="leave it out where input comes from elsewhere")
    project = open_project(c)
    return stored.attach(
        project,
        stored.find(project, image, platform_of(platform)),
        engine,  # type: ignore[arg-type]  # checked above
        args=words(args),
        stdin=None if stdin is None else stdin.encode("utf-8", "surrogateescape"),
        terminal=tty,
        network=network,
        memory=parse_bytes("memory", memory),
    )
