"""Apply rules to the user's files: what they do, how sure each place is, what is written."""
