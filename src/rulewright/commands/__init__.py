"""The edges: one module per command, a configuration and a `run`."""
