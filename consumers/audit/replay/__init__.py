"""Making decisions again: what is read, matched, looked at twice and found. See `consumers.audit.replay.verify`."""
