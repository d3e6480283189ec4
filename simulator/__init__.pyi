# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .config import ShopperConfig as ShopperConfig
from .feed import Outcome as Outcome
from .feed import RewardFeed as RewardFeed
from .feed import Snapshot as Snapshot
from .shoppers import Shoppers as Shoppers
from .shoppers import SimulatedFeed as SimulatedFeed
from .shoppers import TextFeatures as TextFeatures
from .shoppers import draw_shoppers as draw_shoppers
