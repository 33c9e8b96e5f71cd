"""Supervised reinforcement learning on verified teacher steps."""
