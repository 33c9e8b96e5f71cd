"""From an edit to verified ast-grep rules, without a model."""
