"""What the HTTP service takes on this machine, client included; see `run`."""
