"""The text of an edit: trees, how they are aligned, and what a place looks like as a pattern."""
