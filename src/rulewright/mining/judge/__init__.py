"""Whether a candidate is right here, what it costs, and how likely it is right elsewhere."""
