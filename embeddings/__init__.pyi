# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .effort import Effort as Effort
from .inversion_config import InversionConfig as InversionConfig
from .space import Space as Space
from .summary import Lineage as Lineage
from .summary import SpaceIdentity as SpaceIdentity
from .summary import SummaryEmbedding as SummaryEmbedding
from .writing import Mixture as Mixture
