"""What the files of a language are called. Source: GCC manual, "Options Controlling the Kind of Output"."""

from __future__ import annotations

C_SUFFIXES = (".c",)
CPP_SUFFIXES = (".cpp", ".cc", ".cxx", ".c++", ".C")
HEADER_SUFFIXES = (".h", ".hh", ".hpp", ".hxx", ".h++", ".H", ".inc", ".inl", ".ipp", ".tpp", ".def")
