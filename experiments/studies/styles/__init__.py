"""Whether styles lie apart."""
