"""The streaming SQL engine: compiles SQL-1_0 applications and runs them incrementally, in a process of its own."""
