"""From one edit, several, or a stream of them to verified rules."""
