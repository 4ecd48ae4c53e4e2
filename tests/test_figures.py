"""Figures draw what the record holds: values, limits and labels read back from the Axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import ibdyn
from ibdyn import figures, marks, tasks
from theory import bottleneck, phases
from theory.finite_sample import red_curve


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_the_plane_shows_every_member_at_the_nearest_recorded_epochs(run):
    axes = figures.information_plane(run, epochs=(0, 4, 9000), estimator="binned-width-0.07")
    assert [ax.get_title() for ax in axes] == ["epoch 0", "epoch 3", "epoch 12"]
    for ax, step in zip(axes, (0, 3, 5), strict=True):
        assert len(ax.collections) == run.sizes["layer"]
        for points, layer in zip(ax.collections, run.layer.values, strict=True):
            one = run.sel(estimator="binned-width-0.07", layer=layer).isel(step=step)
            expected = np.stack([one.information_input, one.information_label], -1)
            assert np.array_equal(points.get_offsets(), expected)
    assert "binned-width-0.07 [bit]" in axes[0].get_xlabel()
    assert axes[-1].get_legend().get_title().get_text() == "3 members"


def test_a_figure_draws_in_the_axes_it_is_given(run):
    _, mine = plt.subplots(1, 2)
    assert figures.information_plane(run, epochs=(0, 12), axes=mine) is mine
    for name in ("information_paths", "gradient_phases", "signal_to_noise"):
        _, ax = plt.subplots()
        assert getattr(figures, name)(run, ax=ax) is ax


def test_paths_go_through_the_means(run):
    ax = figures.information_paths(run)
    mean = run.isel(estimator=0).mean("member")
    lines = [line for line in ax.lines if len(line.get_xdata()) == run.sizes["step"]]
    for line, layer in zip(lines, run.layer.values, strict=True):
        assert np.allclose(line.get_xdata(), mean.information_input.sel(layer=layer))
        assert np.allclose(line.get_ydata(), mean.information_label.sel(layer=layer))


def test_gradient_phases_are_the_papers_formula_in_the_geometric_mean(run):
    ax = figures.gradient_phases(run)
    curves = np.exp(
        np.log(phases.gradient_curves(run, "paper").isel(step=slice(1, None))).mean("member")
    )
    solid = [line for line in ax.lines if line.get_linestyle() == "-" and line.get_xdata().size > 0]
    dashed = [
        line for line in ax.lines if line.get_linestyle() == "--" and line.get_xdata().size > 0
    ]
    for lines, kind in ((solid, "mean"), (dashed, "spread")):
        for line, layer in zip(lines, run.layer.values, strict=True):
            assert np.allclose(line.get_ydata(), curves[kind].sel(layer=layer))
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_a_full_batch_says_that_it_has_no_noise(run):
    full = run.assign_attrs(batch_size=run.attrs["train_size"])
    ax = figures.signal_to_noise(full)
    assert ax.texts[0].get_text() == "full batch: no minibatch noise"


def test_learning_curves_leave_out_an_empty_test_set(run):
    axes = figures.learning_curves(run.where(run.split == "train"))
    for ax in axes:
        assert [line.get_label() for line in ax.lines] == ["train"]
    assert axes[0].get_ylabel() == "cross-entropy loss [nat]"


def test_an_unknown_estimator_is_refused(run):
    with pytest.raises(ValueError, match="estimator 'kde' is not in the record, expected one of"):
        figures.information_plane(run, estimator="kde")


def test_layers_have_colours_and_markers_of_their_own(run):
    assert len(set(marks.layer_colours(run))) == run.sizes["layer"]
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in marks.layer_colours(run)]
    assert (np.diff(lightness) > 0.05).all()


def test_estimators_have_a_plane_each_with_their_own_symbol(run):
    added = ibdyn.measure(run, ["exact", "pairwise-lower-0.001"])
    axes = figures.estimator_planes(added)
    assert len(axes) == 4
    assert [ax.get_title() for ax in axes] == [
        "$I_\\mathrm{binned}$: binned-range-30",
        "$I_\\mathrm{binned}$: binned-width-0.07",
        "$I_\\mathrm{exact}$: exact",
        "$I_\\mathrm{lower}$: pairwise-lower-0.001",
    ]
    for ax, name in zip(axes, added.estimator.values, strict=True):
        one = added.sel(estimator=name).mean("member")
        paths = [p for p in ax.collections if len(p.get_offsets()) == run.sizes["step"]]
        for path, layer in zip(paths, run.layer.values, strict=True):
            expected = one.sel(layer=layer)
            assert np.allclose(path.get_offsets()[:, 0], expected.information_input)
            assert np.allclose(path.get_offsets()[:, 1], expected.information_label)
        low, high = ax.get_ylim()
        assert low < float(one.information_label.min())
        assert high > float(one.information_label.max())
    assert all((face == 1).all() for face in axes[2].collections[0].get_facecolors())


def test_marks_at_the_ceiling_are_hollow_and_the_legend_says_so(run):
    for value in (0, 1):
        some = run.assign(resolved=xr.full_like(run.resolved, value))
        plane = figures.information_plane(some, epochs=(12,))[-1]
        planes = figures.estimator_planes(some)[0]
        for ax in (plane, planes, figures.information_paths(some)):
            legend = ax.get_legend()
            entries = [] if legend is None else [text.get_text() for text in legend.texts]
            assert ("hollow: all patterns apart" in entries) == (value == 0)
        for ax in (plane, planes):
            for points in ax.collections[: run.sizes["layer"]]:
                assert ((points.get_facecolors()[:, :3] == 1).all(-1) == (value == 0)).all()
    late = run.assign(resolved=xr.where(run.step == run.step[-1], 0, xr.ones_like(run.resolved)))
    legend = figures.information_plane(late, epochs=(0,))[-1].get_legend()
    assert "hollow: all patterns apart" not in [text.get_text() for text in legend.texts]


def test_one_member_is_said_to_have_no_intervals(run):
    for count, said in ((1, True), (3, False)):
        some = run.isel(member=slice(count))
        for draw in (
            figures.information_paths,
            figures.gradient_phases,
            figures.signal_to_noise,
            lambda run: figures.learning_curves(run)[0],
            lambda run: figures.estimator_planes(run)[0],
        ):
            texts = [text.get_text() for text in draw(some).texts]
            assert ("one member: no intervals" in texts) == said


def test_the_bottleneck_limit_is_above_every_layer_and_the_gaps_end_at_the_output(run):
    soft = run.assign_attrs(task_information=0.99)
    joint = tasks.spherical_rule(0.99)
    curve = bottleneck.curve(joint.p_x[:, None] * joint.p_y_given_x, [0.9, 1.2, 5, 100])
    red = red_curve(curve, samples=3482, labels=2)
    whole, near = figures.bottleneck(soft, curve, red=red, estimator="binned-range-30")
    labels = [text.get_text() for text in whole.get_legend().get_texts()]
    assert labels[:2] == ["bottleneck limit", "finite sample, m = 3482, heuristic"]
    line = whole.lines[1]
    assert line.get_xdata()[0] == line.get_ydata()[0] == 0
    assert line.get_ydata()[-1] == pytest.approx(0.99)
    output = run.sel(estimator="binned-range-30", layer="output").isel(step=-1).mean("member")
    heads = [a.xy for a in near.texts if a.get_text() == ""]
    expected = float(output.information_input), float(output.information_label)
    assert heads[-1] == pytest.approx(expected)
    assert [a.get_text() for a in near.texts if a.get_text()] == ["$\\Delta C$", "$\\Delta G$"]
    assert len(figures.information_paths(run, limit=curve).lines) > 2
