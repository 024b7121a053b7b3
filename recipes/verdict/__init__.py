"""Facts, a root and settings → Verdict."""
