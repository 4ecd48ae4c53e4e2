"""The command: what it writes, what it prints, and one line for everything that is wrong."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import output, probes, resumption
from ibdyn.cli import COMMANDS, main
from ibdyn.config import RunConfig
from ibdyn.presets import PRESETS, preset

SMALL = ["--members", "2", "--epochs", "3", "--widths", "3", "--schedule.count", "3"]


def test_simulate_writes_the_record_of_its_flags(tmp_path, capsys):
    out = tmp_path / "new" / "run.nc"
    assert main(["simulate", "--preset", "szt2017-stored", *SMALL, "--out", str(out)]) == 0
    run = ibdyn.load(out)
    config = RunConfig.from_json(run.attrs["config"])
    assert config == preset("szt2017-stored").model_copy(
        update={
            "members": 2,
            "epochs": 3,
            "widths": (3,),
            "schedule": config.schedule.model_copy(update={"count": 3}),
        }
    )
    assert run.attrs["history"].endswith(f"--schedule.count 3 --out {out}")
    printed = capsys.readouterr()
    assert "2 (0 diverged)" in printed.out
    assert "binned-published-50" in printed.out


def test_flags_go_on_top_of_a_toml_file(tmp_path):
    config = RunConfig(task={"name": "parity", "bits": 4}, batch_size=None, widths=(3,), epochs=9)
    (tmp_path / "run.toml").write_text(config.to_toml())
    out = str(tmp_path / "run.nc")
    assert main(["simulate", "--toml", str(tmp_path / "run.toml"), *SMALL, "--out", out]) == 0
    found = RunConfig.from_json(ibdyn.load(out).attrs["config"])
    assert (found.task, found.batch_size, found.epochs) == (config.task, None, 3)


def test_nested_flags_reach_the_task(tmp_path):
    out = str(tmp_path / "run.nc")
    flags = ["--task.name", "majority", "--task.bits", "5", "--batch-size", "None"]
    assert main(["simulate", *flags, *SMALL, "--out", out]) == 0
    assert ibdyn.load(out).sizes["pattern"] == 32


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--members", "0"], "members: must be greater than 0 (got 0)"),
        (["--task.bits", "3"], "task: bits has no meaning for the task spherical_rule"),
        (["--preset", "szt"], "preset 'szt' is unknown"),
        (["--toml", "gone.toml"], "No such file or directory: 'gone.toml'"),
        (["--preset", "szt2017-paper", "--toml", "a.toml"], "are both given"),
        (["--estimators", "kde"], "estimators: estimator 'kde' is unknown"),
        (["--task.name", "file", "--task.path", "gone.npz"], "task file gone.npz does not exist"),
        (["--task.name", "file", "--task.path", "a.txt"], "a.txt is no .mat or .npz file"),
        (["--train-fraction", "1e-9"], "leaves 0, expected >= 1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, flags, message):
    assert main(["simulate", *flags, "--out", str(tmp_path / "run.nc")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ibdyn: error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run.nc").exists()


def test_two_errors_are_two_lines(tmp_path, capsys):
    flags = ["--members", "0", "--epochs", "0", "--out", str(tmp_path / "run.nc")]
    assert main(["simulate", *flags]) == 2
    assert capsys.readouterr().err.count("ibdyn: error: ") == 2


def test_an_output_that_cannot_be_written_is_said_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(resumption, "simulate_to", None)
    assert main(["simulate", "--out", str(tmp_path)]) == 2
    assert "is a folder, expected a file" in capsys.readouterr().err
    monkeypatch.setattr(output.os, "access", lambda *_: False)
    assert main(["simulate", "--out", str(tmp_path / "run.nc")]) == 2
    assert "is not writable" in capsys.readouterr().err


def test_unknown_commands_and_flags_are_refused(capsys):
    assert main(["simulat"]) == 2
    assert "'simulat' is no command, expected one of simulate" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["simulate", "--bogus", "3"])
    assert caught.value.code == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_a_checkpoint_that_resume_goes_on_from(
    tmp_path, capsys, monkeypatch, number, status
):
    measure, calls = probes.measure, []

    def signalled(*arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return measure(*arguments)

    monkeypatch.setattr(probes, "measure", signalled)
    out = str(tmp_path / "run.nc")
    assert main(["simulate", *SMALL, "--out", out]) == status
    error = capsys.readouterr().err
    assert f"stopped by {number.name}, kept until epoch 1" in error
    assert f"go on with: ibdyn resume {out}" in error
    assert main(["info", out]) == 2
    assert f"is its unfinished run: ibdyn resume {out}" in capsys.readouterr().err
    assert main(["verify", f"{out}.partial"]) == 0
    assert "unfinished run of 2 members and 3 epochs, 2 rows" in capsys.readouterr().out
    assert main(["simulate", *SMALL, "--out", out]) == 2
    assert "holds an unfinished run" in capsys.readouterr().err
    assert main(["resume", out]) == 0
    assert len(calls) == 3
    assert "complete   yes" in capsys.readouterr().out
    assert main(["verify", out]) == 0
    assert "complete record" in capsys.readouterr().out
    assert main(["resume", out]) == 2
    assert "is complete, there is nothing to resume" in capsys.readouterr().err


def test_info_says_that_a_record_is_incomplete(run, tmp_path, capsys):
    ibdyn.save(run.isel(step=slice(2)).assign_attrs(complete=0), tmp_path / "run.nc")
    assert main(["info", str(tmp_path / "run.nc")]) == 0
    assert "complete   no" in capsys.readouterr().out


def test_a_run_too_large_for_the_machine_is_refused_before_work(tmp_path, capsys):
    out = tmp_path / "run.nc"
    assert main(["simulate", "--members", "100000000", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "memory: the run needs about" in error
    assert "--force tries all the same" in error
    assert not list(tmp_path.iterdir())


def test_measure_adds_estimators_in_place_or_elsewhere(run, tmp_path, capsys):
    path, other = tmp_path / "run.nc", tmp_path / "other.nc"
    ibdyn.save(run, path)
    flags = ["--estimators", "binned-quantiles-30", "binned-extremes-10"]
    assert main(["measure", str(path), *flags, "--out", str(other)]) == 0
    assert ibdyn.load(path).sizes["estimator"] == 2
    assert main(["measure", str(path), *flags]) == 0
    found = ibdyn.load(path)
    assert found.estimator.values.tolist() == [*run.estimator.values, *flags[1:]]
    old = found.sel(estimator=run.estimator)
    for name in ("information_input", "information_label", "resolved", "occupied_cells"):
        xr.testing.assert_identical(old[name], run[name])
    assert "ibdyn measure" in found.attrs["history"]
    assert main(["measure", str(path), *flags]) == 2
    assert "are in the record" in capsys.readouterr().err


def test_info_says_what_a_record_holds(run, tmp_path, capsys):
    ibdyn.save(run, tmp_path / "run.nc")
    assert main(["info", str(tmp_path / "run.nc")]) == 0
    printed = capsys.readouterr().out
    assert "spherical_rule: 3 networks 12-5-3-2, tanh" in printed
    value = float(run.information_input.isel(estimator=0, step=-1, layer=-1).mean())
    assert f"{value:.3f}" in printed
    assert main(["info", str(tmp_path / "gone.nc")]) == 2


def test_plot_draws_every_figure(run, tmp_path, capsys):
    ibdyn.save(run, tmp_path / "run.nc")
    assert main(["plot", str(tmp_path / "run.nc"), "--out", str(tmp_path / "figures")]) == 0
    names = sorted(p.name for p in (tmp_path / "figures").iterdir())
    assert names == sorted(
        f"run-{name}.png"
        for name in (
            "information-plane",
            "information-paths",
            "gradient-phases",
            "signal-to-noise",
            "learning-curves",
        )
    )
    assert main(["plot", str(tmp_path / "run.nc"), "--estimator", "kde"]) == 2
    assert "estimator 'kde' is not in the record" in capsys.readouterr().err


def test_presets_are_listed_with_their_sources(capsys):
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PRESETS)
    assert main(["presets", "szt2017-paper"]) == 0
    assert "ours: the paper gives no rate" in capsys.readouterr().out


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs(name, tmp_path):
    config = preset(name)
    # Eight passes take sixteen times as long as two.
    quick = tuple(e.replace("propagated-8", "propagated-2") for e in config.estimators)
    update = {"members": 2, "epochs": 2, "estimators": quick}
    run = ibdyn.simulate(config.model_copy(update=update), progress=False)
    # The network's own noise ends before the output.
    ends = run.estimator.str.startswith("mixture-propagated") & (run.layer == "output")
    assert (np.isfinite(run.information_input) != ends).all()


def test_the_usage_names_every_command(capsys):
    assert main([]) == 0
    usage = capsys.readouterr().out
    assert all(name in usage for name in COMMANDS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ibdyn 0.")


def test_a_reader_that_has_seen_enough_is_no_error(run, tmp_path):
    ibdyn.save(run, tmp_path / "run.nc")
    command = f"{sys.executable} -m ibdyn.cli info {tmp_path / 'run.nc'} | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
