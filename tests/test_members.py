"""Records of single members make the ensemble that they are of, and nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

import ibdyn
from theory import phases
from theory.fitting import mean_interval


@pytest.fixture(scope="module")
def singles(config):
    return [ibdyn.simulate(config, progress=False, members=[k]) for k in (2, 0, 1)]


def test_members_trained_alone_join_into_the_ensemble(run, singles, tmp_path):
    joined = ibdyn.join(singles)
    assert joined.equals(run)
    for name in run.attrs.keys() - {"history", "title"}:
        assert joined.attrs[name] == run.attrs[name], name
    assert set(joined.attrs["history"].splitlines()) == {one.attrs["history"] for one in singles}
    files = [tmp_path / f"{k}.nc" for k in range(3)]
    for one, file in zip(singles, files, strict=True):
        ibdyn.save(one, file)
    again = ibdyn.join(files)
    assert again.equals(run)
    ibdyn.save(again, tmp_path / "all.nc")
    assert ibdyn.load(tmp_path / "all.nc").equals(run)


def test_what_does_not_belong_together_is_named(singles, tmp_path):
    first, second, _ = singles
    ibdyn.save(first, tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"member 2 of record 1 \(.*a.nc\) is in record 0 already"):
        ibdyn.join([first, tmp_path / "a.nc"])
    shifted = second.assign(p_y_given_x=second.p_y_given_x[::-1])
    with pytest.raises(
        ValueError, match="record 1 differs from record 0: another probe set, by 'p"
    ):
        ibdyn.join([first, shifted])
    with pytest.raises(ValueError, match="step is 0, 7, 21, expected 0, 7, 14"):
        ibdyn.join([first, second.isel(step=[0, 1, 3])])
    with pytest.raises(ValueError, match="layer is 1, 2, expected 1, 2, output"):
        ibdyn.join([first, second.isel(layer=[0, 1])])
    with pytest.raises(ValueError, match=r"only one of them has \['x'\]"):
        ibdyn.join([first, second.drop_vars("x")])
    with pytest.raises(ValueError, match="batch_size is 7, expected 512"):
        ibdyn.join([first, second.assign_attrs(batch_size=7)])
    with pytest.raises(ValueError, match="another variable, by 'width'"):
        ibdyn.join([first, second.assign_coords(width=second.width + 1)])
    with pytest.raises(ValueError, match="expected a list"):
        ibdyn.join(first)
    with pytest.raises(ValueError, match="expected a list"):
        ibdyn.join([])


def test_watched_models_join_into_an_ensemble_with_intervals():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 2, 30)
    records = []
    for k in range(3):
        torch.manual_seed(k)
        model = nn.Linear(4, 2)
        with ibdyn.watch(nn.Sequential(model), x, y, member=k, batch_size=10) as watcher:
            for _ in range(4):
                watcher.step()
        records.append(watcher.record())
    joined = ibdyn.join(records)
    assert joined.member.values.tolist() == [0, 1, 2]
    assert joined.reported_loss.dims == ("member", "step")
    assert np.isfinite(mean_interval(phases.signal_to_noise(joined))["low"]).all()
    crashed = records[2].assign_attrs(complete=0)
    assert ibdyn.join([records[0], crashed]).attrs["complete"] == 0
    with ibdyn.watch(
        nn.Sequential(nn.Linear(4, 2)), x + 1, y, member=3, batch_size=10, every=[0, 1, 2, 3, 4]
    ) as watcher:
        for _ in range(4):
            watcher.step()
    with pytest.raises(ValueError, match="another probe set, by 'x'"):
        ibdyn.join([records[0], watcher.record()])
