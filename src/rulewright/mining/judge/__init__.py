"""Whether a guess is right here, and how likely it is to be right elsewhere."""
