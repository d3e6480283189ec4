"""Inversion beside one text at a time: how fast, how exact, and where the time goes."""
