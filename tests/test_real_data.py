"""Real images and labels: read whole or refused by name, and learned like any other task."""

import gzip
import struct
import sys

import numpy as np
import pytest

import ibdyn
from ibdyn import real_data, tasks
from ibdyn.config import RunConfig, ScheduleConfig
from ibdyn.ensemble import prepare


def idx(array, code, form):
    head = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(form).tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10
LABELS = np.array([2, 0, 1, 2], np.uint8)


@pytest.fixture
def files(tmp_path):
    """Images compressed, labels not, as IDX."""
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(gzip.compress(idx(IMAGES, 0x08, ">u1")))
    labels.write_bytes(idx(LABELS, 0x08, ">u1"))
    return images, labels


def test_idx_files_are_read_compressed_or_not(files):
    task = tasks.from_files(*files)
    assert (task.x == IMAGES.reshape(4, 6) / 255).all()
    assert task.p_y_given_x.argmax(-1).tolist() == LABELS.tolist()
    assert task.name == "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("code", "form"), [(0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_every_type_of_idx_keeps_its_numbers(tmp_path, code, form):
    values = np.array([[-3, 100], [0, 7]])
    (tmp_path / "a").write_bytes(idx(values, code, f">{form}"))
    found = real_data.read_array(tmp_path / "a")
    assert found.dtype == np.dtype(form)
    assert found.tolist() == values.tolist()


def test_files_that_are_not_whole_are_named(files, tmp_path):
    whole = idx(IMAGES, 0x08, ">u1")
    for content, message in (
        (whole[:-1], r"bad is no whole IDX file: it holds 23 bytes, expected 24 of the shape \(4"),
        (whole + b"0", "it holds more bytes, expected 24"),
        (whole[:10], "it ends within its 3 axes"),
        (b"PK\3\4", "it begins with 50 4b 03 04, expected 00 00 TYPE AXES"),
        (b"", "it begins with , expected"),
        (gzip.compress(whole)[:-9], "bad is no whole IDX file: "),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            tasks.from_files(tmp_path / "bad", files[1])
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        tasks.from_files(tmp_path / "gone", files[1])
    (tmp_path / "two").write_bytes(idx(LABELS[:2], 0x08, ">u1"))
    with pytest.raises(ValueError, match=r"has 4 patterns, .*two 2, expected as many"):
        tasks.from_files(files[0], tmp_path / "two")
    with pytest.raises(ValueError, match=r"has shape \(4,\), expected \(pattern, ...\)"):
        tasks.from_files(files[1], files[1])


def test_numpy_files_and_a_configuration_name_images_and_labels(files, tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS)
    from_idx = tasks.from_files(*files)
    from_npy = tasks.from_files(tmp_path / "x.npy", tmp_path / "y.npy")
    assert (from_npy.x == from_idx.x).all()
    named = {"name": "file", "path": str(files[0]), "label_path": str(files[1])}
    config = RunConfig(task=named | {"samples": 3}, members=1)
    assert RunConfig.from_json(config.to_json()) == config
    task = prepare(config).task
    assert (task.x == from_idx.x[:3]).all()
    assert task.p_x.tolist() == [1 / 3] * 3
    with pytest.raises(ValueError, match=r"samples is 5, the task .* has 4 patterns"):
        prepare(RunConfig(task=named | {"samples": 5}, members=1))
    with pytest.raises(ValueError, match=r"label_path has no meaning for a\.npz"):
        RunConfig(task={"name": "file", "path": "a.npz", "label_path": "b"})
    with pytest.raises(ValueError, match="label_path has no meaning for the task parity"):
        RunConfig(task={"name": "parity", "label_path": "b"})


def test_the_digits_are_those_of_scikit_learn():
    task = tasks.digits()
    assert task.x.shape == (1797, 64)
    assert (task.x.min(), task.x.max()) == (0, 1)
    counts = task.p_y_given_x.sum(0)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    p = counts / 1797
    assert task.information == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-12)


def test_without_scikit_learn_the_digits_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'ibdyn\[digits\]'"):
        tasks.digits()


def test_on_digits_wide_layers_saturate_the_bins_but_not_the_noise():
    config = RunConfig(
        task={"name": "digits", "samples": 400},
        widths=(100, 3),
        members=2,
        epochs=3,
        batch_size=32,
        learning_rate=0.1,
        schedule=ScheduleConfig(count=3),
        estimators=("binned-range-30", "pairwise-upper-1", "mixture-measured-1:1"),
    )
    run = ibdyn.simulate(config, progress=False)
    wide = run.sel(layer="1")
    assert (wide.information_input.sel(estimator="binned-range-30") > np.log2(400) - 0.1).all()
    assert (wide.resolved.sel(estimator="binned-range-30") == 0).all()
    for name in ("pairwise-upper-1", "mixture-measured-1:1"):
        assert (wide.resolved.sel(estimator=name) == 1).all()
    loss = run.loss.sel(split="train").mean("member")
    assert loss[-1] < loss[0]
