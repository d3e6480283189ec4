"""Texts to train and measure on."""
