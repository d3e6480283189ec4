"""Bandits side by side: regret, speed and settings, on simulated texts whose click rates are known."""
