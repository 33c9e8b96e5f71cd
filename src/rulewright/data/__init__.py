"""Edit data: from every source of the plan to clean, split, normalized records."""
