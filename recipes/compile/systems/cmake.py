"""CMake: a toolchain file, and a file that each project() reads after CMake has decided for itself.

Source: cmake-toolchains(7); CMAKE_PROJECT_INCLUDE in cmake-variables(7).
"""

from __future__ import annotations

from recipes.compile import wrapper
from recipes.compile.buildtools import require
from recipes.compile.plan import Step
from recipes.compile.product import Product
from recipes.compile.project import Site
from recipes.compile.targets import processor


def steps(site: Site) -> tuple[tuple[Step, ...], Product]:
    """Raises: ToolMissing."""
    cmake, ninja = require("cmake", site.sample.name), require("ninja", site.sample.name)
    settings = {
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_TOOLCHAIN_FILE": str(site.work / "toolchain.cmake"),
        "CMAKE_PROJECT_INCLUDE": str(site.work / "project.cmake"),
        "CMAKE_BUILD_TYPE": "Release",
        # The recipe's flags are in its compiler: what is taken away here is CMake's own -O3.
        "CMAKE_C_FLAGS_RELEASE": "-DNDEBUG",
        "CMAKE_CXX_FLAGS_RELEASE": "-DNDEBUG",
        "CMAKE_BUILD_RPATH_USE_ORIGIN": "ON",
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",  # CMake 4 refuses what asks for less, though it mostly builds
        "BUILD_SHARED_LIBS": "OFF",
        "BUILD_TESTING": "OFF",
    }
    words = [f"-D{name}={value}" for name, value in settings.items()]
    configure = (cmake, "-G", "Ninja", "-S", ".", "-B", str(site.build), *words, *site.sample.options)
    return (
        site.write("toolchain.cmake", _toolchain(site)),
        site.write("project.cmake", _project(site)),
        site.run("configure", site.source, *configure, output=site.build / "build.ninja", inputs=(cmake, ninja)),
        site.ninja(ninja),
    ), site.product(site.build, alone=bool(site.sample.target))


def _toolchain(site: Site) -> str:
    lines = []
    if site.foreign:
        lines += [_set("CMAKE_SYSTEM_NAME", "Linux"), _set("CMAKE_SYSTEM_PROCESSOR", processor(site.platform)[0])]
    for name, tool in (("C_COMPILER", wrapper.CC), ("CXX_COMPILER", wrapper.CXX), ("ASM_COMPILER", wrapper.CC)):
        lines.append(_set(f"CMAKE_{name}", str(site.tools / tool)))
    for name, tool in (("AR", wrapper.AR), ("RANLIB", wrapper.RANLIB)):
        for prefix in ("", "C_COMPILER_", "CXX_COMPILER_"):
            lines.append(_set(f"CMAKE_{prefix}{name}", str(site.tools / tool), 'CACHE FILEPATH ""'))
    if site.closed:
        # Neither headers nor libraries nor packages of this machine: only programs, which are to be run here.
        lines.append(_set("CMAKE_FIND_ROOT_PATH", str(site.work / "nothing")))
        lines += [_set(f"CMAKE_FIND_ROOT_PATH_MODE_{kind}", "ONLY") for kind in ("LIBRARY", "INCLUDE", "PACKAGE")]
        lines.append(_set("CMAKE_FIND_ROOT_PATH_MODE_PROGRAM", "NEVER"))
    return "\n".join(lines) + "\n"


def _project(site: Site) -> str:
    if not site.recipe.static:
        return "# Nothing to change: the recipe links dynamically.\n"
    lines = ["# CMake sets these anew after the toolchain file."]
    lines.append(_set("CMAKE_FIND_LIBRARY_SUFFIXES", ".a"))
    for language in ("C", "CXX"):
        # -rdynamic, and the -Wl,-Bdynamic behind each static library, would ask for dynamic linking after all.
        lines.append(_set(f"CMAKE_SHARED_LIBRARY_LINK_{language}_FLAGS", ""))
        lines.append(_set(f"CMAKE_EXE_LINK_DYNAMIC_{language}_FLAGS", ""))
    return "\n".join(lines) + "\n"


def _set(name: str, value: str, more: str = "") -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace(";", "\\;")
    return f'set({name} "{escaped}"{" " if more else ""}{more})'
