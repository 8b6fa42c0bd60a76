"""Counting end to end: facts read from the topics, matched, judged, and added up. See `reconcile`."""
