"""What is counted and what is not, as the pretrained model that the writer was made of knows it."""

import pytest

from generator.countability import is_uncounted
from generator.device import Device
from generator.language_model import LanguageModel
from generator.models import WRITER, is_there

pytestmark = pytest.mark.skipif(not is_there(WRITER), reason="the model is not here: copyloom models get smollm2")


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load(WRITER, Device.choose("cpu"))


@pytest.mark.parametrize(
    "name", ["honey", "olive oil", "furniture", "bookkeeping", "dry stone walling", "garden furniture"]
)
def test_stuffs_and_work_are_uncounted(model, name):
    assert is_uncounted(name, model)


@pytest.mark.parametrize(
    "name",
    ["trail mug", "oil lamp", "honey dipper", "baby sling", "earring", "jar of honey", "walking tour", "apple sapling"],
)
def test_things_are_counted(model, name):
    assert not is_uncounted(name, model)
