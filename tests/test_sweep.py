"""Sweeps: definitions that say what is wrong, blocks that are never redone, and the same bits."""

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest

import ibdyn
from ibdyn import blocks, grids, recorder, resources, shards, stopping, storage, sweep
from ibdyn.cli import main
from ibdyn.config import RunConfig
from ibdyn.grids import Sweep

TINY = {
    "task": {"name": "parity", "bits": 4},
    "widths": [3],
    "batch_size": 8,
    "members": 5,
    "epochs": 4,
    "schedule": {"count": 4, "extra": []},
    "estimators": ["binned-range-30", "binned-run-10"],
}
QUIET = {"progress": False}


def different(found, expected):
    """Names of the variables that have other bytes, dims, types or attributes."""
    return [
        name
        for name in {*found.variables, *expected.variables}
        if found[name].values.tobytes() != expected[name].values.tobytes()
        or found[name].dims != expected[name].dims
        or found[name].dtype.kind != expected[name].dtype.kind
        or found[name].attrs != expected[name].attrs
    ]


def assert_whole(folder, definition):
    """Every record of a sweep is that of a run of its configuration."""
    tree = ibdyn.open_sweep(folder)
    assert list(tree.children) == list(definition.configs)
    for name, config in definition.configs.items():
        found, expected = tree[name].to_dataset(), ibdyn.simulate(config, **QUIET)
        assert not different(found, expected), name
        own = {"history", storage.HASH}
        attrs = ({k: v for k, v in run.attrs.items() if k not in own} for run in (found, expected))
        assert next(attrs) == next(attrs)
    assert not list(folder.glob("*.blocks"))


@pytest.fixture
def trained(monkeypatch):
    """The members of every block that is trained, in order."""
    train, found = blocks.train, []

    def noted(config, members, command):
        content = train(config, members, command)
        found.append(tuple(members))
        return content

    monkeypatch.setattr(blocks, "train", noted)
    return found


@pytest.mark.parametrize("block", [1, 2, 100])
def test_members_have_the_same_bits_however_they_are_split(tmp_path, trained, block):
    definition = Sweep(TINY, {"seed": [0, 7], "learning_rate": [0.1]}, block)
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert len(trained) == 2 * -(-5 // min(block or 5, 5))
    assert_whole(tmp_path, definition)


def test_ten_blocks_of_5_are_one_block_of_50(tmp_path, trained):
    definition = Sweep({**TINY, "members": 50})
    ibdyn.run_sweep(definition, tmp_path / "ten", block=5, **QUIET)
    ibdyn.run_sweep(definition, tmp_path / "one", **QUIET)
    assert [len(members) for members in trained] == [5] * 10 + [50]
    ten, one = (ibdyn.load(tmp_path / name / "0.nc") for name in ("ten", "one"))
    assert not different(ten, one)
    assert ten.attrs["title"] == one.attrs["title"] == "parity: 50 networks 4-3-2, tanh"


EVERY = [
    "exact",
    "quantised-8",
    "binned-extremes-30",
    "binned-unit-5",
    "binned-quantiles-4",
    "pairwise-lower-0.001",
    "mixture-measured-0.01:2",
]
LINEAR = {
    "task": {"name": "linear_teacher", "inputs": 5, "samples": 20},
    "activation": "linear",
    "output": "linear",
    "split": "random",
    "estimators": ["gaussian-1"],
}


@pytest.mark.parametrize(
    "fields",
    [
        {"estimators": EVERY},
        LINEAR,
        {"task": {"name": "spherical_rule", "information": 0.9}, "batch_size": 2000},
        {"optimizer": "langevin", "temperature": 0.1, "batch_size": "full"},
        {"optimizer": "adam", "learning_rate": 0.01, "dtype": "float64"},
    ],
    ids=str,
)
def test_whatever_is_measured_is_joined_to_the_bit(tmp_path, fields):
    definition = Sweep({**TINY, **fields}, block=2)
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert_whole(tmp_path, definition)


def test_blocks_keep_the_parameters_that_the_whole_ensemble_keeps(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "PARAMETER_BYTES", 1000)
    definition = Sweep(TINY, block=1)
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert_whole(tmp_path, definition)
    run = ibdyn.load(tmp_path / "0.nc")
    kept = run.parameters.notnull().all(("member", "parameter")).values
    assert 0 < kept.sum() < run.sizes["step"]
    assert "parameters_kept" in run.attrs


def test_a_diverged_member_is_marked_and_the_sweep_goes_on(tmp_path):
    fields = {**TINY, "activation": "linear"}
    definition = Sweep(fields, {"learning_rate": [1e30, 0.1]}, block=2)
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert_whole(tmp_path, definition)
    diverged = [node.diverged.values.any() for node in ibdyn.open_sweep(tmp_path).children.values()]
    assert diverged == [True, False]


def interrupt_after(count, monkeypatch, number=signal.SIGINT):
    """Have the block after ``count`` of them come with a signal."""
    train, calls = blocks.train, []

    def signalled(*arguments):
        if len(calls) == count:
            os.kill(os.getpid(), number)
        calls.append(1)
        return train(*arguments)

    monkeypatch.setattr(blocks, "train", signalled)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_finished_is_not_trained_again(tmp_path, trained, monkeypatch, number):
    definition = Sweep(TINY, {"seed": [0, 1]}, block=2)
    handler = signal.getsignal(number)
    with monkeypatch.context() as patch:
        interrupt_after(4, patch, number)
        message = rf"{number.name}, 7 of 10 networks are kept; the same command goes on"
        with pytest.raises(stopping.Stopped, match=message) as caught:
            ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert caught.value.status == 128 + number
    assert signal.getsignal(number) is handler
    before = list(trained)
    assert before == [(0, 1), (2, 3), (4,), (0, 1)]
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "0-seed-0.nc",
        "1-seed-1.blocks",
        "sweep.toml",
    ]
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert trained[4:] == [(2, 3), (4,)]
    assert_whole(tmp_path, definition)
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert len(trained) == 6


def test_another_size_of_blocks_fills_up_what_is_there(tmp_path, trained, monkeypatch):
    definition = Sweep(TINY, block=2)
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        with pytest.raises(stopping.Stopped):
            ibdyn.run_sweep(definition, tmp_path, **QUIET)
    ibdyn.run_sweep(definition, tmp_path, block=1, **QUIET)
    assert trained == [(0, 1), (2,), (3,), (4,)]
    assert_whole(tmp_path, definition)


def test_members_that_are_missing_come_in_runs_of_at_most_the_size():
    config = RunConfig(members=10)
    found = blocks.split("run.nc", config, {0, 3, 4}, 2)
    assert [list(block.members) for block in found] == [[1, 2], [5, 6], [7, 8], [9]]
    assert [len(b.members) for b in blocks.split("run.nc", config, set(), None)] == [10]
    assert not blocks.split("run.nc", config, set(range(10)), 3)


def test_a_damaged_block_is_named_and_trained_again(tmp_path, trained, monkeypatch, capsys):
    definition = Sweep(TINY, block=2)
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        with pytest.raises(stopping.Stopped):
            ibdyn.run_sweep(definition, tmp_path, **QUIET)
    path = tmp_path / "0.blocks" / "00002-00003.nc"
    path.write_bytes(path.read_bytes()[:-100])
    ibdyn.run_sweep(definition, tmp_path)
    error = capsys.readouterr().err
    assert "00002-00003.nc cannot be read as NetCDF: it is truncated" in error
    assert "1 configuration, 5 networks (2 done), 2 blocks to train" in error
    assert trained == [(0, 1), (2, 3), (2, 3), (4,)]
    assert_whole(tmp_path, definition)


@pytest.mark.parametrize("moment", ["joined", "remove"])
def test_a_kill_before_or_after_the_join_loses_no_block(tmp_path, trained, monkeypatch, moment):
    definition = Sweep(TINY, block=3)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(blocks, moment, killed)
        with pytest.raises(stopping.Stopped):
            ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert len(list((tmp_path / "0.blocks").iterdir())) == 2
    assert (tmp_path / "0.nc").is_file() == (moment == "remove")
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert trained == [(0, 1, 2), (3, 4)]
    assert_whole(tmp_path, definition)


def test_a_block_that_fails_fails_alone_and_is_tried_again(tmp_path, trained, monkeypatch):
    definition, train = Sweep(TINY, {"seed": [0, 1, 2]}, block=3), blocks.train

    def failing(config, members, command):
        if RunConfig.from_json(config).seed == 1 and 3 in members:
            raise MemoryError("no room for it")
        return train(config, members, command)

    with monkeypatch.context() as patch:
        patch.setattr(blocks, "train", failing)
        message = (
            "1 block of 6 failed, the others are kept; the same command tries again\n"
            "1-seed-1, members 3 to 4: MemoryError: no room for it"
        )
        with pytest.raises(sweep.FailedError) as caught:
            ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert str(caught.value) == message
    assert len(trained) == 5
    assert len(ibdyn.open_sweep(tmp_path).children) == 2
    ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert trained[5:] == [(3, 4)]
    assert_whole(tmp_path, definition)


def test_many_failures_are_counted_and_the_first_named(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "train", None)
    with pytest.raises(sweep.FailedError, match=r"12 blocks of 12 failed") as caught:
        ibdyn.run_sweep(Sweep(TINY, {"seed": list(range(12))}), tmp_path, **QUIET)
    assert len(str(caught.value).splitlines()) == 12
    assert str(caught.value).endswith("and 2 more")


def test_a_folder_is_one_sweeps(tmp_path):
    ibdyn.run_sweep(Sweep(TINY, {"seed": [0]}), tmp_path, **QUIET)
    other = Sweep({**TINY, "epochs": 5}, {"seed": [0, 1]})
    message = r"holds another sweep: epochs is 4 there, 5 here; grid.seed is \[0\] there, \[0, 1\]"
    with pytest.raises(ValueError, match=message):
        ibdyn.run_sweep(other, tmp_path, **QUIET)
    ibdyn.run_sweep(Sweep(TINY, {"seed": [0]}, block=3), tmp_path, **QUIET)
    (tmp_path / "sweep.toml").unlink()
    with pytest.raises(ValueError, match=r"holds records but no sweep.toml"):
        ibdyn.run_sweep(other, tmp_path, **QUIET)


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    lock = shards.locked(tmp_path)
    with pytest.raises(BlockingIOError, match="another process works in"):
        ibdyn.run_sweep(Sweep(TINY), tmp_path, **QUIET)
    os.close(lock)
    ibdyn.run_sweep(Sweep(TINY), tmp_path, **QUIET)


def test_blocks_of_another_task_are_not_joined(tmp_path, monkeypatch):
    x = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
    path = tmp_path / "task.npz"
    definition = Sweep({**TINY, "task": {"name": "file", "path": str(path)}}, block=3)
    np.savez(path, x=x, y=x[:, 0].astype(int))
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        with pytest.raises(stopping.Stopped):
            ibdyn.run_sweep(definition, tmp_path / "out", **QUIET)
    np.savez(path, x=x, y=x[:, 1].astype(int))
    with pytest.raises(ValueError, match=r"0.blocks are not of one run, delete .*'p_y_given_x'"):
        ibdyn.run_sweep(definition, tmp_path / "out", **QUIET)
    assert not list((tmp_path / "out").glob("*.nc"))


def test_memory_and_disk_are_held_against_what_is_free_before_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(resources, "memory_free", lambda: 10 * 2**20)
    with pytest.raises(resources.NotEnoughError, match=r"memory: the sweep needs about \d+ MiB"):
        ibdyn.run_sweep(Sweep(TINY, {"seed": [0, 1]}), tmp_path)
    error = capsys.readouterr().err
    assert "2 configurations, 10 networks (0 done), 2 blocks to train" in error
    assert "MiB of memory (10 free)" in error
    assert not list(tmp_path.glob("*.nc"))
    ibdyn.run_sweep(Sweep(TINY, {"seed": [0, 1]}), tmp_path, force=True, **QUIET)


def needs(monkeypatch, configs, block, workers=None):
    """What a sweep of ``configs`` is said to need."""
    found = {}
    monkeypatch.setattr(resources, "hold", lambda what, needs, free, **_: found.update(needs))
    resources.check_sweep(
        configs, block, resources.Path("."), workers=workers, force=False, shown=False
    )
    return found


def test_memory_is_that_of_the_largest_block_and_disk_that_of_all(monkeypatch):
    large = RunConfig(members=200, epochs=10_000)
    small = RunConfig(members=2, epochs=10)
    one = needs(monkeypatch, [large], None)
    assert needs(monkeypatch, [small, large], None)["memory"] == one["memory"]
    assert needs(monkeypatch, [large], 10)["memory"] > resources.BASE["kernel"]
    seeds = [large.model_copy(update={"seed": k, "learning_rate": 0.1 + k}) for k in range(5)]
    assert needs(monkeypatch, seeds, None) == {**one, "disk": 5 * one["disk"]}
    spread = needs(monkeypatch, [large], 10, resources.Workers(None, 3))
    assert spread["memory"] > 3 * spread["memory of a worker"]
    assert spread["memory of a worker"] < one["memory"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 1", "learning_rat is no field of a configuration"),
        ("[grid]\nlearning_rat = [1]", "grid.learning_rat is no field of a configuration"),
        ('[grid]\n"task.bit" = [1]', "grid.task.bit is no field of a configuration"),
        ("[grid]\ntask.bits.more = [1]", "grid.task.bits.more is no field"),
        ("[grid]\nseed = []", "grid.seed: the list of values is empty"),
        ("[grid]\nseed = 3", "grid.seed: expected a list of values, found 3"),
        ("[grid]\nseed = [1, 1]", "grid.seed: 1 appears more than once"),
        ("seed = 1\n[grid]\nseed = [1, 2]", "seed is in the grid and beside it, expected one"),
        ("[task]\nbits = 3\n[grid]\ntask = [{bits = 4}]", "task is in the grid and beside it"),
        (
            '[grid]\ntask = [{name = "parity"}]\n"task.bits" = [3]',
            "grid has both task and its task.bits",
        ),
        ("[grid]\nmembers = [1, 0]", "configuration 1-members-0: members: must be greater than 0"),
        ("epochs = 0\n[grid]\nseed = [3]", "configuration 0-seed-3: epochs: must be greater"),
        ('[grid]\nmomentum = [0, 0.9]\noptimizer = ["adam"]', "momentum 0.9 needs optimizer sgd"),
        ("block = 0", "block: 0 is no number of members"),
        ("block = true", "block: True is no number of members"),
        ("grid = 3", "grid: expected a table of fields and lists of values, found 3"),
        ('preset = "szt"', "preset 'szt' is unknown"),
        ("[grid", "at end of document"),
    ],
)
def test_what_is_wrong_with_a_definition_is_named(tmp_path, capsys, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sweep.from_toml(text)
    (tmp_path / "sweep.toml").write_text(text)
    out = tmp_path / "out"
    assert main(["sweep", str(tmp_path / "sweep.toml"), "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_definitions_in_python_are_checked_too():
    with pytest.raises(ValueError, match="task: expected a table of fields, found 3"):
        Sweep({"task": 3}, {"task.bits": [3]})
    with pytest.raises(ValueError, match="quantisation: None has no form in TOML"):
        Sweep({}, {"quantisation": [None, 4]})
    with pytest.raises(ValueError, match="expected numbers, texts, lists and tables"):
        Sweep({"task": RunConfig().task})
    with pytest.raises(ValueError, match=r"seed: expected a list of values, found '01'"):
        Sweep({}, {"seed": "01"})


def test_a_configuration_that_does_not_fit_its_task_is_refused_before_work(tmp_path, trained):
    definition = Sweep({**TINY, "train_fraction": 0.001}, {"seed": [0, 1]})
    with pytest.raises(ValueError, match="train_fraction"):
        ibdyn.run_sweep(definition, tmp_path, **QUIET)
    assert not trained


def test_a_grid_has_every_combination_under_a_name_of_its_own():
    text = """
        preset = "szt2017-paper"
        members = 2
        [grid]
        widths = [[7, 5], []]
        batch_size = ["full", 256]
        "task.information" = [0.9, 0.99]
    """
    found = Sweep.from_toml(text)
    assert list(found.configs)[:2] + list(found.configs)[-1:] == [
        "0-widths-7-5-batch_size-full-information-0.9",
        "1-widths-7-5-batch_size-full-information-0.99",
        "7-widths-batch_size-256-information-0.99",
    ]
    first, *_, last = found.configs.values()
    paper = ibdyn.presets.preset("szt2017-paper")
    assert first.widths == (7, 5)
    assert first.batch_size is None
    assert (last.widths, last.batch_size, last.task.information) == ((), 256, 0.99)
    assert {**last.model_dump(), "widths": 0, "members": 0, "task": 0} == {
        **paper.model_dump(),
        "widths": 0,
        "members": 0,
        "task": 0,
    }
    again = Sweep.from_toml(found.to_toml())
    assert again.configs == found.configs
    assert not grids.differences(again.to_toml(), found.to_toml())


def test_names_are_different_however_long_and_strange_their_values_are():
    paths = [f"{'long/' * 30}{k}.npz" for k in range(12)]
    found = Sweep({"task": {"name": "file"}}, {"task.path": paths}).configs
    assert len(found) == 12
    assert all(len(name) <= 64 and name[0].isdigit() for name in found)
    assert [name[:2] for name in found] == [f"{k:02d}" for k in range(12)]
    assert not [name for name in found if set(name) & set("/ '[],")]


def test_a_sweep_is_opened_without_being_read(tmp_path):
    ibdyn.run_sweep(Sweep(TINY, {"seed": [0, 1]}), tmp_path, **QUIET)
    (tmp_path / "2.blocks").mkdir()
    (tmp_path / "3.nc.partial").mkdir()
    for options in ({}, {"verify": False}, {"verify": False, "chunks": {}}):
        tree = ibdyn.open_sweep(tmp_path, **options)
        assert list(tree.children) == ["0-seed-0", "1-seed-1"]
        assert not any(
            node[name].variable._in_memory
            for node in tree.children.values()
            for name in node.data_vars
        )
        run = tree["1-seed-1"].to_dataset()
        assert bool(run.chunks) == ("chunks" in options)
        assert not different(run, ibdyn.load(tmp_path / "1-seed-1.nc"))
        ibdyn.save(run, tmp_path / "copy" / "run.nc")
    run = ibdyn.load(tmp_path / "1-seed-1.nc")
    run.assign(loss=run.loss.copy(data=run.loss + 7)).to_netcdf(tmp_path / "changed")
    (tmp_path / "changed").replace(tmp_path / "1-seed-1.nc")
    assert (ibdyn.open_sweep(tmp_path, verify=False)["1-seed-1"].loss > 7).all()
    with pytest.raises(storage.RecordError, match=r"1-seed-1.nc was changed or damaged"):
        ibdyn.open_sweep(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no .nc file"):
        ibdyn.open_sweep(tmp_path / "2.blocks")


def test_the_command_trains_a_sweep_and_goes_on_after_a_signal(
    tmp_path, trained, monkeypatch, capsys
):
    definition = Sweep(TINY, {"seed": [0, 1]}, block=3)
    file, out = tmp_path / "sweep.toml", tmp_path / "new" / "out"
    file.write_text(definition.to_toml())
    arguments = ["sweep", str(file), "--out", str(out)]
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        assert main(arguments) == 130
    error = capsys.readouterr().err
    assert "ibdyn: stopped by SIGINT, 3 of 10 networks are kept" in error
    assert main(arguments) == 0
    assert trained == [(0, 1, 2), (3, 4), (0, 1, 2), (3, 4)]
    printed = capsys.readouterr()
    assert printed.out == f"wrote 2 records to {out}\n"
    assert "10 networks (3 done), 3 blocks to train" in printed.err
    assert_whole(out, definition)
    history = ibdyn.load(out / "1-seed-1.nc").attrs["history"]
    assert history.endswith(f"ibdyn sweep {file} --out {out}")
    assert main([*arguments, "--scheduler", "tcp://a:1", "--local-workers", "2"]) == 2
    assert "scheduler and local workers are both given" in capsys.readouterr().err
    assert main([*arguments, "--local-workers", "0"]) == 2
    assert "local workers: 0 is no number of them" in capsys.readouterr().err


@pytest.mark.parametrize("chunks", [None, {}])
def test_a_file_is_open_only_while_its_values_are_read(chunks, tmp_path):
    """Else threads that let go of one may close it while others are at work in the library."""
    ibdyn.run_sweep(Sweep(TINY), tmp_path, **QUIET)
    (node,) = ibdyn.open_sweep(tmp_path, verify=False, chunks=chunks).children.values()
    assert float(node.loss.max()) > 0
    handles = [os.readlink(handle) for handle in Path("/proc/self/fd").iterdir() if handle.exists()]
    assert not [target for target in handles if target.startswith(str(tmp_path))]


def test_values_of_a_file_that_was_replaced_are_refused(tmp_path):
    ibdyn.run_sweep(Sweep(TINY), tmp_path, **QUIET)
    (file,) = tmp_path.glob("*.nc")
    (node,) = ibdyn.open_sweep(tmp_path).children.values()
    ibdyn.save(ibdyn.load(file), file)
    with pytest.raises(storage.RecordError, match="is no longer the file that was opened"):
        node.loss.load()


def test_what_users_have_added_is_read_as_it_stands(tmp_path, run):
    """Among it what other conventions take for a gap."""
    more = run.assign(
        flag=("member", np.array([True, False, True])),
        count=("member", np.array([-127, 0, 127], dtype=np.int8)),
        gap=("member", np.array([np.nan, 9.969209968386869e36, 1.0])),
        note=("member", np.array(["one", "", "drei"])),
    )
    ibdyn.save(more, tmp_path / "run.nc")
    found = ibdyn.open_sweep(tmp_path)["run"].to_dataset().load()
    for name in ("flag", "count", "gap", "note"):
        assert found[name].dtype.kind == ibdyn.load(tmp_path / "run.nc")[name].dtype.kind
        assert found[name].equals(more[name].astype(found[name].dtype)), name
