"""The gallery as a page, from what was measured. What was not measured is listed as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from recipes.report.table import markdown, markdown_table
from recipes.report.units import human
from tests.gallery.measure import Measured, Try
from tests.gallery.rows import Kind

_INTRODUCTION = """\
# Other people's programs

Made by `make gallery`, which builds Debian's source packages and Go programs of the module proxy, and packages
programs that are built already. Each is first tried with **the one plain command**: `invoke build-static PATH`,
`invoke build-static MODULE@VERSION`, `invoke bundle FILE` or `invoke smallest FILE`, and nothing else. *First try* is
what came of that. Where it did not work, what it said is below the table, and so are the options with which it did. A
program that failed was measured again where what stopped it had become a rule: the tables say how it is now. How it
was with programs that nobody had tried is in the last section.

*Cold* is that command in a project that has built nothing, downloads included; *warm* is the same command once more.
The times are of a machine that was busy with other work, and go keeps what it has compiled for another program: they
give an idea, and no more. *Our file* is the program alone, *image* all that is in our image. *Debian's* is the program
that Debian ships, with its loader and every library that the loader loads for it. *By hand* is the program alone, where
the project's own build with `-Os -static -s` makes one. *Used for* is what the program did in that very image, with a
client on this machine where it is a server.
"""
_TITLES: dict[Kind, str] = {
    "c": "C and C++, from Debian's source packages",
    "go": "Go, from the module proxy",
    "file": "Programs that are built already",
    "new": "Ten that were not looked at before",
}
_NEW = """\
Chosen before anything was known of them, and tried once each, with the plain command: the results as they were. The
sources of two that were chosen first could not be fetched (pigz; and duf, with which the command failed for that);
cpio and gojq took their places.

Later tens, chosen in the same way and tried once each, are not in this table. C and C++: 6 of 10 were built by the
plain command and then used (pv, m4, ed, lzip, screen, grep; not tcpdump, strace, lsof, findutils); 2 of 10 (make,
dos2unix; not diffutils, file, unzip, tar, psmisc, procps, squashfs-tools, mksh); 5 of 10 (fping, stunnel4, nasm,
mtools, flac, most of them only asked for their version; not dosfstools, ethtool, cscope, zsh, bison). Go: 6 of 10
(shfmt, dasel, freeze, nats, croc, staticcheck, which only started; not chisel, scc and gh, for which the module proxy
refused an answer, nor pcapdump). Installed files: all 10 made an image, 6 of them as at home (rsync, lftp, w3m, fish,
aria2c, clang-14; not mutt, dig, sshd, tclsh8.6).
"""
_COLUMNS = (
    *(
        "program",
        "version",
        "first try",
        "recipe",
        "cold",
        "warm",
        "our file",
        "image",
        "Debian's",
        "by hand",
        "used for",
    ),
)


def render(measured: Sequence[Measured]) -> str:
    """The page, a section for each kind of row."""
    parts = [_INTRODUCTION]
    for kind, title in _TITLES.items():
        rows = [each for each in measured if each.row.kind == kind]
        if rows:
            parts += [f"## {title}\n", *([_NEW] if kind == "new" else []), _section(rows)]
    machines = sorted({each.machine for each in measured if each.machine})
    parts.append(f"Measured on {' and '.join(machines) or 'no machine'}; run by the local engine.")
    return "\n".join(parts) + "\n"


def _section(rows: Sequence[Measured]) -> str:
    done = [each for each in rows if each.tries]
    lines = []
    if done:
        lines += [*wrap(_count(done), 120), "", markdown_table(_COLUMNS, [_cells(each) for each in done])]
    if remarks := [line for each in done for line in _remarks(each)]:
        lines += ["", *(f"- {markdown(line)}" for line in remarks)]
    if left := [each.row.name for each in rows if not each.tries]:
        lines += ["", *wrap(f"Not run: {', '.join(left)}.", 120, break_on_hyphens=False)]
    return "\n".join(lines).strip() + "\n"


def _count(done: Sequence[Measured]) -> str:
    made = sum(each.tries[0].attempt.works for each in done)
    good = sum(each.tries[0].is_good for each in done)
    later = sum(each.tries[-1].is_good for each in done) - good
    return (
        f"Of {len(done)}, the plain command made an image of {made} at the first try, and {good} of these images did "
        f"what they are for. With options {later} more did."
    )


def _best(each: Measured) -> Try | None:
    """The one that did what it is for; else the last that made an image."""
    return next((tried for tried in reversed(each.tries) if tried.attempt.works), None)


def _cells(each: Measured) -> tuple[str, ...]:
    first, best = each.tries[0].attempt, _best(each)
    shipped = f"{human(each.shipped.size)} in {each.shipped.files} files" if each.shipped else ""
    by_hand = "" if each.by_hand is None else human(each.by_hand.size) if each.by_hand.size else "no"
    name = each.row.name if each.row.task == "build-static" else f"{each.row.name} ({each.row.task})"
    start = (name, first.version, "yes" if first.works else "no")
    if best is None:
        return (*start, "", _seconds(first.seconds), "", "none", "none", shipped, by_hand, "")
    image = best.attempt
    recipe = image.recipe if image.base == "scratch" else " on ".join(filter(None, (image.recipe, image.base)))
    cold = first if first.works else image  # what comes after an attempt that worked is not cold any more
    times = _seconds(cold.seconds), _seconds(image.warm)
    sizes = human(image.binary_bytes), human(image.image_bytes)
    return (*start, recipe, *times, *sizes, shipped, by_hand, _used(each, best))


def _used(each: Measured, best: Try) -> str:
    if best.exercised is None:
        return "not tried"
    return each.row.exercise.shows if best.is_good else "**no**"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _remarks(each: Measured) -> Iterator[str]:
    """What did not work, and why, and with what it did: one line each."""
    for tried in each.tries:
        name = " with ".join(filter(None, (each.row.name, " ".join(tried.attempt.options))))
        if not tried.attempt.works:
            yield f"{name}: {tried.attempt.cause}"
        elif tried.exercised and tried.exercised.said:
            yield f"{name}, used for “{each.row.exercise.shows}”: {tried.exercised.said}"
        elif tried.attempt.options:
            yield f"{name}: works"
    if each.by_hand and each.by_hand.size is None:
        yield f"{each.row.name} by hand: {each.by_hand.said}"
