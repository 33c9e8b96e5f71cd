"""Verified edits by reversing codemods on real code."""
