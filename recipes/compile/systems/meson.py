"""Meson: a native or a cross file. Source: mesonbuild.com, "Machine files"."""

from __future__ import annotations

from recipes.compile.context import BuildContext
from recipes.compile.systems import extras, project, wrapper
from recipes.compile.systems.buildtools import require
from recipes.compile.systems.protocol import PlannedSteps


def steps(context: BuildContext) -> PlannedSteps:
    """Raises: ToolMissing, BadInput."""
    meson, ninja = require("meson", context.sample.name), require("ninja", context.sample.name)
    name = "cross.ini" if context.foreign else "native.ini"
    settings = (
        # `plain` adds no flags: the recipe's are in its compiler.
        "-Dbuildtype=plain",
        "-Ddefault_library=static",
        f"-Dprefer_static={'true' if context.recipe.static else 'false'}",
        *(f"-D{name}={value}" for name, value in extras.of_meson(context.sample.folder)),
    )
    file = f"--{'cross' if context.foreign else 'native'}-file={context.work / name}"
    configure = (f"NINJA={ninja}", meson, "setup", file, *settings, *context.sample.options, str(context.build), ".")
    build, target_step = project.ninja(context, ninja)
    its_own = (
        project.write(context, name, _machine_file(context)),
        project.run(
            context,
            "configure",
            context.source,
            *configure,
            output=context.build / "build.ninja",
            inputs=(meson, ninja),
        ),
        build,
        project.install(context, context.build, meson, "install", "--no-rebuild"),
    )
    return project.planned(context, its_own, context.build, target_step)


def _machine_file(context: BuildContext) -> str:
    tools = (("c", wrapper.CC), ("cpp", wrapper.CXX), ("ar", wrapper.AR), ("ranlib", wrapper.RANLIB))
    lines = ["[binaries]", *(f"{name} = {_quote(tool)}" for name, tool in tools)]
    if context.foreign:
        machine, family, order = project.processor(context.platform)
        lines += ["pkg-config = 'pkg-config'"] if context.compiler.brings_its_own_libc else []
        lines += ["[host_machine]", "system = 'linux'", f"cpu_family = {_quote(family)}", f"cpu = {_quote(machine)}"]
        lines.append(f"endian = {_quote(order)}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
