"""Reading branches beside each other: each as if it stood alone, and models that cannot are named."""

import pytest
import torch

from copyloom import SpaceError
from generator.branches import Branches, check_branches
from generator.device import Device
from generator.language_model import LanguageModel
from generator.models import SHIPPED


def test_a_branch_reads_as_it_does_alone():
    model = LanguageModel.load(SHIPPED, Device.choose("cpu"))
    body = model.model.base_model
    rows = [([5, 6, 7], [[8, 9], [10], list(range(20, 50))]), ([11], [[8]]), (list(range(60, 130)), [[9, 9], [9, 9]])]
    read = Branches.of(rows, model.end)
    assert read.ids.shape == (3, 128)
    states = read.last_states(body)
    place = 0
    for beginning, branches in rows:
        for branch in branches:
            alone = body(input_ids=torch.tensor([[*beginning, *branch]]), use_cache=False)[0][0, -1]
            torch.testing.assert_close(states[place], alone, rtol=1e-3, atol=1e-3)
            place += 1
    assert place == len(states)
    check_branches(model)


def test_a_model_that_keeps_a_state_is_refused(random_model):
    class Body(torch.nn.Module):
        """Reads each position as the sum of all before it, whatever the mask says."""

        def __init__(self, table):
            super().__init__()
            self.table = table

        def forward(self, input_ids, use_cache, position_ids=None, attention_mask=None):
            return (self.table(input_ids).cumsum(1),)

    model = random_model()
    check_branches(model)
    model.model.base_model_prefix, model.model.summed = "summed", Body(model.model.get_input_embeddings())
    with pytest.raises(SpaceError, match="side by side"):
        check_branches(model)
