# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .config import SlotConfig as SlotConfig
from .config import SlotSettings as SlotSettings
from .live import Decision as Decision
from .live import LiveCampaign as LiveCampaign
