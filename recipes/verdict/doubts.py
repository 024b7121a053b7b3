"""Rules for what no file can decide; where it can, the build that made the file is asked."""

from __future__ import annotations

import re

from recipes.verdict.locales import has_converters
from recipes.verdict.subject import Evidence, Subject

_MARCH = re.compile(r"-m(?:arch|cpu)=(\S+)")
_LEVEL = re.compile(r"x86-64-v([1-4])")
_BASELINES = ("x86-64", "x86_64", "baseline", "generic", "armv8-a", "rv64gc")


def static_dlopen(subject: Subject) -> Evidence | None:
    """Every static glibc program contains dlopen; only the linker knows whether the program itself calls it."""
    for warning in subject.warnings:
        if "Using 'dlopen' in statically linked applications" in warning:
            return Evidence(
                f"the linker warned: {warning.strip()}",
                "<library>: cannot open shared object file: No such file or directory",
            )
    return None


def static_iconv(subject: Subject) -> Evidence | None:
    program = subject.traits
    # Every iostream program has it, whether it uses it or not: then only the linker knows.
    asking = subject.asked_for.get("iconv_open.o", "")
    known = "iconv_open" in program.symbols and "iostream" not in program.strings
    if program.libc != "glibc" or not (known or asking):
        return None
    if has_converters(subject):
        return None
    evidence = f"{asking} calls iconv_open" if asking else "the symbol iconv_open"
    return Evidence(f"{evidence}, and no gconv folder in the image", "iconv_open: Invalid argument")


def cpu_flags(subject: Subject) -> Evidence | None:
    """gcc leaves no mark of -march in the file; the commands that built it tell."""
    for command in subject.commands:
        for word in command.argv:
            match = _MARCH.fullmatch(word)
            if match is None or match[1] in _BASELINES:
                continue
            level, offered = _LEVEL.fullmatch(match[1]), subject.platform.variant.removeprefix("v")
            if level and offered.isdigit() and int(level[1]) <= int(offered):
                continue
            return Evidence(f"it was compiled with {word}", "Illegal instruction on an older CPU (exit code 132)")
    return None


def weak_pthread(subject: Subject) -> Evidence | None:
    program = subject.traits
    names = sorted(name for name in program.weak if name.startswith("pthread_"))
    if program.libc != "glibc" or not names:
        return None
    return Evidence(
        f"weak symbols that nothing defines: {', '.join(names[:3])}",
        "Segmentation fault when a thread is made, if glibc is older than 2.34 (exit code 139)",
    )


def musl_malloc(subject: Subject) -> Evidence | None:
    program = subject.traits
    threads = program.imports("pthread_create") or "pthread_create" in program.symbols
    allocates = program.imports("malloc") or "__malloc_context" in program.symbols
    if not (subject.is_musl and threads and allocates):
        return None
    return Evidence(
        "musl's own malloc in a program with threads", "no error: allocation in threads is many times slower"
    )
