"""Meson: a native or a cross file. Source: mesonbuild.com, "Machine files"."""

from __future__ import annotations

from recipes.compile import wrapper
from recipes.compile.buildtools import require
from recipes.compile.plan import Step
from recipes.compile.product import Product
from recipes.compile.project import Site
from recipes.compile.targets import processor


def steps(site: Site) -> tuple[tuple[Step, ...], Product]:
    """Raises: ToolMissing."""
    meson, ninja = require("meson", site.sample.name), require("ninja", site.sample.name)
    name = "cross.ini" if site.foreign else "native.ini"
    settings = (
        # `plain` adds no flags: the recipe's are in its compiler.
        "-Dbuildtype=plain",
        "-Ddefault_library=static",
        f"-Dprefer_static={'true' if site.recipe.static else 'false'}",
    )
    file = f"--{'cross' if site.foreign else 'native'}-file={site.work / name}"
    configure = (f"NINJA={ninja}", meson, "setup", file, *settings, *site.sample.options, str(site.build), ".")
    return (
        site.write(name, _machine_file(site)),
        site.run("configure", site.source, *configure, output=site.build / "build.ninja", inputs=(meson, ninja)),
        site.ninja(ninja),
    ), site.product(site.build, alone=bool(site.sample.target))


def _machine_file(site: Site) -> str:
    tools = (("c", wrapper.CC), ("cpp", wrapper.CXX), ("ar", wrapper.AR), ("ranlib", wrapper.RANLIB))
    lines = ["[binaries]", *(f"{name} = {_quote(tool)}" for name, tool in tools)]
    if site.foreign:
        machine, family, order = processor(site.platform)
        lines += ["pkg-config = 'pkg-config'"] if site.closed else []
        lines += ["[host_machine]", "system = 'linux'", f"cpu_family = {_quote(family)}", f"cpu = {_quote(machine)}"]
        lines.append(f"endian = {_quote(order)}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
