# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .click_model import ClickModel as ClickModel
from .click_model import ClickModelConfig as ClickModelConfig
from .click_model import click_model as click_model
from .config import ShopperConfig as ShopperConfig
from .conformance import check_click_model as check_click_model
from .feed import Outcome as Outcome
from .feed import RewardFeed as RewardFeed
from .feed import Snapshot as Snapshot
from .shoppers import Shoppers as Shoppers
from .shoppers import TextFeatures as TextFeatures
from .shoppers import draw_shoppers as draw_shoppers
from .simulated import SimulatedFeed as SimulatedFeed
