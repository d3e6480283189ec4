"""Embedding to text: the frozen language model, devices, decoding, checks, the grammar and the shipped model."""
