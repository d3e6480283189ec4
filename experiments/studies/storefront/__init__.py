"""Whether a shop's statistics hold what they say, over real HTTP with simulated shoppers; see `study`."""
