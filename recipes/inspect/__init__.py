"""Binary → ElfFacts → Verdict. Everything here is pure: bytes in, values out."""
