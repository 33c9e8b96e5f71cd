"""Supervised reinforcement learning on verified teacher steps (SPEC sections 6 and 7)."""
