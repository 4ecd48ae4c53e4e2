"""The information plane as a GIF: frames are recorded steps."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import ibdyn
from ibdyn import animation
from ibdyn.cli import main


def frames(path):
    with Image.open(path) as picture:
        for place in range(picture.n_frames):
            picture.seek(place)
            yield np.asarray(picture.convert("RGB"))


def test_every_recorded_step_is_a_frame_of_its_own(run, tmp_path, capsys):
    ibdyn.save(run, tmp_path / "run.nc")
    out = tmp_path / "new" / "plane.gif"
    flags = ["--out", str(out), "--estimator", "binned-width-0.07", "--fps", "5"]
    assert main(["animate", str(tmp_path / "run.nc"), *flags]) == 0
    assert capsys.readouterr().out == f"wrote {out}: 6 frames\n"
    pictures = list(frames(out))
    assert len(pictures) == run.sizes["step"] == 6
    # Not only titles differ: below them, points and paths have moved.
    below = [picture[picture.shape[0] // 10 :] for picture in pictures]
    assert all((a != b).any() for a, b in pairwise(below))
    with Image.open(out) as picture:
        assert picture.info["duration"] == 200


def test_frames_show_the_members_and_the_past_of_their_means(run, tmp_path, monkeypatch):
    drawn = []
    draw = animation._draw

    def remember(record, one, step, ax):
        draw(record, one, step, ax)
        points = [np.array(c.get_offsets()) for c in ax.collections]
        paths = [np.array(line.get_xydata()) for line in ax.lines[-run.sizes["layer"] :]]
        drawn.append((ax.get_title(), points, paths, ax.get_xlim(), ax.get_ylim()))

    monkeypatch.setattr(animation, "_draw", remember)
    assert animation.animate(run, tmp_path / "plane.gif") == 6
    one = run.isel(estimator=0)
    variables = ["information_input", "information_label"]
    values = one[variables].to_array().transpose("step", "layer", "member", "variable").values
    for step, (title, points, paths, *_) in enumerate(drawn):
        assert title == f"epoch {run.epoch[step].item():g} (step {run.step[step].item()})"
        assert np.array_equal(points, values[step])
        np.testing.assert_allclose(
            paths, values[: step + 1].mean(2).transpose(1, 0, 2), rtol=1e-12, atol=1e-12
        )
    assert len({limits for *_, x, y in drawn for limits in (x + y,)}) == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("plane.png", {}, "plane.png is no .gif file"),
        ("plane.gif", {"fps": 0}, "fps is 0, expected more than 0 and at most 50"),
        ("plane.gif", {"fps": 51}, "fps is 51, expected"),
        ("plane.gif", {"estimator": "kde"}, "estimator 'kde' is not in the record"),
    ],
)
def test_bad_input_is_refused_before_work(run, tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        animation.animate(run, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_picture(run, tmp_path):
    (tmp_path / "plane.gif").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, expected a file"):
        animation.animate(run, tmp_path / "plane.gif")
