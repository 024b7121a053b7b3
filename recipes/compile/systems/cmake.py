"""CMake: a toolchain file, and a file that each project() reads after CMake has decided for itself.

Source: cmake-toolchains(7); CMAKE_PROJECT_INCLUDE in cmake-variables(7).
"""

from __future__ import annotations

from recipes.compile.context import BuildContext
from recipes.compile.systems import extras, project, wrapper
from recipes.compile.systems.buildtools import require
from recipes.compile.systems.protocol import PlannedSteps

_STATIC_LIBRARIES = """\
# A library that is asked for as SHARED could not be linked. Most projects make a static one too, of the same name.
if(NOT COMMAND _add_library)
  function(add_library name)
    set(words ${ARGV})
    list(FIND words SHARED shared)
    list(FIND words IMPORTED imported)
    if(shared GREATER -1 AND imported EQUAL -1)
      list(TRANSFORM words REPLACE "^SHARED$" "STATIC")
      _add_library(${words})
      set_target_properties(${name} PROPERTIES ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/instead-of-shared")
    else()
      _add_library(${words})
    endif()
  endfunction()
endif()
"""


def steps(context: BuildContext) -> PlannedSteps:
    """Raises: ToolMissing, BadInput."""
    cmake, ninja = require("cmake", context.sample.name), require("ninja", context.sample.name)
    settings = {
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_TOOLCHAIN_FILE": str(context.work / "toolchain.cmake"),
        "CMAKE_PROJECT_INCLUDE": str(context.work / "project.cmake"),
        "CMAKE_BUILD_TYPE": "Release",
        # The recipe's flags are in its compiler: what is taken away here is CMake's own -O3.
        "CMAKE_C_FLAGS_RELEASE": "-DNDEBUG",
        "CMAKE_CXX_FLAGS_RELEASE": "-DNDEBUG",
        "CMAKE_BUILD_RPATH_USE_ORIGIN": "ON",
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",  # CMake 4 refuses what asks for less, though it mostly builds
        "BUILD_SHARED_LIBS": "OFF",
        "BUILD_TESTING": "OFF",
    }
    settings |= dict.fromkeys(extras.of_cmake(context.sample.folder), "OFF")
    words = [f"-D{name}={value}" for name, value in settings.items()]
    configure = (cmake, "-G", "Ninja", "-S", ".", "-B", str(context.build), *words, *context.sample.options)
    build, target_step = project.ninja(context, ninja)
    its_own = (
        project.write(context, "toolchain.cmake", _toolchain(context)),
        project.write(context, "project.cmake", _project(context)),
        project.run(
            context,
            "configure",
            context.source,
            *configure,
            output=context.build / "build.ninja",
            inputs=(cmake, ninja),
        ),
        build,
        project.install(context, context.build, cmake, "--install", "."),
    )
    return project.planned(context, its_own, context.build, target_step)


def _toolchain(context: BuildContext) -> str:
    lines = []
    if context.foreign:
        lines += [
            _set("CMAKE_SYSTEM_NAME", "Linux"),
            _set("CMAKE_SYSTEM_PROCESSOR", project.processor(context.platform)[0]),
        ]
    for name, tool in (("C_COMPILER", wrapper.CC), ("CXX_COMPILER", wrapper.CXX), ("ASM_COMPILER", wrapper.CC)):
        lines.append(_set(f"CMAKE_{name}", str(context.tools / tool)))
    for name, tool in (("AR", wrapper.AR), ("RANLIB", wrapper.RANLIB)):
        for prefix in ("", "C_COMPILER_", "CXX_COMPILER_"):
            lines.append(_set(f"CMAKE_{prefix}{name}", str(context.tools / tool), 'CACHE FILEPATH ""'))
    if context.compiler.brings_its_own_libc:
        # Neither headers nor libraries nor packages of this machine: only programs, which are to be run here.
        lines.append(_set("CMAKE_FIND_ROOT_PATH", str(context.work / "nothing")))
        lines += [_set(f"CMAKE_FIND_ROOT_PATH_MODE_{kind}", "ONLY") for kind in ("LIBRARY", "INCLUDE", "PACKAGE")]
        lines.append(_set("CMAKE_FIND_ROOT_PATH_MODE_PROGRAM", "NEVER"))
    return "\n".join(lines) + "\n"


def _project(context: BuildContext) -> str:
    if not context.recipe.static:
        return "# Nothing to change: the recipe links dynamically.\n"
    lines = ["# CMake sets these anew after the toolchain file."]
    lines.append(_set("CMAKE_FIND_LIBRARY_SUFFIXES", ".a"))
    for language in ("C", "CXX"):
        # -rdynamic, and the -Wl,-Bdynamic behind each static library, would ask for dynamic linking after all.
        lines.append(_set(f"CMAKE_SHARED_LIBRARY_LINK_{language}_FLAGS", ""))
        lines.append(_set(f"CMAKE_EXE_LINK_DYNAMIC_{language}_FLAGS", ""))
    return "\n".join(lines) + "\n" + _STATIC_LIBRARIES


def _set(name: str, value: str, more: str = "") -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace(";", "\\;")
    return f'set({name} "{escaped}"{" " if more else ""}{more})'
