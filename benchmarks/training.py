"""Training: the fused kernel against one ``nn.Module`` at a time.

    python -m benchmarks.training

The network of the paper, 12-10-7-5-4-3-2 tanh, batches of 256 of 3277 patterns, float32, reshuffled
in every epoch on both sides. Prints microseconds per (member x optimiser step), the growth of the
cost with members, width, depth and patterns, peak memory, and the least ratio over the ensemble
sizes on one thread.
"""

import argparse
from collections.abc import Callable, Sequence

import numba
import torch

from benchmarks import plain
from benchmarks.timing import interleaved, peak_memory, row
from ibdyn import kernel
from ibdyn.config import RunConfig
from ibdyn.ensemble import Ensemble, prepare

MEMBERS = (1, 10, 50, 200)
# Networks that the plain loop trains in a repeat; its cost per network does not depend on them.
PLAIN = 3


def study(**fields: object) -> Ensemble:
    """The benchmark's ensemble."""
    return prepare(RunConfig.model_validate({"members": 50, "train_fraction": 0.8, **fields}))


def ours(ensemble: Ensemble, epochs: int) -> tuple[Callable[[], None], int]:
    """A job that trains the ensemble for some epochs, and its member-steps."""
    state, targets = kernel.State.initial(ensemble.initial), ensemble.targets
    steps = epochs * ensemble.steps_per_epoch
    return lambda: kernel.advance(state, ensemble, targets, steps), steps * len(ensemble.members)


def theirs(ensemble: Ensemble, optimizer: str) -> tuple[Callable[[], None], int]:
    """A job that trains `PLAIN` networks for one epoch, one after the other."""
    sizes = ensemble.architecture.sizes.tolist()
    models = [plain.network(sizes) for _ in range(PLAIN)]
    updates = [plain.optimizer(optimizer, model) for model in models]
    x = torch.tensor(ensemble.x[ensemble.train[0]])
    y = torch.tensor(ensemble.targets[0]).argmax(-1)

    def job() -> None:
        for model, update in zip(models, updates, strict=True):
            plain.epoch(model, update, x, y, ensemble.batch_size)

    return job, PLAIN * ensemble.steps_per_epoch


def compare(optimizer: str, members: int, repeats: int) -> tuple[float, float]:
    """Microseconds per member-step: plain, ours."""
    fields: dict[str, object] = {"members": members}
    if optimizer == "adam":
        fields |= {"optimizer": "adam", "learning_rate": 4e-4}
    elif optimizer == "momentum":
        fields |= {"momentum": 0.9}
    ensemble = study(**fields)
    jobs = {"plain": theirs(ensemble, optimizer), "ours": ours(ensemble, -(-100 // members))}
    seconds = interleaved({name: job for name, (job, _) in jobs.items()}, repeats)
    plain_us, ours_us = (seconds[name] / jobs[name][1] * 1e6 for name in jobs)
    return plain_us, ours_us


def growth(repeats: int) -> None:
    """How the cost of a member-step grows."""
    row("growth of the cost, one thread", "us", "ns/weight")
    cases: dict[str, dict[str, object]] = {
        f"{m} members": {"members": m} for m in (1, 10, 100, 1000)
    }
    cases |= {f"width {w}, two layers": {"widths": (w, w)} for w in (5, 10, 20, 40, 80, 160)}
    cases |= {f"depth {d}, width 7": {"widths": (7,) * d} for d in (1, 2, 4, 8, 16)}
    cases |= {f"batch {b}": {"batch_size": b} for b in (64, 256, 1024, 3277)}
    for name, fields in cases.items():
        ensemble = study(**{"members": 10, **fields})
        job, member_steps = ours(ensemble, 2)
        taken = interleaved({name: job}, repeats)[name] / member_steps
        row(name, f"{taken * 1e6:.1f}", f"{taken * 1e9 / ensemble.architecture.parameters:.1f}")


def memory() -> None:
    """Peak memory of whole runs with measurement."""
    row("peak memory of a run, 4096 patterns", "MiB")
    for members in (50, 1000):
        code = (
            "import ibdyn; from ibdyn.config import ScheduleConfig; "
            f"ibdyn.simulate(ibdyn.RunConfig(members={members}, epochs=300, "
            "schedule=ScheduleConfig(count=300)), progress=False)"
        )
        if members == 1000:
            code = code.replace("epochs=300", "epochs=30")
        row(f"{members} members", f"{peak_memory(code):.0f}")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15, help="timed repeats of each job")
    repeats = parser.parse_args(argv).repeats
    torch.set_num_threads(1)
    most = numba.get_num_threads()
    ratios = []
    one_thread: dict[tuple[str, int], float] = {}
    for threads in sorted({1, min(2, most)}):
        numba.set_num_threads(threads)
        row(f"{threads} thread(s), us per member-step", "members", "plain", "ours", "ratio", "gain")
        for optimizer in ("sgd", "momentum", "adam"):
            for members in MEMBERS:
                plain_us, ours_us = compare(optimizer, members, repeats)
                one_thread.setdefault((optimizer, members), ours_us)
                gain = one_thread[optimizer, members] / ours_us
                row(
                    optimizer,
                    members,
                    f"{plain_us:.0f}",
                    f"{ours_us:.1f}",
                    f"{plain_us / ours_us:.1f}",
                    f"{gain:.2f}",
                )
                if threads == 1 and optimizer == "sgd":
                    ratios.append(plain_us / ours_us)
    numba.set_num_threads(1)
    growth(max(3, repeats // 3))
    numba.set_num_threads(most)
    memory()
    print(f"ratio: {min(ratios):.1f}")


if __name__ == "__main__":
    main()
