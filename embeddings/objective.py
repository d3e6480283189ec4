"""The objective of inversion: how far a text's tokens lead their rivals, and the gradient for the vectors alone."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn.functional import linear, softplus
from transformers.activations import NewGELUActivation

from copyloom import InputError
from generator.language_model import LanguageModel, LinearHead

_CHUNK_ELEMENTS = 16_000_000
"""Logits that are held at a time; more positions go through the vocabulary in several parts."""
_RELIEF = 3.0
"""Nats by which a token's loss fades before the margin: with 1 (cross-entropy at margin 1) texts take more steps and
move further from the adapter."""


class InversionObjective:
    """Margins of given texts under a frozen language model, and the gradient with respect to their vectors.

    The loss of a token is softplus(logsumexp(rivals) - target + margin - 3): cross-entropy at a margin of 3, and at a
    smaller one a cross-entropy that fades sooner, so that tokens which lead by enough leave the steps to the others.
    The model's parameters get no gradient, and the vocabulary is seen only where a token is wanted: its part of the
    backward pass is written by hand, in place, and in chunks, so that no gradient of logits is stored.

    Parameters
    ----------
    model : LanguageModel
    dtype : torch.dtype
        In which the model computes; vectors and gradients are float32 all the same.
    front, back : Tensor of shape (L, D), optional
        A context before and after the vectors.
    compiled : bool
        Whether to compile the model with `torch.compile`, which needs a C++ compiler on CPUs.
    parameter_gradients : bool
        Also compute the parameters' gradients, which nothing needs, for a benchmark.
    """

    def __init__(
        self,
        model: LanguageModel,
        dtype: torch.dtype,
        front: Tensor | None = None,
        back: Tensor | None = None,
        compiled: bool = False,
        parameter_gradients: bool = False,
    ) -> None:
        _check_finite(model)
        if compiled:
            model.device.check_compiles()
        self.dtype, self._fixed = dtype, model.device.compiles_shapes
        self._model = _computing_copy(model, dtype, compiled, own=parameter_gradients)
        self._lead = torch.compile(_lead, dynamic=not self._fixed) if compiled else _lead
        self._useless = list(self._model.model.requires_grad_().parameters()) if parameter_gradients else []
        head = self._model.model.get_output_embeddings()
        self._head = None if model.linear_head is None else LinearHead(head.weight, getattr(head, "bias", None))
        nothing = torch.zeros(0, model.hidden_size)
        self._front, self._back = (
            nothing.to(model.device.torch, dtype) if part is None else part.to(model.device.torch, dtype)
            for part in (front, back)
        )
        self.shapes: set[tuple[int, ...]] = set()
        """Shapes in which the model was run; a device that compiles does so once for each."""

    def __call__(self, vectors: Tensor, targets: Tensor, margins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each row's least lead (B,), its text's surprisal in nats (B,), and its gradient (B, P, D), float32.

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
        targets : Tensor of shape (B, L)
            Token ids, end-of-text included, -100 after it.
        margins : Tensor of shape (B,)
            Wanted leads.
        """
        leaf = vectors.detach().requires_grad_(True)
        rows, length = targets.shape
        embedded = self._model.embed(targets[:, :-1].clamp_min(0)).to(self.dtype)
        parts = [self._front.expand(rows, -1, -1), leaf.to(self.dtype), self._back.expand(rows, -1, -1), embedded]
        inputs = torch.cat([part for part in parts if part.shape[1]], 1)
        self.shapes.add(tuple(inputs.shape))
        if self._head is None:
            states = self._model.logits(inputs)[:, -length:]
        else:
            states = self._model.hidden(inputs)[:, -length:]
        read = self._everywhere if self._fixed else self._where_wanted
        leads, nats, pulls = read(states.detach(), targets, (margins - _RELIEF)[:, None].expand_as(targets))
        (gradient, *_) = torch.autograd.grad(states, [leaf, *self._useless], pulls, allow_unused=True)
        return leads.amin(1), nats.sum(1), gradient

    def _where_wanted(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `_vocabulary` at the positions (B, L) of text, and infinity and zeros at padding."""
        wanted = targets >= 0
        leads = torch.full(targets.shape, torch.inf, device=states.device)
        nats, pulls = torch.zeros_like(leads), torch.zeros_like(states)
        leads[wanted], nats[wanted], pulls[wanted] = self._vocabulary(states[wanted], targets[wanted], slack[wanted])
        return leads, nats, pulls

    def _everywhere(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `_where_wanted` does, the vocabulary seen at padding too: one shape serves all texts."""
        wanted = targets >= 0
        ids = targets.clamp_min(0)
        leads, nats, pulls = self._vocabulary(states.flatten(0, 1), ids.flatten(), slack.flatten())
        leads, nats = leads.view_as(targets).where(wanted, torch.inf), nats.view_as(targets).where(wanted, 0)
        return leads, nats, pulls.view_as(states) * wanted[..., None]

    @torch.no_grad()
    def _vocabulary(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return leads (N,), surprisals (N,) and the loss's gradient (N, H) for hidden states (N, H), or logits."""
        vocabulary = states.shape[1] if self._head is None else len(self._head.weight)
        chunk = max(_CHUNK_ELEMENTS // vocabulary, 1)
        parts = zip(states.split(chunk), targets.split(chunk), slack.split(chunk), strict=True)
        leads, nats, pulls = zip(*(self._part(*part) for part in parts), strict=True)
        return torch.cat(leads), torch.cat(nats), torch.cat(pulls)

    def _part(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = states.clone() if self._head is None else linear(states, self._head.weight, self._head.bias)
        leads, nats, pull = self._lead(logits, targets, slack)
        return leads, nats, pull if self._head is None else pull @ self._head.weight


def _lead(logits: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return leads (N,), surprisals (N,) and the loss's gradient (N, V) in the place of `logits` (N, V)."""
    ids = targets[:, None]
    target = logits.gather(1, ids).float()[:, 0]
    logits.scatter_(1, ids, -torch.inf)
    rival = logits.amax(1, keepdim=True)
    logits.sub_(rival).exp_()  # of the rivals alone, the largest 1
    total = logits.sum(1).float()
    rival = rival.float()[:, 0]
    deficit = rival + total.log() - target
    strength = torch.sigmoid(deficit + slack)
    logits.mul_((strength / total).to(logits.dtype)[:, None])
    logits.scatter_(1, ids, -strength.to(logits.dtype)[:, None])
    return target - rival, softplus(deficit), logits


def _computing_copy(model: LanguageModel, dtype: torch.dtype, compiled: bool, own: bool) -> LanguageModel:
    """Return the model as it computes fastest forward and backward; the decoder keeps the one it has."""
    if dtype == next(model.model.parameters()).dtype and not own:
        shared = {id(tensor): tensor for tensor in [*model.model.parameters(), *model.model.buffers()]}
        module = copy.deepcopy(model.model, shared)  # parameters are not copied
    else:
        module = copy.deepcopy(model.model).to(dtype)
    if model.device.type == "cpu" and getattr(module, "_supports_sdpa", False):
        module.set_attn_implementation("eager")  # the fused kernel's backward pass is slow on short texts
    for parent in [part for part in module.modules() if isinstance(getattr(part, "act", None), NewGELUActivation)]:
        parent.act = torch.nn.GELU(approximate="tanh")  # the same function in one pass over memory instead of eight
    if compiled:
        module.base_model.forward = torch.compile(module.base_model.forward, dynamic=not model.device.compiles_shapes)
    return LanguageModel(module, model.tokenizer, model.name, model.device)


def _check_finite(model: LanguageModel) -> None:
    for name, parameter in model.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise InputError(f"model {model.name!r} holds NaN or infinite values in {name}; load or train it again")
