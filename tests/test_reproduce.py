"""Everything in one command: what it leaves, and how it goes on."""

import csv
import json
import shutil

import numpy as np
import pytest

import ibdyn
from ibdyn import cli
from simulations import reparametrisation, reproduce
from theory import claims
from theory.verdicts.records import CONTROLS


def test_every_simulation_leaves_its_records_figures_and_words(reproduced):
    for name in reproduce.MINUTES:
        done = json.loads((reproduced / f"{name}.done").read_text())
        assert (done["scale"], done["seed"]) == ("smoke", 0)
        assert (reproduced / f"{name}.txt").read_text()
        assert list(reproduced.glob(f"{name}*.png"))
    with (reproduced / "claims.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["claim"]) for row in rows} == set(range(1, 23))
    # What needs no statistics is told at any scale.
    verdicts = {int(row["claim"]): row["claim_verdict"] for row in rows}
    assert (verdicts[1], verdicts[2]) == ("supported", "supported")
    text = (reproduced / "claims.md").read_text()
    for claim in claims.CLAIMS:
        assert claim.statement in text


def test_the_records_that_claims_ask_for_are_those_that_simulations_write(reproduced):
    there = set(reproduce.evidence(reproduced))
    assert set(CONTROLS) <= there
    # At this scale some depths of training sets and widths are left out.
    missing = {name for claim in claims.CLAIMS for name in claim.records} - there
    assert all(name.startswith("training_size/") for name in missing)


def test_a_folder_that_is_done_is_judged_again_alike(reproduced, tmp_path, capsys):
    before = (reproduced / "claims.csv").read_bytes()
    assert cli.main(["reproduce", "--scale", "smoke", "--out", str(reproduced)]) == 0
    told = capsys.readouterr()
    assert "all simulations are done" in told.err
    assert (reproduced / "claims.csv").read_bytes() == before
    assert "supported" in told.out


def test_a_run_that_was_stopped_goes_on_with_what_is_left(reproduced, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(reproduced, folder)
    (folder / "markov_chain.done").unlink()
    (folder / "markov_chain.png").unlink()
    record = (folder / "markov_chain.nc").read_bytes()
    reproduce.main(["--scale", "smoke", "--out", str(folder)])
    told = capsys.readouterr()
    assert f"1 of {len(reproduce.MINUTES)} simulations to run" in told.err
    assert "markov_chain.nc is there already" in told.err
    assert (folder / "markov_chain.png").is_file()
    assert (folder / "markov_chain.nc").read_bytes() == record


def test_a_folder_of_another_scale_is_refused(reproduced, capsys):
    assert cli.main(["reproduce", "--scale", "quick", "--out", str(reproduced)]) == 2
    assert "is of scale smoke, expected quick" in capsys.readouterr().err


def test_a_forecast_says_how_much_is_left():
    assert "2 of 10 simulations to run" in reproduce.forecast("paper", ["diffusion", "controls"])


def test_maps_that_lose_nothing_lose_nothing_and_cells_see_them(reproduced):
    found = reproduce.evidence(reproduced)["reparametrisation"]
    change = abs(reparametrisation.changes(found)).max(("member", "layer"))
    for name in ("permuted units", "monotone map", "rotation"):
        assert float(change.sel(map=name, estimator="exact")) == 0
    assert float(change.sel(map="permuted units", estimator="binned-range-30")) == 0
    assert float(change.sel(map="rotation", estimator="binned-range-30")) > 0.1
    assert float(change.sel(map="rotation", estimator="pairwise-upper-0.001")) < 1e-9
    assert float(change.sel(map="monotone map", estimator="pairwise-upper-0.001")) > 0.01
    # As it is, a layer has the information that its record has.
    run = ibdyn.load(reproduced / "markov_chain.nc")
    recorded = run.information_input.isel(step=-1, layer=slice(None, -1)).sel(
        estimator="binned-range-30"
    )
    own = found.information_input.sel(map="unchanged", estimator="binned-range-30")
    assert np.allclose(own, recorded.transpose("member", "layer"), atol=1e-12)


@pytest.mark.parametrize("name", ["permuted", "monotone", "rotated"])
def test_maps_keep_states_apart_and_equal_ones_equal(name):
    rng = np.random.default_rng(0)
    layer = np.tanh(rng.standard_normal((50, 4))).astype(np.float32).astype(float)
    layer = np.concatenate([layer, layer[:7]])
    mapped = getattr(reparametrisation, name)(layer, np.random.default_rng(1))
    assert len(np.unique(mapped, axis=0)) == 50
    assert np.array_equal(mapped[-7:], mapped[:7])


def test_the_rotation_is_one():
    layer = np.eye(5)
    turned = reparametrisation.rotated(layer, np.random.default_rng(2))
    assert turned @ turned.T == pytest.approx(np.eye(5), abs=1e-12)
