"""PyTorch/XLA: what it compiles."""
