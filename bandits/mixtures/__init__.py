"""Which stored texts to mix and with which weights: all pairs of a small pool, or a search through a large one."""
