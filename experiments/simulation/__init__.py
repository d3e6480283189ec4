"""Many campaigns side by side against simulated shoppers: their worlds, the run folder, what came of it."""
