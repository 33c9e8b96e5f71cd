"""A change made by hand → general rules, and the places where each may be applied without asking."""
