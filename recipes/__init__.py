"""fromscratch: the smallest container image that will really run a C++ or Go program.

    Sample ──recipe──▶ Command… ──run──▶ Binary ──read──▶ ElfFacts ─┐
                                                                    ├─judge─▶ Verdict ─┐
    BaseImage ◀── scratch · registry · engine · OCI layout · Debian ┘                  ├─▶ SizeRow ─▶ table · JSON · HTML
                     │                                                                 │
                     └──── + Binary ──assemble──▶ Image ──run──▶ RunOutcome ───────────┘

One room per stage: `compile`, `inspect`, `package`, `run`, `report`. `model` holds the values that flow between them.
"""
