"""What an accelerator makes of it all, and whether it agrees with the CPU."""
