"""A fixed set of examples on which a torch model is watched, checked and on the model's device."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from .patterns import Task
from .tasks import from_arrays

Values = ArrayLike | Tensor


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Examples ``x`` (example, ...) and classes ``y`` (example,), and what is known of them.

    ``task`` holds them as equally likely patterns of certain labels; ``in_train`` (example,) says
    which are trained on, ``train`` and ``test`` are the places of these and of the others.
    """

    task: Task
    in_train: NDArray[np.bool_]
    x: Tensor
    y: Tensor

    @property
    def train(self) -> Tensor:
        """Places of the training examples."""
        return torch.tensor(np.flatnonzero(self.in_train), device=self.x.device)

    @property
    def test(self) -> Tensor:
        """Places of the test examples."""
        return torch.tensor(np.flatnonzero(~self.in_train), device=self.x.device)


def probe_set(
    model: nn.Module,
    inputs: Values,
    labels: Values,
    test_inputs: Values | None,
    test_labels: Values | None,
    in_train: Values | None,
) -> ProbeSet:
    """Copies of the examples in the model's precision; ValueError for what makes no probe set."""
    x, y = _inputs("inputs", inputs, model), _labels("labels", labels)
    _check_length("labels", y, "inputs", x)
    if (test_inputs is None) != (test_labels is None):
        raise ValueError("test_inputs and test_labels are not both given, expected both or none")
    if test_inputs is not None and in_train is not None:
        raise ValueError("test_inputs and in_train are both given, expected one of them")
    mask = np.ones(len(x), dtype=bool)
    if in_train is not None:
        given = np.asarray(in_train.cpu().numpy() if isinstance(in_train, Tensor) else in_train)
        if given.dtype != bool or given.shape != mask.shape or not given.any():
            raise ValueError(
                f"in_train has dtype {given.dtype} and shape {given.shape}, expected booleans of "
                f"shape {mask.shape}, not all False"
            )
        mask = given.copy()
    if test_inputs is not None and test_labels is not None:
        further, their = (
            _inputs("test_inputs", test_inputs, model),
            _labels("test_labels", test_labels),
        )
        _check_length("test_labels", their, "test_inputs", further)
        if further.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"test_inputs have shape {tuple(further.shape[1:])} an example, expected "
                f"{tuple(x.shape[1:])} as of inputs"
            )
        x, y = torch.cat([x, further]), np.concatenate([y, their])
        mask = np.concatenate([mask, np.zeros(len(further), dtype=bool)])
    task = from_arrays(x.flatten(1).cpu().double().numpy(), y, name="probe set")
    return ProbeSet(task, mask, x, torch.tensor(y, device=x.device))


def _inputs(name: str, values: Values, model: nn.Module) -> Tensor:
    """A copy on the device and in the precision of the model."""
    try:
        x = torch.as_tensor(values).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} make no tensor ({error}), expected real numbers") from None
    if x.ndim < 2 or not len(x):
        raise ValueError(f"{name} have shape {tuple(x.shape)}, expected (example, ...), not empty")
    embeds = any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in model.modules())
    whole = x.dtype in (torch.int32, torch.int64) and embeds
    if not (x.is_floating_point() or whole):
        raise ValueError(f"{name} have dtype {x.dtype}, expected floating-point numbers")
    like = next((p for p in model.parameters() if p.is_floating_point()), None)
    if like is None:
        return x.clone()
    return x.to(like.device, x.dtype if whole else like.dtype, copy=True)


def _labels(name: str, values: Values) -> NDArray[np.int64]:
    labels = np.asarray(values.detach().cpu().numpy() if isinstance(values, Tensor) else values)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels < 0).any():
        raise ValueError(
            f"{name} have shape {labels.shape} and dtype {labels.dtype}, expected one integer "
            "class 0..K-1 an example"
        )
    return labels.astype(np.int64)


def _check_length(name: str, values: NDArray, of: str, others: Tensor) -> None:
    if len(values) != len(others):
        raise ValueError(f"{name} are {len(values)}, expected {len(others)} as there are {of}")
