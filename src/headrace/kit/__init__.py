"""Floor 0: clock, ids, ARNs, errors and settings. No I/O."""
