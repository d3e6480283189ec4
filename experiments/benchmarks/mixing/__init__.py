"""The mix benchmark: whether the texts between texts are fluent, new, and where the weights asked for.

The way of the data: `corpora` draws parents and weights, `entrants` write a text for each case, `judge`, `measures` and
`fidelity` say what they are worth, `run` puts it together and `tables` shows it. Nothing here takes part in training or
choosing.
"""
