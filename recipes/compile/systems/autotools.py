"""`configure` and make. Source: "GNU Coding Standards", 7.2; Autoconf manual, "Defining Variables"."""

from __future__ import annotations

from recipes.compile import make, wrapper
from recipes.compile.buildtools import require
from recipes.compile.plan import Step
from recipes.compile.product import Product
from recipes.compile.project import Site
from recipes.compile.targets import triple


def steps(site: Site) -> tuple[tuple[Step, ...], Product]:
    """Built in the copy itself: not every project can be built in another folder.

    Raises: ToolMissing.
    """
    sample, script = site.sample, site.source / "configure"
    first: tuple[Step, ...] = ()
    if not (sample.folder / "configure").exists():
        tool = require("autoreconf", sample.name)
        made = site.run("make configure", site.source, tool, "--force", "--install", output=script, inputs=(tool,))
        first = (made,)
    flags = " ".join(flag for flag in site.recipe.compile_flags if flag.startswith("-O"))
    variables = [f"CC={wrapper.CC}", f"CXX={wrapper.CXX}", f"AR={wrapper.AR}", f"RANLIB={wrapper.RANLIB}"]
    # Without any, Autoconf would take -g -O2. The recipe's other flags are in its compiler: libtool would not hand
    # all of them on.
    variables += [f"CFLAGS={flags}", f"CXXFLAGS={flags}", "LDFLAGS="]
    if site.recipe.static and not site.closed:
        variables.append("PKG_CONFIG=pkg-config --static")
    argv: tuple[str, ...]
    if _is_autoconf(site):
        host = [f"--host={triple(site.platform, musl=site.toolchain.name == 'zig')}"] if site.foreign else []
        argv = ("./configure", "--disable-shared", "--enable-static", *host, *variables, *sample.options)
    else:  # a script of the project's own: only the environment is sure to be understood
        argv = (*variables, "./configure", *sample.options)
    return (
        *first,
        site.run("configure", site.source, *argv, output=script),
        make.run(site),
    ), site.product(site.source)


def _is_autoconf(site: Site) -> bool:
    try:
        with open(site.sample.folder / "configure", "rb") as file:
            return b"Autoconf" in file.read(8192)
    except FileNotFoundError:  # it will be made by Autoconf
        return True
