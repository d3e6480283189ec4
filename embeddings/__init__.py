"""Text to embedding: encoder, adapter, inversion, mixing, and the pool of stored summary embeddings.

`Space` is the door: it stores texts as summary embeddings, mixes them and writes what a mixture says.
"""

from embeddings.space import Mixture, Space
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding

__all__ = ["Lineage", "Mixture", "Space", "SpaceIdentity", "SummaryEmbedding"]
