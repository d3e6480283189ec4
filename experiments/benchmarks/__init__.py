"""Benchmarks: each prints a table and writes JSON, every number beside a baseline of the same run."""
