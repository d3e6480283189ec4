"""Text to click: shoppers with hidden tastes, and the feed through which any source of clicks is read."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
