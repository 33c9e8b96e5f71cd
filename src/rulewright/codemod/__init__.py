"""Apply rules to a person's files: what they do, how sure each place is, what is written."""
