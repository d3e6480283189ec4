"""Whether simulated shoppers are like the readers of real tests."""
