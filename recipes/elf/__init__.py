"""bytes → ElfFacts."""
