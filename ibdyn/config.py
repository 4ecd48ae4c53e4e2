"""Everything that decides a run's numbers: a frozen model that refuses what it does not know."""

import tomllib
from typing import Annotated, Any, Literal

import pydantic
import tomli_w
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from . import estimators as estimators_
from .architecture import Activation, Output
from .estimators import Gaussian
from .splits import Split

Labels = Literal["drawn", "expected"]


class _Frozen(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True): ...


class TaskConfig(_Frozen):
    """Which world the networks learn."""

    name: Literal[
        "spherical_rule", "parity", "majority", "committee", "linear_teacher", "digits", "file"
    ] = "spherical_rule"
    """The rule: on the sphere, on bits, a linear teacher's; scikit-learn's handwritten digits; or
    that of a .mat (F, y) or .npz (x, y) file, or of two, IDX or .npy, with images and labels."""
    information: PositiveFloat | None = None
    """spherical_rule: I(X;Y) of soft labels, in bits; None: the published hard labels."""
    bits: PositiveInt | None = None
    """parity, majority, committee: number of input bits, 12 unless given."""
    inputs: PositiveInt | None = None
    """linear_teacher: number of Gaussian inputs, 100 unless given."""
    samples: PositiveInt | None = None
    """linear_teacher: number of patterns drawn, 1000 unless given. digits, file: only the first so
    many patterns."""
    snr: PositiveFloat | None = None
    """linear_teacher: variance of the signal over that of the noise, 1 unless given."""
    path: str | None = None
    """file: where it is."""
    label_path: str | None = None
    """file: where the labels are, if not in the same file."""
    random_labels: bool = False
    """Shuffle the labels over the patterns: the control without anything to generalise."""

    @pydantic.model_validator(mode="after")
    def _fields_fit_the_task(self) -> "TaskConfig":
        takes = {
            "spherical_rule": ("information",),
            "file": ("path", "label_path", "samples"),
            "digits": ("samples",),
            "linear_teacher": ("inputs", "samples", "snr"),
        }.get(self.name, ("bits",))
        for field in ("information", "bits", "inputs", "samples", "snr", "path", "label_path"):
            if getattr(self, field) is not None and field not in takes:
                raise ValueError(f"{field} has no meaning for the task {self.name}, leave it out")
        if self.random_labels and self.name == "linear_teacher":
            raise ValueError("random_labels has no meaning for the task linear_teacher")
        if self.name == "file" and self.path is None:
            raise ValueError("path is missing, the task file needs one")
        if self.label_path is not None and str(self.path).endswith((".mat", ".npz")):
            raise ValueError(f"label_path has no meaning for {self.path}, which holds its labels")
        return self


class InitConfig(_Frozen):
    """How weights begin; biases begin at 0."""

    distribution: Literal["truncated_normal", "normal"] = "truncated_normal"
    """truncated_normal: redrawn beyond 2 sigma, sigma being that before truncation."""
    scale: Literal["fan_in", "fan_out"] = "fan_in"
    """sigma = 1 / sqrt(fan_in) or 1 / sqrt(fan_out)."""


class ScheduleConfig(_Frozen):
    """Which epochs are recorded: the first, the last, and log-spaced ones between."""

    count: Annotated[int, Field(ge=3)] = 300
    """Number of log-spaced epochs (all of them in a run that has fewer)."""
    extra: tuple[NonNegativeInt, ...] = (0, 400, 1002, 3001, 9000, 9998)
    """Further epochs, where the run reaches them."""


class RunConfig(_Frozen):
    """One ensemble: equal configurations give equal records. The defaults are ``szt2017-paper``.

    Raises pydantic's ValidationError, a ValueError, for a field that is unknown or does not fit.
    """

    task: TaskConfig = TaskConfig()
    """The patterns and their labels."""
    widths: Annotated[tuple[PositiveInt, ...], Field(max_length=98)] = (10, 7, 5, 4, 3)
    """Units of each hidden layer, from the input on."""
    activation: Activation = "tanh"
    """Of the hidden layers."""
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation of Gaussian noise added to every hidden layer, after its non-linearity, in
    training and measurement; binned estimators then see one noisy pass of each pattern."""
    quantisation: Annotated[int, Field(ge=1, le=32)] | None = None
    """Bits of weights and hidden activations, whose gradients pass straight through: 2^bits levels
    between the extremes of a layer's weights, and of its activations over the batch (in measurement
    over all patterns). Biases and outputs are not quantised."""
    output: Output = "softmax"
    """softmax: a unit for each label; sigmoid: one unit, for two labels; linear: for a real one."""
    init: InitConfig = InitConfig()
    """Initial weights."""
    optimizer: Literal["sgd", "adam", "langevin"] = "sgd"
    """adam: beta 0.9 and 0.999, epsilon 1e-8 (Kingma & Ba 2015). langevin: full-batch steps with
    Gaussian noise, theta - rate gradient + sqrt(2 rate temperature) xi."""
    learning_rate: PositiveFloat = 0.05
    """Step size."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Heavy-ball momentum of sgd."""
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Temperature of langevin, in nats of the mean loss: small steps sample exp(-loss/temperature),
    with weight decay as part of the loss."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 coefficient, added to the gradient of weights and biases."""
    batch_size: PositiveInt | None = 256
    """Patterns a step; None ("full" in TOML): the full training set."""
    batch_order: Literal["shuffled", "fixed"] = "shuffled"
    """shuffled: anew in each epoch; fixed: in the order of the patterns."""
    epochs: PositiveInt = 10_000
    """Passes through the training set."""
    members: PositiveInt = 50
    """Independent networks: initial weights, split and batches of their own."""
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Share of the patterns in the training set."""
    split: Split = "stratified"
    """How the training set is chosen; see `ibdyn.splits.train_mask`."""
    labels: Labels = "drawn"
    """Soft tasks: train on labels drawn once from p(y|x), or on p(y|x), which leaks the truth.
    Of the real label of linear_teacher, drawn once or its mean.
    """
    seed: NonNegativeInt = 0
    """Root of all random streams."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Recorded epochs."""
    estimators: Annotated[tuple[str, ...], Field(min_length=1)] = ("binned-range-30",)
    """Names of the information estimators."""
    dtype: Literal["float32", "float64"] = "float32"
    """Arithmetic of the networks."""
    engine: Literal["auto", "kernel", "torch"] = "auto"
    """kernel: compiled, on CPUs; torch: any device; auto: the kernel where it is the faster."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where torch trains; the kernel needs cpu."""

    @pydantic.field_validator("batch_size", mode="before")
    @classmethod
    def _full_batch(cls, value: Any) -> Any:
        return None if value == "full" else value

    @pydantic.field_validator("estimators", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, tuple | list):
            raise ValueError(f"expected a list of estimators, found {value!r}")
        names = tuple(
            estimators_.from_name(e).name if isinstance(e, str) else e.name for e in value
        )
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} appears more than once")
        return names

    @pydantic.model_validator(mode="after")
    def _fields_fit_each_other(self) -> "RunConfig":
        self._fields_fit_the_optimizer()
        if self.engine == "kernel" and self.device != "cpu":
            raise ValueError(f"engine kernel needs device cpu, not {self.device}")
        self._fields_fit_the_label()
        self._fields_fit_the_disturbance()
        return self

    def _fields_fit_the_optimizer(self) -> None:
        """What only one of the optimizers has, and the batch of langevin."""
        for name, owner in (("momentum", "sgd"), ("temperature", "langevin")):
            if getattr(self, name) and self.optimizer != owner:
                raise ValueError(
                    f"{name} {getattr(self, name)} needs optimizer {owner}, not {self.optimizer}"
                )
        if self.optimizer == "langevin" and self.batch_size is not None:
            raise ValueError(
                f"optimizer langevin has no noise of batches, found batch_size {self.batch_size}, "
                'expected None ("full" in TOML)'
            )

    def _fields_fit_the_label(self) -> None:
        """Only linear_teacher has a real label."""
        real = self.task.name == "linear_teacher"
        if real != (self.output == "linear"):
            raise ValueError(
                f"the task {self.task.name} has "
                + ("a real label and needs" if real else "labels and cannot have")
                + f" output linear (output is {self.output})"
            )
        if real and self.split in ("stratified", "by_class"):
            raise ValueError(
                f"split {self.split} needs a task with labels, {self.task.name} has a real one; "
                "use random or first"
            )
        exact = [e for e in self.estimators if isinstance(estimators_.from_name(e), Gaussian)]
        if exact and not (real and self.activation == "linear"):
            raise ValueError(
                f"estimator {exact[0]} needs the task linear_teacher and activation linear, "
                f"not {self.task.name} and {self.activation}"
            )

    def _fields_fit_the_disturbance(self) -> None:
        """Noise and quantisation, and what can be measured under them."""
        if self.noise and self.quantisation is not None:
            raise ValueError(
                f"noise {self.noise} and quantisation {self.quantisation} are both given, expected "
                "one of them"
            )
        if self.disturbed and self.output == "linear":
            raise ValueError(
                "noise and quantisation are for tasks with labels, found output linear"
            )
        if self.engine == "kernel" and self.disturbed:
            raise ValueError("engine kernel has neither noise nor quantisation, expected torch")
        for name in self.estimators:
            propagated = name.startswith("mixture-propagated-")
            if propagated and not self.noise:
                raise ValueError(f"estimator {name} needs networks with noise, found noise 0")
            if self.noise and not (propagated or name.startswith("binned-")):
                raise ValueError(
                    f"estimator {name} takes activations without noise, found noise {self.noise}, "
                    "expected mixture-propagated-PATHS or a binned one"
                )

    @property
    def disturbed(self) -> bool:
        """Whether the networks add noise to their activations, or quantise them."""
        return self.noise > 0 or self.quantisation is not None

    def to_json(self) -> str:
        """The configuration as JSON; `from_json` gives it back exactly."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Read `to_json`'s text; pydantic's ValidationError, a ValueError, names what is wrong."""
        return cls.model_validate_json(text)

    def to_toml(self) -> str:
        """The configuration as TOML, where "full" stands for the full batch."""
        fields = self.model_dump(exclude_none=True)
        return tomli_w.dumps({"batch_size": "full", **fields})

    @classmethod
    def from_toml(cls, text: str) -> "RunConfig":
        """Read a TOML text; what it leaves out has its default.

        Raises pydantic's ValidationError or tomllib's TOMLDecodeError, both ValueErrors.
        """
        return cls.model_validate(tomllib.loads(text))


def explain(error: pydantic.ValidationError) -> str:
    """One line for each thing wrong: which field, what was expected, what was found.

    >>> try:
    ...     RunConfig(members=0)
    ... except pydantic.ValidationError as error:
    ...     print(explain(error))
    members: must be greater than 0 (got 0)
    """
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].replace("Input should", "must").removeprefix("Value error, ")
        found = "" if item["type"] == "value_error" else f" (got {item['input']!r})"
        lines.append(f"{where}: {message}{found}" if where else message + found)
    return "\n".join(lines)
