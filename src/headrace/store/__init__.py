"""Floor 1: one ordered, transactional, durable key-value store, and the blobs beside it."""
