"""Counts to belief: reward models, their priors and features, what is forgotten, what arrives late."""
