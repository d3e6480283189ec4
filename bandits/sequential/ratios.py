"""What evidence is mixed over, for plans as for looks: without torch, which a plan does not need."""

import numpy as np

#: Log ratios of two rates that a pair's evidence is mixed over, alike. Leads below half the least are never found.
LOG_RATIOS = np.geomspace(0.005, 0.8, 11)
