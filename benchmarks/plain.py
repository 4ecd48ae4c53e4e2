"""What people run: one ``nn.Module`` at a time with autograd, rows counted by ``numpy.unique``.

Written for the comparison, in the form of the published codes; none of it is used elsewhere.
"""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def network(sizes: list[int]) -> nn.Sequential:
    """A tanh network with a linear output, for cross-entropy."""
    layers: list[nn.Module] = []
    for fan_in, width in pairwise(sizes):
        layers += [nn.Linear(fan_in, width), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def optimizer(name: str, model: nn.Module) -> torch.optim.Optimizer:
    """Torch's own optimisers, at the rates of the benchmark."""
    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr=4e-4)
    momentum = 0.9 if name == "momentum" else 0.0
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum)


def epoch(
    model: nn.Module, update: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, batch: int
) -> None:
    """One pass through the training set in shuffled minibatches."""
    order = torch.randperm(len(x))
    for begin in range(0, len(x), batch):
        own = order[begin : begin + batch]
        update.zero_grad()
        nn.functional.cross_entropy(model(x[own]), y[own]).backward()
        update.step()


def entropy_of_rows(rows: NDArray) -> float:
    """Entropy of the rows of digitised activations, by ``numpy.unique(axis=0)``."""
    _, counts = np.unique(rows, axis=0, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


def entropy_of_bytes(rows: NDArray) -> float:
    """The same with each row viewed as one string of bytes."""
    view = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    _, counts = np.unique(view, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


def information(activations: NDArray, edges: NDArray, labels: NDArray, by_bytes: bool) -> float:
    """I(X;T) + I(T;Y) of one layer (pattern, unit) with hard labels: digitise, count the rows."""
    rows = np.minimum(np.digitize(activations, edges), len(edges) - 1)
    entropy = entropy_of_bytes if by_bytes else entropy_of_rows
    total = entropy(rows)
    given = sum((labels == y).mean() * entropy(rows[labels == y]) for y in np.unique(labels))
    return total + total - given


def bottleneck_sweep(p_x: NDArray, p_y_x: NDArray, p_t_x: NDArray, beta: float) -> NDArray:
    """One Blahut-Arimoto iteration of an encoder (x, cluster) of two or more labels."""
    p_t = p_x @ p_t_x
    p_y_t = (p_t_x * p_x[:, None]).T @ p_y_x / p_t[:, None]
    divergence = np.zeros(p_t_x.shape)
    for y in range(p_y_x.shape[1]):
        known = p_y_x[:, y, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence += np.where(known > 0, known * np.log(known / p_y_t[:, y]), 0)
    new = p_t * np.exp(-beta * divergence)
    return new / new.sum(1, keepdims=True)
