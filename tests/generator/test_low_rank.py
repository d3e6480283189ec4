"""Low-rank updates: nothing at first, and the same beside a matrix as merged into it."""

import pytest
import torch

from copyloom import SpaceError
from generator import low_rank


def _states(model, ids):
    with torch.no_grad():
        return model.hidden(model.embed(ids))


def test_merged_updates_compute_what_they_did_beside_the_matrices(random_model):
    trained, merged = random_model(), random_model()
    ids = torch.arange(12).view(2, 6)
    before = _states(trained, ids)
    low_rank.put_in(trained.model, rank=3, seed=0)
    assert torch.equal(_states(trained, ids), before)
    for name, parameter in trained.model.named_parameters():
        assert parameter.requires_grad == name.endswith((".down", ".up"))
        if name.endswith(".up"):
            torch.nn.init.normal_(parameter, std=0.1)
    after = _states(trained, ids)
    assert (after - before).abs().max() > 0.01
    low_rank.merge(merged.model, low_rank.updates_of(trained.model))
    assert torch.allclose(_states(merged, ids), after, atol=1e-5)


def test_the_head_gets_no_update(random_model):
    model = random_model(tie_word_embeddings=False)
    low_rank.put_in(model.model, rank=2, seed=0)
    assert not any("lm_head" in name for name in low_rank.updates_of(model.model))


def test_updates_of_another_model_are_refused(random_model):
    small, large = random_model(), random_model(hidden_size=32)
    low_rank.put_in(large.model, rank=2, seed=0)
    with pytest.raises(SpaceError, match="use the model it was trained for"):
        low_rank.merge(small.model, low_rank.updates_of(large.model))
