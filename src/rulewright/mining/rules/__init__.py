"""What a rule says, and rules held to the calls, names and imports that an edit shows."""
