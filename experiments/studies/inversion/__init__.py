"""What the defaults of inversion were chosen by."""
