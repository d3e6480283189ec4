"""Real tests of headlines replayed: what each rule for choosing among them would have earned."""
