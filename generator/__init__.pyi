# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .checks import Checker as Checker
from .checks import WritingRules as WritingRules
from .decoding import Decoded as Decoded
from .decoding import Prefix as Prefix
from .decoding import decode as decode
from .device import Device as Device
from .grammar import Grammar as Grammar
from .language_model import LanguageModel as LanguageModel
from .record import ProductRecord as ProductRecord
