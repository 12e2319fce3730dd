"""Floor 2: key layouts on the store: records, log, queue, lease, timer, tags."""
