"""The hand-written backward pass is the gradient of the stated loss, whatever stands beside a text."""

import pytest
import torch
from torch.nn.functional import cross_entropy, softplus

from embeddings.objective import InversionObjective, _lead
from generator.device import Device
from generator.language_model import LanguageModel


class OneShape(Device):
    compiles_shapes = True


def stated(logits, ids, slack):
    """Return leads and the loss of each token, as the docstring of `InversionObjective` says."""
    own = logits.gather(1, ids[:, None])[:, 0]
    rivals = logits.scatter(1, ids[:, None], -torch.inf)
    return own - rivals.amax(1), softplus(rivals.logsumexp(1) - own + slack)


def test_the_vocabulary_part_is_the_gradient_of_the_stated_loss():
    logits = torch.randn(5, 11, generator=torch.Generator().manual_seed(0))
    ids, slack = torch.tensor([0, 3, 10, 3, 7]), torch.linspace(-2, 1, 5)
    leaf = logits.clone().requires_grad_()
    wanted_leads, losses = stated(leaf, ids, slack)
    (wanted,) = torch.autograd.grad(losses.sum(), leaf)
    leads, nats, gradient = _lead(logits.clone(), ids, slack)
    torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(leads, wanted_leads.detach())
    torch.testing.assert_close(nats, cross_entropy(logits, ids, reduction="none"))


@pytest.mark.parametrize("fixed", [False, True])
def test_rows_depend_on_their_own_text_alone(random_model, monkeypatch, fixed):
    model = random_model()
    device = OneShape("cpu", "for a test", 4) if fixed else model.device
    objective = InversionObjective(LanguageModel(model.model, model.tokenizer, model.name, device), torch.float32)
    vectors = torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(0))
    targets, margins = torch.full((3, 9), -100), torch.tensor([1.0, 2.0, 1.0])
    targets[0], targets[1, :4] = torch.arange(1, 10), torch.tensor([7, 7, 3, 0])  # the third row holds no text
    together = objective(vectors, targets, margins)
    assert (float(together[0][2]), float(together[1][2]), bool(together[2][2].any())) == (torch.inf, 0.0, False)
    for row, length in enumerate((9, 4)):
        ids, leaf = targets[row, :length], vectors[row].clone().requires_grad_()
        logits = model.logits(torch.cat([leaf, model.embed(ids[:-1])])[None])[0, 1:]
        leads, losses = stated(logits, ids, margins[row] - 3)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        wanted = leads.min().detach(), cross_entropy(logits, ids, reduction="sum").detach(), gradient
        for one, other in zip(wanted, together, strict=True):
            torch.testing.assert_close(one, other[row], rtol=1e-4, atol=1e-4)
    broken = objective(vectors.index_fill(0, torch.tensor([1]), torch.nan), targets, margins)
    assert not broken[0][1].isfinite()
    torch.testing.assert_close(broken[2][0], together[2][0], rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("embeddings.objective._CHUNK_ELEMENTS", 1)  # one position at a time
    for one, other in zip(objective(vectors, targets, margins), together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
