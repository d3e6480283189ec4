# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .headlines import HeadlineTaste as HeadlineTaste
from .headlines import headline_world as headline_world
from .ratings import Crowd as Crowd
from .ratings import rating_world as rating_world
from .words import WordFeatures as WordFeatures
from .words import word_world as word_world
from .world import World as World
