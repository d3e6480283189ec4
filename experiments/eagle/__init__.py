"""EAGLE: an agent edits texts, a language model its environment, until their sentence vectors have the wanted utility.

After Tennenholtz et al. (NeurIPS 2024), "Embedding-aligned language models"; no relation of the speculative decoding of
that name. `reference` says what of the paper is followed.
"""
