"""How good the shipped copyloom-tiny is."""
