"""Leader election: pure rules in `core`, the shell that performs them, and what user code holds."""
