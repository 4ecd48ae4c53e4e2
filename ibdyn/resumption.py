"""Runs that lose nothing: trained to a file, stopped at any moment, and gone on with."""

import hashlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import xarray as xr

from . import output, resources, shards, simulation, storage
from .config import RunConfig
from .ensemble import Ensemble, prepare
from .estimators import from_name
from .progress import Progress
from .recorder import Recorder, label_arrays
from .schedule import paced
from .shards import Row, Work
from .state import State
from .stopping import Stopped, signals

# A checkpoint waits for this many times what the last one took, so that all cost 2 % at most.
PATIENCE = 50


def simulate_to(
    config: RunConfig,
    path: str | Path,
    *,
    seconds: float = 30.0,
    force: bool = False,
    progress: bool = True,
    command: str = "ibdyn.simulate_to",
) -> xr.Dataset:
    """Train the ensemble of ``config``, write its record to ``path``, and return it.

    The values are those of `simulation.simulate`. Until the record is whole the run works in the
    folder ``path`` + ".partial": what was measured is kept there about every ``seconds``, with a
    checkpoint, from which `resume` goes on after a crash, a signal or a full disk.

    Raises ValueError for a configuration that does not fit its task, OSError where the file cannot
    be written, FileExistsError where an unfinished run is in the way, `resources.NotEnoughError`
    where memory or disk are too small unless ``force``; all of these before training. Raises
    `Stopped` on SIGINT and SIGTERM, after a checkpoint.
    """
    path = Path(path)
    _check_seconds(seconds)
    output.check_writable(path)
    resources.check(config, path, force=force, shown=progress)
    ensemble = prepare(config)
    attrs = simulation.attributes(ensemble, command)
    header = {
        "config": config.to_json(),
        "fingerprint": fingerprint(ensemble),
        **{name: attrs[name] for name in ("history", "versions", "machine")},
    }
    with closing(shards.begin(shards.folder_of(path), header)) as work:
        return _run(work, ensemble, attrs, None, [], [], seconds, progress)


def resume(
    path: str | Path,
    *,
    seconds: float = 30.0,
    force: bool = False,
    progress: bool = True,
    command: str = "ibdyn.resume",
) -> xr.Dataset:
    """Go on with the unfinished run of the record ``path``, or of its folder; as `simulate_to`.

    From the last checkpoint up to which all files are whole, or from the beginning where there is
    none. With the kernel engine, and the same machine and versions, every variable has the bytes
    that it would have had without a stop.

    Raises FileNotFoundError where there is no unfinished run, BlockingIOError where one is being
    worked on, `storage.RecordError` for a damaged manifest, and ValueError where the task's file
    or what is drawn from streams are no longer those that the run began with.
    """
    _check_seconds(seconds)
    with closing(shards.reopen(shards.folder_of(path))) as work:
        config = RunConfig.from_json(work.header["config"])
        target = shards.target_of(work.folder)
        resources.check(config, target, force=force, shown=progress)
        ensemble = prepare(config)
        if fingerprint(ensemble) != work.header["fingerprint"]:
            raise ValueError(
                f"{work.folder} cannot be gone on with: its task, split or initial weights are not "
                f"those of the start (begun with {work.header['versions']})"
            )
        state, steps, rows = shards.restore(work, simulation.recorded_steps(ensemble))
        attrs = simulation.attributes(ensemble, command)
        step = 0 if state is None else state.step
        history = f"{attrs['history']} (from step {step})"
        origin = {name: attrs[name] for name in ("versions", "machine")}
        if progress:
            _say(work, step / ensemble.steps_per_epoch, origin)
        shards.append(work, [{"kind": "resumed", "step": step, "history": history, **origin}])
        told = [work.header, *shards.of_kind(work.entries, "resumed")]
        attrs["history"] = "\n".join(entry["history"] for entry in told)
        for name in origin:
            attrs[name] = "; then ".join(dict.fromkeys(entry[name] for entry in told))
        return _run(work, ensemble, attrs, state, steps, rows, seconds, progress)


def simulate_once(config: RunConfig, path: str | Path, *, command: str) -> xr.Dataset:
    """The record of ``config`` in ``path``: loaded, gone on with, or trained, whichever is left.

    A record of another configuration is replaced. Raises as `simulate_to`, for an unfinished run
    of another configuration FileExistsError, and BlockingIOError where another process works on
    the run.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        found = storage.load(path)
        if RunConfig.from_json(found.attrs["config"]) == config and found.attrs["complete"]:
            print(f"ibdyn: {path} is there already", file=sys.stderr)
            return found
    folder = shards.folder_of(path)
    if folder.exists():
        with closing(shards.reopen(folder)) as work:
            same = RunConfig.from_json(work.header["config"]) == config
        if same:
            return resume(path, command=command)
    return simulate_to(config, path, command=command)


def _check_seconds(seconds: float) -> None:
    if not seconds >= 0:
        raise ValueError(f"seconds between checkpoints are {seconds}, expected 0 or more")


def _say(work: Work, epoch: float, origin: dict[str, object]) -> None:
    """On stderr: what was damaged, where the run goes on, and what is not as it was."""
    for note in work.notes:
        print(f"ibdyn: {note}", file=sys.stderr)
    print(f"ibdyn: going on from epoch {epoch:g}", file=sys.stderr)
    for name, value in origin.items():
        if value != work.header[name]:
            print(
                f"ibdyn: {name} were {work.header[name]}, now {value}: the last bits may differ "
                "from those of a run without a stop",
                file=sys.stderr,
            )


def _run(
    work: Work,
    ensemble: Ensemble,
    attrs: dict[str, object],
    state: State | None,
    steps: Sequence[int],
    rows: Sequence[Row],
    seconds: float,
    progress: bool,
) -> xr.Dataset:
    """Train from ``state``, whose ``rows`` at ``steps`` are known, to the record in its place."""
    estimators = [from_name(name) for name in ensemble.config.estimators]
    recorded = simulation.recorded_steps(ensemble)
    recorder = Recorder(ensemble, recorded, estimators)
    recorder.steps, recorder.rows = list(steps), [dict(row) for row in rows]
    begin = -1 if state is None else state.step
    state = State.initial(ensemble.initial) if state is None else state
    target = shards.target_of(work.folder)
    try:
        with Progress(ensemble.config.epochs, shown=progress) as bar, signals(1) as asked:
            stops = paced(recorded, begin)
            training = simulation.recording(recorder, stops, state, bar)
            for step in _kept(work, recorder, state, training, asked, seconds):
                if asked:
                    raise Stopped(asked[0], _kept_until(ensemble, step, target))
        record = simulation.record(recorder, {**attrs, "complete": 1})
        whole = work.folder / "record.nc"
        storage.save(record, whole)
        whole.replace(target)
        storage.flush(target.parent)
    except OSError as error:
        reason = f"{error.strerror or error}; {work.folder} keeps what was measured"
        raise OSError(error.errno, f"{reason}, go on with: ibdyn resume {target}") from error
    except Stopped:
        raise
    except KeyboardInterrupt:
        kept = shards.of_kind(work.entries, shards.CHECKPOINT)
        step = kept[-1]["step"] if kept else 0
        raise Stopped(signal.SIGINT, _kept_until(ensemble, step, target)) from None
    work.remove()
    return record


def _kept_until(ensemble: Ensemble, step: int, target: Path) -> str:
    epoch = step / ensemble.steps_per_epoch
    return f"kept until epoch {epoch:g}; go on with: ibdyn resume {target}"


def _kept(
    work: Work,
    recorder: Recorder,
    state: State,
    training: Iterator[int],
    asked: Sequence[int],
    seconds: float,
) -> Iterator[int]:
    """The steps of ``training``, each time that they are kept on disk.

    That is at the last, when a signal has ``asked`` for it, and about every ``seconds``.
    """
    kept, cost, since = len(recorder.steps), 0.0, time.monotonic()
    last = max(recorder.wanted)
    for step in training:
        now = time.monotonic()
        if asked or step == last or now - since > max(seconds, PATIENCE * cost):
            shards.add(work, recorder.rows[kept:], recorder.steps[kept:], state)
            kept, since = len(recorder.steps), time.monotonic()
            cost = since - now
            yield step


def fingerprint(ensemble: Ensemble) -> str:
    """sha256 of the arrays that a run starts from: patterns, labels, split, weights, batches."""
    arrays = {
        "initial": ensemble.initial,
        "x": ensemble.x,
        "in_train": ensemble.in_train,
        "batch_keys": ensemble.batch_keys,
        **label_arrays(ensemble.task),
    }
    if ensemble.drawn is not None:
        arrays["drawn"] = ensemble.drawn
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.shape} {array.dtype.str} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
