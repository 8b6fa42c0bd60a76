"""The tests, and the benchmark beside them (`safebus bench` imports `tests.bench` from a checkout)."""
