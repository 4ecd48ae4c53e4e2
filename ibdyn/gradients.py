"""Mean and spread of the gradients of examples, of the weights of any torch model.

At frozen parameters the gradient of the mean loss over N examples has the mean per-example gradient
mu, and C is the covariance of the examples' own (divisor N). Where examples do not meet in the
model, both are exact: by `torch.func`, or, where all weights are those of linear modules that map
one vector an example, from the outer products that their gradients are. Where examples do meet
(batch norm) or `torch.func` does not serve (some work in place, on data or on chance), there are
only gradients of batches, and tr C is estimated from them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from .modules import CHUNK, captured, first_tensor
from .seeding import stream

BatchNorm = nn.modules.batchnorm._BatchNorm
Loss = Callable[[Any, Tensor], Tensor]
Layers = Mapping[str, Sequence[str]]
# Numbers in the per-example gradients of a chunk.
CHUNK_NUMBERS = 2**25
# Examples on which a way is tried, and the relative difference that says it does not serve.
TRIAL, TRIAL_ERROR = 8, 1e-3
# Examples in a batch where the user's batch size is not known.
MINIBATCH = 32


@dataclass(frozen=True)
class Sums:
    """Sums over ``count`` examples: of the gradient of each weight, and of its squared norm."""

    count: int
    total: dict[str, NDArray[np.float64]]
    square: dict[str, float]


Way = Callable[[nn.Module, Sequence[str], Loss, Tensor, Tensor], Sums]


@dataclass(frozen=True)
class Method:
    """How the gradients of a model are taken, and what a record says of it."""

    about: str
    sums: Way

    def statistics(
        self, model: nn.Module, layers: Layers, loss: Loss, x: Tensor, y: Tensor
    ) -> tuple[NDArray, NDArray]:
        """|mu| and sqrt(tr C) of each layer's weights, (layer,), in units of the loss; else NaN."""
        mean, spread = np.full((2, len(layers)), np.nan)
        names = _names(layers)
        if not names:
            return mean, spread
        found = self.sums(model, names, loss, x, y)
        power = {n: float(((t / found.count) ** 2).sum()) for n, t in found.total.items()}
        for j, own in enumerate(layers.values()):
            if own:
                drift = sum(power[name] for name in own)
                square = sum(found.square[name] for name in own) / found.count
                # Not below zero but for rounding: the trace is a mean of squares.
                mean[j], spread[j] = np.sqrt(drift), np.sqrt(np.maximum(square - drift, 0.0))
        return mean, spread


def choose_method(
    model: nn.Module, layers: Layers, loss: Loss, x: Tensor, y: Tensor, batch_size: int | None
) -> Method:
    """The first of outer products, `torch.func` and batches that serves; model as in `untouched`.

    It is tried on a few examples: the sum of their own gradients must be the gradient of the sum.
    Batches have ``batch_size`` examples, or `MINIBATCH`, but are two at least. ValueError where
    there are too few examples for them.
    """
    names = _names(layers)
    if not names:
        return Method("none, no layer has weights", by_example)
    way, reason = _exact(model, names, loss, x[:TRIAL], y[:TRIAL])
    if way is not None:
        return Method(f"of each example, by {reason}", way)
    if len(x) < 4:
        raise ValueError(
            f"inputs have {len(x)} training examples, expected at least 4 for gradients of "
            f"batches ({reason})"
        )
    size = max(min(batch_size or MINIBATCH, len(x) // 2), 2)
    return Method(f"estimated from batches of {size} ({reason})", partial(by_batches, size=size))


def _names(layers: Layers) -> list[str]:
    return list(dict.fromkeys(name for own in layers.values() for name in own))


def _exact(
    model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor
) -> tuple[Way | None, str]:
    """A way of single examples and what it is, or none and why."""
    if any(isinstance(module, BatchNorm) for module in model.modules()):
        return None, "batch norm"
    if _examples_meet(model, x):
        return None, "answers depend on the batch"
    expected = batch_gradient(model, names, loss, x, y)
    reason = ""
    for about, way in (("outer products", by_outer_products), ("torch.func", by_example)):
        # Whatever a model that runs by itself does not allow, the way does not serve it.
        try:
            sums = way(model, names, loss, x, y)
        except Exception as error:
            reason = f"{about}: {str(error).partition(chr(10))[0]}"
        else:
            if _agree(sums, expected):
                return way, about
            reason = f"{about}: not the gradient of the batch"
    return None, reason


def _examples_meet(model: nn.Module, x: Tensor) -> bool:
    """Whether the answer to the first example changes with those beside it."""
    with torch.no_grad():
        together, alone = first_tensor(model(x)), first_tensor(model(x[:1]))
    assert together is not None
    assert alone is not None
    scale = float(together.abs().max())
    return not torch.allclose(together[:1], alone, rtol=0, atol=TRIAL_ERROR * scale)


def _agree(sums: Sums, expected: Mapping[str, NDArray]) -> bool:
    off = sum(((sums.total[n] - expected[n] * sums.count) ** 2).sum() for n in expected)
    size = sum(((g * sums.count) ** 2).sum() for g in expected.values())
    return bool(off <= TRIAL_ERROR**2 * size)


@contextmanager
def _differentiable(model: nn.Module, names: Sequence[str]) -> Iterator[list[nn.Parameter]]:
    """The parameters called ``names``, with gradients even where training leaves them out."""
    known = dict(model.named_parameters())
    chosen = [known[name] for name in names]
    frozen = [p for p in chosen if not p.requires_grad]
    for p in frozen:
        p.requires_grad_(True)
    try:
        yield chosen
    finally:
        for p in frozen:
            p.requires_grad_(False)


def batch_gradient(
    model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor
) -> dict[str, NDArray[np.float64]]:
    """Gradient of the mean loss over a batch, of each weight; 0 where the loss does not know it."""
    with _differentiable(model, names) as weights:
        found = torch.autograd.grad(loss(model(x), y).mean(), weights, allow_unused=True)
    return {
        name: np.zeros(p.numel()) if g is None else _flat(g)
        for name, p, g in zip(names, weights, found, strict=True)
    }


def by_example(model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor) -> Sums:
    """Sums over the gradients of single examples, by `torch.func`."""
    rest = {n: p.detach() for n, p in model.named_parameters()}
    weights = {name: rest.pop(name) for name in names}
    rest |= dict(model.named_buffers())

    def one(own: dict[str, Tensor], a: Tensor, b: Tensor) -> Tensor:
        return loss(functional_call(model, own | rest, (a[None],)), b[None]).mean()

    gradients = vmap(grad(one), (None, 0, 0))
    numbers = sum(weight.numel() for weight in weights.values())
    chunk = min(max(CHUNK_NUMBERS // numbers, 1), CHUNK)
    total = {name: np.zeros(weight.numel()) for name, weight in weights.items()}
    square = dict.fromkeys(names, 0.0)
    for a, b in zip(x.split(chunk), y.split(chunk), strict=True):
        # The fused attention has no rule for many examples at once, the plain one has.
        with sdpa_kernel(SDPBackend.MATH):
            found = gradients(weights, a, b)
        for name, g in found.items():
            total[name] += _flat(g.sum(0))
            square[name] += float(_square_norms(g).sum())
    return Sums(len(x), total, square)


def by_outer_products(
    model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor
) -> Sums:
    """Sums over the gradients of single examples, which are delta a^T: of |delta|^2 |a|^2.

    ValueError where a weight is not that of a linear module that maps one vector an example.
    """
    owners = {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if type(module) is nn.Linear
    }
    if not set(names) <= owners.keys():
        raise ValueError("some weights are not those of linear modules")
    linear = {name: owners[name] for name in names}
    total = {name: np.zeros(module.weight.numel()) for name, module in linear.items()}
    square = dict.fromkeys(names, 0.0)
    with (
        _differentiable(model, names),
        captured(linear, lambda arguments, out: (arguments[0].detach(), out)) as seen,
    ):
        for a, b in zip(x.split(CHUNK), y.split(CHUNK), strict=True):
            seen.clear()
            summed = loss(model(a), b).mean() * len(a)
            if any(seen[name][0].ndim != 2 for name in names):
                raise ValueError("a linear module maps several vectors an example")
            deltas = torch.autograd.grad(summed, [seen[name][1] for name in names])
            for name, delta in zip(names, deltas, strict=True):
                inputs = seen[name][0]
                total[name] += _flat(delta.T @ inputs)
                square[name] += float(_square_norms(delta) @ _square_norms(inputs))
    return Sums(len(x), total, square)


def by_batches(
    model: nn.Module, names: Sequence[str], loss: Loss, x: Tensor, y: Tensor, size: int
) -> Sums:
    """Sums as they would be of single examples, estimated from the gradients of batches.

    The N examples fall into M batches of about ``size``, always the same. Drawn without replacement
    n_m of them have a gradient g_m with E |g_m - mu|^2 = tr C / n_m (N - n_m)/(N - 1), so tr C is
    (N - 1) / (N (M - 1)) sum_m n_m |g_m - mu|^2 without bias. Batch norms are in training mode.
    """
    norms = [m for m in model.modules() if isinstance(m, BatchNorm)]
    batches = max(2, round(len(x) / size))
    order = stream(0, "batches").permutation(len(x))
    parts = [torch.tensor(part, device=x.device) for part in np.array_split(order, batches)]
    for norm in norms:
        norm.training = True
    found = [(len(p), batch_gradient(model, names, loss, x[p], y[p])) for p in parts]
    for norm in norms:
        norm.training = False
    total = {name: np.sum([n * g[name] for n, g in found], axis=0) for name in names}
    scale = (len(x) - 1) / (len(x) * (batches - 1))
    square = {}
    for name in names:
        mean = total[name] / len(x)
        trace = scale * sum(n * float(((g[name] - mean) ** 2).sum()) for n, g in found)
        square[name] = float(len(x) * (trace + (mean**2).sum()))
    return Sums(len(x), total, square)


def _flat(t: Tensor) -> NDArray[np.float64]:
    flat: NDArray[np.float64] = t.detach().flatten().cpu().double().numpy()
    return flat


def _square_norms(t: Tensor) -> NDArray[np.float64]:
    """Squared norm of each row."""
    return _flat(torch.linalg.vector_norm(t.detach().flatten(1), dim=1)) ** 2
