"""What the texts that a model learns from do to its space and to what it writes."""
