"""Measure a model: benchmarks, held-out edits and actions, intervals."""
