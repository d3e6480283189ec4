"""Where the parts meet: the loop (read `experiments.loop` first), studies, reports and the command line."""
