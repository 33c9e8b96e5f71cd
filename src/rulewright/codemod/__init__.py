"""Rules over a person's files: what they do, how sure each place is, what is written."""
