"""Every simulation as its page says, at a tiny scale; the published comparison when slow."""

import csv

import numpy as np
import pytest

import ibdyn
from ibdyn.presets import preset
from simulations import (
    bottleneck_limit,
    estimators,
    markov_chain,
    stored_result,
)
from theory import bottleneck, markov

MEASURED = ("input", "label")


def test_the_information_plane_writes_its_record_and_figures(reproduced):
    run = ibdyn.load(reproduced / "information_plane.nc")
    assert run.sizes["member"] == 4
    assert "python -m simulations.information_plane --scale smoke" in run.attrs["history"]
    assert len(list(reproduced.glob("information_plane-*.png"))) == 5
    printed = (reproduced / "information_plane.txt").read_text()
    value = float(run.information_input.isel(step=-1, estimator=0, layer=-1).mean())
    assert f"{value:.3f} +-" in printed


def test_estimators_are_compared_with_the_truth_and_with_each_other(reproduced):
    printed = (reproduced / "estimators.txt").read_text()
    with open(reproduced / "known_answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["case"] for row in rows}) == 6
    for row in rows:
        error = float(row["standard_error"] or "nan")
        if row["estimator"] == "mixture":
            assert abs(float(row["estimate"]) - float(row["truth"])) < 5 * error
        elif row["estimator"].startswith("pairwise"):
            above = float(row["estimate"]) > float(row["truth"])
            assert above == (row["kind"] == "upper bound")
    run = ibdyn.load(reproduced / "estimators.nc")
    assert tuple(run.estimator.values) == estimators.ESTIMATORS
    for name in ("known_answers.png", "estimators.png"):
        assert (reproduced / name).stat().st_size > 10_000
    for name in estimators.ESTIMATORS:
        assert name in printed


def test_the_markov_chain_of_exact_states_is_one_and_of_cells_is_drawn_in_red(
    reproduced, tmp_path, capsys
):
    assert "binned-range-30, epoch 20" in (reproduced / "markov_chain.txt").read_text()
    run = ibdyn.load(reproduced / "markov_chain.nc")
    step = int(run.step[0])
    chains = {name: markov_chain.chain_of(run, step, name) for name in markov_chain.ESTIMATORS}
    figure = markov_chain.draw(run, step, chains)
    for ax, (name, chain) in zip(figure.axes, chains.items(), strict=True):
        recorded = run.information_input.sel(estimator=name, step=step).transpose("layer", "member")
        assert np.allclose(chain.information_input, recorded, atol=1e-12)
        excess = [markov.processing_violations(chain[f"information_{of}"]) for of in MEASURED]
        expected = sum(int((each.max("member") > markov_chain.ROUNDING).sum()) for each in excess)
        red = [text for text in ax.texts if text.get_color() == markov_chain.EXCESS]
        assert len(red) == expected
        assert (expected == 0) or name != "exact"
    markov_chain.main(
        ["--record", str(reproduced / "markov_chain.nc"), "--epoch", "0", "--out", str(tmp_path)]
    )
    assert "exact, epoch 0" in capsys.readouterr().out


def test_layers_are_held_against_the_bottleneck_limit_with_their_controls(reproduced):
    printed = (reproduced / "bottleneck_limit.txt").read_text()
    for control in ("trained, epoch 20", "untrained, epoch 0", "random labels, epoch 20"):
        assert control in printed
    assert printed.count("Delta C") == 3
    assert (reproduced / "bottleneck_limit.png").stat().st_size > 10_000
    run = ibdyn.load(reproduced / "bottleneck_limit.nc")
    shuffled = ibdyn.load(reproduced / "bottleneck_limit-random.nc")
    curve = bottleneck.curve(bottleneck_limit.joint_of(run), [1.1, 2, 50])
    again = bottleneck.curve(bottleneck_limit.joint_of(shuffled), [1.1, 2, 50])
    assert np.allclose(curve.information_label, again.information_label, atol=1e-5)
    for record in (run, shuffled):
        found = bottleneck.distance(record, curve)
        assert float(found.excess_input.min()) > -1e-5
        assert float(found.deficit_label.min()) > -1e-5


def test_the_published_table_has_every_layer_at_every_epoch():
    rows = stored_result.read_published(stored_result.Arguments().published)
    assert len(rows) == 5 * 2 * 7
    layers = [row["layer"] for row in rows[:7]]
    assert layers == ["1", "2", "3", "4", "5", "6", "output"]


def test_the_committed_comparison_is_of_the_published_table_and_agrees():
    rows = stored_result.read_published(stored_result.Arguments().published)
    with open("data/szt2017_a6_comparison.csv", newline="") as file:
        compared = list(csv.DictReader(file))
    for row, cell in zip(rows, compared, strict=True):
        assert {k: cell[k] for k in row} == row
        assert abs(float(cell["difference"])) <= float(cell["allowed"])


def test_a_cell_that_is_off_is_counted_and_named(tmp_path, capsys):
    config = preset("szt2017-stored").model_copy(update={"members": 3, "epochs": 2})
    ibdyn.save(ibdyn.simulate(config, progress=False), tmp_path / "run.nc")
    published = tmp_path / "published.csv"
    published.write_text(
        "epoch,quantity,layer,published,published_sd\n"
        "0,information_input,1,12.0,\n0,information_label,1,0.5,\n0,information_input,output,2,1\n"
    )
    stored_result.main(
        [f"--record={tmp_path / 'run.nc'}", f"--published={published}", f"--out={tmp_path}"]
    )
    printed = capsys.readouterr().out
    assert "2 of 3 cells agree; the worst is information_label of layer 1 at epoch 0" in printed
    with open(tmp_path / "stored_result.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    run = ibdyn.load(tmp_path / "run.nc").isel(step=0, estimator=0).sel(layer="output")
    sd = float(run.information_input.std("member", ddof=1))
    allowed = 4 * np.sqrt(sd**2 / 3 + 1 / 20) + 0.01
    assert float(rows[2]["allowed"]) == pytest.approx(allowed, abs=1e-4)


@pytest.mark.slow
def test_the_stored_result_is_reproduced_cell_by_cell(tmp_path, capsys):
    """Result A6, all 10 000 epochs: minutes."""
    stored_result.main(["--out", str(tmp_path)])
    print(capsys.readouterr().out)
    run = ibdyn.load(tmp_path / "stored_result.nc")
    rows = stored_result.compare(
        run, stored_result.read_published(stored_result.Arguments().published)
    )
    assert max(map(stored_result.share, rows)) <= 1, stored_result.summary(rows)
