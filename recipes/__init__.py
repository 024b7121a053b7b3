"""fromscratch: the smallest container image that will really run a C++ or Go program.

    Sample ──recipe──▶ Command… ──run──▶ Binary ──read──▶ ElfFacts ──┐
                                            │                        ├─judge─▶ Verdict ──┐
    BaseImage ◀── registry · engine · …     │      RootFs ◀─ layers ─┘                   ├─▶ SizeRow ──▶ report
        │                                   │                                            │
        └─────────────── + ─────────────────┴──assemble──▶ Image ──run──▶ RunOutcome ────┘

One room per stage: `compile`, `inspect`, `package`, `run`, `report`. `model` holds the values that flow between them,
`pipeline` connects the stages, `tasks` is what a user calls.
"""
