"""One wish carried out in several ways: at the point, in layers, in attention heads."""
