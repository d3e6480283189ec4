"""Bandits that decide one text at a time and hear of each outcome."""
