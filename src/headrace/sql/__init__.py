"""Floor 2: what the warehouse and stream analytics share of SQL."""
