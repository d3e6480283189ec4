"""From texts to embeddings and back: encoder, adapter, inversion, mixing, and the pool of stored summary embeddings.

Begin with `Space.load`: a `Space` is one language model with all that its embeddings depend on. ``space.invert(texts)``
makes a `SummaryEmbedding` of each text, ``space.mix(stored, weights)`` a `Mixture`, ``space.decode(stored)`` the texts
again. `InversionConfig` says how hard to invert, `Effort` how far to look for a mixture's text. A `SpaceIdentity` tells
which embeddings go together, a `Lineage` what a text was mixed from.

For more than a few: `embeddings.inverting` streams texts, `embeddings.job` and `embeddings.ray_data` share them out,
`embeddings.documents` takes long ones; ``space.writer`` writes many mixtures at once, and `embeddings.steering` moves a
text along a direction. `embeddings.pool` keeps embeddings in a database, `embeddings.exchange` in a file,
`embeddings.publishing` and `embeddings.dataset` in a folder for others.

A file that is not there, damaged or of another kind, or cannot be written, raises `copyloom.InputError`; what is of
another space than the rest raises `copyloom.SpaceError`, which names both.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
