"""fromscratch: the smallest container image that will really run a C++ or Go program.

    Sample ──recipe──▶ Command… ──run──▶ Binary ──read──▶ ElfFacts ──┐
                                            │                        ├─judge─▶ Verdict ──┐
    BaseImage ◀── registry · engine · …     │      RootFs ◀─ layers ─┘                   ├─▶ SizeRow ──▶ report
        │                                   │                                            │
        └─────────────── + ─────────────────┴──assemble──▶ Image ──run──▶ RunOutcome ────┘

One room per stage: `compile`, `inspect`, `package`, `run`, `report`. Bases come from `bases`, and by way of
`registry`, where images go to as well. `model` holds the values that flow between the stages, `pipeline` connects them,
`tasks` is what a user calls.
"""
