"""Small projects of our own, one for each build system: their files by path."""

from __future__ import annotations

LIBRARY = {
    "lib/greet.h": '#ifdef __cplusplus\nextern "C"\n#endif\nconst char *greet(void);\n',
    "lib/greet.c": '#include "greet.h"\nconst char *greet(void) { return "hello"; }\n',
}

MAIN_CPP = """\
#include <iostream>
#include "greet.h"
#include "version.h"
int main() { std::cout << greet() << " " << VERSION << " " << __FILE__ << "\\n"; }
"""

MAIN_C = """\
#include <stdio.h>
#include "greet.h"
int main(void) { puts(greet()); return 0; }
"""

RESOLVE_C = """\
#include <netdb.h>
#include <stdio.h>
int main(void) { struct addrinfo *a; puts("resolve"); return getaddrinfo("x", "y", 0, &a) == 12345; }
"""

CMAKE = {
    **LIBRARY,
    "src/main.cpp": MAIN_CPP,
    "src/other.cpp": '#include <cstdio>\nint main() { std::puts("other"); }\n',
    "src/version.h.in": '#define VERSION "@PROJECT_VERSION@"\n',
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.10)
project(app VERSION 1.2.3 LANGUAGES C CXX)
include(CTest)
configure_file(src/version.h.in version.h)
add_library(greet lib/greet.c)
target_include_directories(greet PUBLIC lib ${CMAKE_CURRENT_BINARY_DIR})
add_executable(server src/main.cpp)
target_link_libraries(server greet)
add_executable(client src/other.cpp)
set_target_properties(client PROPERTIES OUTPUT_NAME the-client)
if(BUILD_TESTING)
  add_executable(tests src/other.cpp)
endif()
""",
}

CMAKE_C = {
    "main.c": '#include <stdio.h>\nint main(void) { puts("only C"); return 0; }\n',
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(only C)\nadd_executable(only main.c)\n",
}

MESON = {
    **LIBRARY,
    "main.cpp": MAIN_CPP,
    "version.h.in": '#define VERSION "@version@"\n',
    "meson.build": """\
project('app', 'c', 'cpp', version: '1.2.3')
configure_file(input: 'version.h.in', output: 'version.h', configuration: {'version': meson.project_version()})
greet = library('greet', 'lib/greet.c')
executable('app', 'main.cpp', include_directories: 'lib', link_with: greet)
""",
}

AUTOTOOLS = {
    **LIBRARY,
    "main.c": """\
#include <config.h>
#include <stdio.h>
#include "greet.h"
int main(void) { puts(greet()); puts(PACKAGE_VERSION); return 0; }
""",
    "configure.ac": """\
AC_INIT([app], [1.2.3])
AM_INIT_AUTOMAKE([foreign])
AC_CONFIG_HEADERS([config.h])
LT_INIT
AC_PROG_CC
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
""",
    "Makefile.am": """\
AM_CPPFLAGS = -I$(srcdir)/lib
lib_LTLIBRARIES = libgreet.la
libgreet_la_SOURCES = lib/greet.c
bin_PROGRAMS = app
app_SOURCES = main.c
app_LDADD = libgreet.la
""",
}

MAKE = {
    **LIBRARY,
    "main.c": MAIN_C,
    "tools/Makefile": "all: resolve\nresolve: resolve.c\n\t$(CC) $(CFLAGS) -o $@ $<\n",
    "tools/resolve.c": RESOLVE_C,
    "Makefile": """\
CC = cc
AR = ar rc
RANLIB = ranlib
CFLAGS = -g -O0 -Wall -Ilib
all: app
\t$(MAKE) -C tools
app: main.o libgreet.a
\t$(CC) -o $@ $^
libgreet.a: lib/greet.o
\t$(AR) $@ $^
\t$(RANLIB) $@
lib/greet.o: lib/greet.c
\t$(CC) $(CFLAGS) -c -o $@ $<
""",
}
