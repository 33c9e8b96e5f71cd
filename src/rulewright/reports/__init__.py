"""Pages about a run, as pure functions of the files it saved."""
