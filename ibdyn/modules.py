"""A torch model looked at with frozen parameters, without a trace left in it.

A layer is a module by its name. Its activations are what it returns, flattened for each example;
its weights are the parameters of two axes or more in it and in the modules below it, so that
biases and the scales of normalisations stay apart.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Examples in a forward pass.
CHUNK = 256
# A first look needs no more examples than these.
FEW = 3
_RANGES: tuple[tuple[type[nn.Module], tuple[float, float]], ...] = (
    (nn.Tanh, (-1, 1)),
    (nn.Softsign, (-1, 1)),
    (nn.Sigmoid, (0, 1)),
    (nn.Hardsigmoid, (0, 1)),
    (nn.Softmax, (0, 1)),
    (nn.ReLU, (0, np.inf)),
    (nn.Softplus, (0, np.inf)),
)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and afterwards as if nobody had looked.

    Modes, buffers and the random states of torch (CPU and the model's CUDA devices), numpy and
    Python come back to the bit; buffers are replaced meanwhile, not written to, so a backward pass
    that waits for them is not hurt. Autocasting is off and gradients can be taken.
    """
    modules = list(model.modules())
    before = [(m, m.training, dict(m._buffers)) for m in modules]
    fast = torch.backends.mha.get_fastpath_enabled()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng([d.index for d in devices if d.type == "cuda"]))
        for kind in {"cpu", *(device.type for device in devices)}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        try:
            # Its fused kernels go past the modules, and past their hooks.
            torch.backends.mha.set_fastpath_enabled(False)
            copies: dict[int, Tensor] = {}
            for module in modules:
                module.training = False
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        copy = copies.setdefault(id(buffer), buffer.detach().clone())
                        module._buffers[name] = copy
            yield
        finally:
            for module, training, buffers in before:
                module.training = training
                module._buffers.update(buffers)
            torch.backends.mha.set_fastpath_enabled(fast)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def captured(layers: Mapping[str, nn.Module], keep: Callable[[Any, Any], Any]) -> Iterator[dict]:
    """What ``keep(arguments, output)`` made of each layer's last call, by name and in that order.

    The dict fills as the model runs.
    """
    found: dict[str, Any] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def seen(module: nn.Module, arguments: Any, output: Any) -> None:
            found.pop(name, None)
            found[name] = keep(arguments, output)

        return seen

    with ExitStack() as stack:
        for name, module in layers.items():
            stack.callback(module.register_forward_hook(hook(name)).remove)
        yield found


def first_tensor(output: Any) -> Tensor | None:
    """The output itself, or the first tensor in a tuple, list or mapping of several."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = output.values()
    elif not isinstance(output, tuple | list):
        return None
    return next((t for t in map(first_tensor, output) if t is not None), None)


def choose_layers(
    model: nn.Module, names: Sequence[str] | None, x: Tensor
) -> tuple[dict[str, nn.Module], list[int], list[str]]:
    """The layers called ``names``, in the order in which they run; their units; what is left out.

    Without names all modules that own a weight, but for those (left out) that do not run or do not
    answer to each example of the inputs ``x``: an embedding of positions, say. ValueError for a
    name that is unknown, given twice, or of a module to be left out.
    """
    known = dict(model.named_modules())
    if names is None:
        # A parametrised weight belongs to the module that has it, not to what makes it.
        owners = {
            name.partition("parametrizations.")[0].rstrip("."): None
            for name, module in known.items()
            if any(p.ndim > 1 for p in module.parameters(recurse=False))
        }
        candidates = {name: known[name] for name in owners}
    else:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"layers {unknown} are not in the model, expected some of {[*known]}")
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"layers {list(names)} are none or repeat, expected different names")
        candidates = {name: known[name] for name in names}
    few = x[:FEW]
    with untouched(model), torch.no_grad(), captured(candidates, lambda _, out: out) as found:
        model(few)
    wrong = {name: _fault(found.get(name), name in found, len(few)) for name in candidates}
    left_out = [name for name, fault in wrong.items() if fault]
    if names is not None and left_out:
        raise ValueError(f"layer {left_out[0]!r} {wrong[left_out[0]]}")
    layers = {name: known[name] for name in found if not wrong[name]}
    if not layers:
        raise ValueError(f"no module of the model owns weights and runs, expected some of {wrong}")
    return layers, [len(activations_of(found[name])) for name in layers], left_out


def _fault(output: Any, ran: bool, examples: int) -> str | None:
    """Why an output is no layer's activations; None if it is."""
    if not ran:
        return "does not run when the model does"
    tensor = first_tensor(output)
    if tensor is None or not tensor.is_floating_point():
        return f"returns {type(output).__name__}, expected real tensors"
    if tensor.ndim < 1 or len(tensor) != examples:
        return (
            f"returns the shape {tuple(tensor.shape)} for {examples} examples, expected "
            "them along the first axis"
        )
    return None


def activations_of(tensor: Any) -> NDArray:
    """Activations (unit, example) as an array of float32 or float64 of its own.

    The examples of a unit lie side by side, as estimators want them.
    """
    found = first_tensor(tensor)
    assert found is not None
    if found.dtype != torch.float64:
        found = found.float()
    rows = found.detach().reshape(len(found), -1).t()
    # A copy: a later module may work in place.
    array: NDArray = rows.clone(memory_format=torch.contiguous_format).cpu().numpy()
    return array


def limits_of(module: nn.Module) -> tuple[float, float]:
    """Least and greatest value that a module can return, as far as its class says.

    Of a Sequential they are those of its last module; unknown ones are infinite.
    """
    if isinstance(module, nn.Sequential) and len(module):
        return limits_of(module[-1])
    if isinstance(module, nn.Hardtanh):
        return module.min_val, module.max_val
    return next((ends for kind, ends in _RANGES if isinstance(module, kind)), (-np.inf, np.inf))


def weight_names(model: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """Names in the model of each layer's weights; a tied weight has the name it has first."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        layer: [names[id(p)] for p in module.parameters() if p.ndim > 1]
        for layer, module in layers.items()
    }


def weight_matrix(parameter: Tensor) -> Tensor:
    """A copy of a weight as a matrix in float64, its first axis (outputs) against all others."""
    return parameter.detach().flatten(1).cpu().to(torch.float64, copy=True)


def spectral_norm(matrix: Tensor) -> float:
    """Largest singular value, from the smaller Gram matrix; NaN if the matrix is not finite."""
    if not bool(matrix.isfinite().all()):
        return np.nan
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    return float(torch.linalg.eigvalsh(gram)[-1].clamp(min=0).sqrt())


def parameter_coordinates(
    model: nn.Module, layers: Mapping[str, nn.Module]
) -> dict[str, NDArray[np.str_]]:
    """The layer of each parameter, the first that has it or "", and whether it is a weight."""
    layer_of: dict[int, str] = {}
    for name, module in layers.items():
        for p in module.parameters():
            layer_of.setdefault(id(p), name)
    parameters = list(model.parameters())
    sizes = [p.numel() for p in parameters]
    names = [layer_of.get(id(p), "") for p in parameters]
    kinds = ["weight" if p.ndim > 1 else "bias" for p in parameters]
    return {
        "parameter_layer": np.repeat(names, sizes),
        "parameter_kind": np.repeat(kinds, sizes),
    }
