"""From embeddings to text: frozen language models, decoding, checks, the grammar, and the models that are shipped.

`LanguageModel.load` reads a model onto a `Device`; `decode` says what it writes for vectors, behind a `Prefix` where
something stands before them, as `Decoded` texts. A `ProductRecord` holds what may be said of a product, a `Checker`
says why a text may not be shown, by the `WritingRules` and what the record lacks.

The `Grammar` makes claims with known styles and facts, for training, tests and simulated shoppers; use
`generator.reader.GrammarReader` to tell the style and facts of a text. `generator.models` has pretrained models
by name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
