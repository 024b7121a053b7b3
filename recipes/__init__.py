"""fromscratch: the smallest container image that will really run a C++ or Go program.

    Sample ──recipe──▶ Command… ──run──▶ Binary ──read──▶ ElfFacts ──┐
                                            │                        ├─judge─▶ Verdict ──┐
    BaseImage ◀── registry · engine · …     │      RootFs ◀─ layers ─┘                   ├─▶ SizeRow ──▶ report
        │                                   │                                            │
        └─────────────── + ─────────────────┴──assemble──▶ Image ──run──▶ RunOutcome ────┘

One room per stage, in the order of the pipeline: `samples`, `compile`, `elf`, `rootfs`, `loader`, `verdict`, `oci`,
`package`, `registry`, `bases`, `run`, `report`. `model` holds the values that flow between them, `pipeline` connects
them for one program, `workflows` uses it for more, `tasks` is what a user calls, and `support` is what all may use.
"""
