"""The same campaigns live: events of real shoppers, review by people, a worker that learns and writes.

Read `live` first: a campaign in one process. `app` serves the same over HTTP.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
