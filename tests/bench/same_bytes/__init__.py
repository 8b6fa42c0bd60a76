"""
Does this tree decide, write and deliver the same bytes as an earlier commit?

    python -m tests.bench.same_bytes 579cafd [--events 2000] [--seed 1]

One story (`worlds`, `town`), told in a process of each tree (`record`); what came of it is laid side by side
(`compare`).
"""
