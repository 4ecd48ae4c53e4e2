"""Onset and splits of the bottleneck: channels worked out on paper, duality, iterations."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import rel_entr

from ibdyn import tasks
from theory.critical import cluster_splits, critical_betas
from theory.information import mutual_information

Z_CHANNEL = np.array([[0.6, 0], [0.4 * 0.35, 0.4 * 0.65]])


def dsbs(e):
    return np.array([[1 - e, e], [e, 1 - e]]) / 2


def erasure(e, p=0.5):
    return np.array([[p * (1 - e), p * e, 0], [0, (1 - p) * e, (1 - p) * (1 - e)]])


def random_joint(rng, x, y):
    return rng.dirichlet(np.ones(x * y)).reshape(x, y)


def divergences(q, p_xy):
    """KL(qW|p_Y) and KL(q|p_X), in nats."""
    p_x, p_y = p_xy.sum(1), p_xy.sum(0)
    r = q @ (p_xy / p_x[:, None])
    return rel_entr(r, p_y).sum(-1), rel_entr(q, p_x).sum(-1)


@pytest.mark.parametrize("e", [0.01, 0.1, 0.3, 0.45])
def test_a_symmetric_binary_source_starts_where_it_is_unstable(e):
    found = critical_betas(dsbs(e))
    assert found.lambda_2 == pytest.approx((1 - 2 * e) ** 2, rel=1e-12)
    assert found.onset_beta == pytest.approx(found.critical_beta.item(), rel=1e-9)
    if e == 0.1:
        assert found.critical_beta == pytest.approx(1.5625, rel=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.1])
@pytest.mark.parametrize("e", [0.05, 0.3, 0.9])
def test_an_erasure_channel_starts_at_one_over_what_it_keeps(e, p):
    """Of any input: KL(qW|p_Y) = (1 - e) KL(q|p_X) for every q."""
    found = critical_betas(erasure(e, p))
    assert found.onset_beta == pytest.approx(1 / (1 - e), rel=1e-9)
    assert found.critical_beta == pytest.approx(1 / (1 - e), rel=1e-12)


def test_labels_that_are_a_function_of_x_start_at_one():
    p = np.eye(3)[[0, 0, 1, 2, 2]] * np.array([[0.1], [0.2], [0.3], [0.15], [0.25]])
    found = critical_betas(p)
    assert (found.onset_beta, found.critical_beta) == pytest.approx((1, 1), rel=1e-9)


def test_what_is_independent_never_starts():
    found = critical_betas(np.outer([0.2, 0.3, 0.5], [0.1, 0.9]))
    assert found.lambda_2 == found.eta == 0
    assert found.onset_beta == found.critical_beta == np.inf


def test_lambda_2_is_the_second_eigenvalue_of_the_published_matrix():
    """A(x, x') = sum_y p(y|x) p(x'|y), and the same with X and Y exchanged."""
    rng = np.random.default_rng(0)
    for shape in ((6, 3), (5, 2)):
        p = random_joint(rng, *shape)
        a = (p / p.sum(1, keepdims=True)) @ (p / p.sum(0)).T
        expected = np.sort(np.linalg.eigvals(a).real)[-2]
        assert critical_betas(p).lambda_2 == pytest.approx(expected, abs=1e-12)
        assert critical_betas(p.T).lambda_2 == pytest.approx(expected, abs=1e-12)


def test_the_soft_spherical_rule_is_unstable_at_the_known_beta():
    task = tasks.spherical_rule(information=0.99)
    found = critical_betas(task.p_x[:, None] * task.p_y_given_x)
    assert found.lambda_2 == pytest.approx(0.995075, abs=5e-7)
    assert found.critical_beta == pytest.approx(1.00495, abs=5e-6)
    assert found.onset_beta < found.critical_beta


@pytest.mark.parametrize("shape", [(6, 3), (6, 2), (2, 6), (2, 2), (4, 5)])
def test_an_onset_before_instability_is_generic_and_no_distribution_does_better(shape):
    """The constant against 30 000 random q and against another search, in the logits of q."""
    rng = np.random.default_rng(shape)
    for _ in range(2):
        p = random_joint(rng, *shape)
        found = critical_betas(p)
        # A search ends within 1e-9 of the ratio; a random joint is no closer to equality.
        assert found.eta > found.lambda_2 + 1e-7
        q = np.concatenate([rng.dirichlet(np.full(shape[0], a), 10_000) for a in (0.3, 1, 10)])
        left, lost = divergences(q, p)
        assert (left < (found.eta.item() + 1e-9) * lost + 1e-14).all()

        def lacking(z, p=p):
            q = np.exp(z - z.max())
            left, lost = divergences(q / q.sum(), p)
            return -left / lost

        starts = np.log(p.sum(1)) + 2 * rng.normal(size=(10, shape[0]))
        other = max(-minimize(lacking, z, method="BFGS").fun for z in starts)
        # That search stops where the slope is 1e-5, and is slow where some q(x) go to 0.
        assert other - 1e-9 < found.eta < other + 1e-5


def test_below_the_onset_the_dual_certifies_the_trivial_encoder():
    """T without information is optimal while sum_x p(x) exp(beta E[log r/p_Y | x]) <= 1 for all r.

    Of two labels that is one number r, here on a grid; at the onset some r other than p_Y touches.
    """
    rng = np.random.default_rng(1)
    for shape in ((6, 2), (2, 2), (30, 2)):
        p = random_joint(rng, *shape)
        found = critical_betas(p)
        p_x, p_y = p.sum(1), p.sum(0)
        r = 1 / (1 + np.exp(-np.linspace(-25, 25, 20_001)))
        log_r = np.log(np.stack([1 - r, r]) / p_y[:, None])

        def largest(beta, p=p, p_x=p_x, log_r=log_r):
            return (p_x @ np.exp(beta * (p / p_x[:, None]) @ log_r)).max()

        onset = found.onset_beta.item()
        assert onset < found.critical_beta * (1 - 1e-6)
        assert largest(onset * (1 - 1e-9)) <= 1 + 1e-12
        assert largest(onset * (1 + 1e-4)) > 1 + 1e-9


@pytest.mark.parametrize("p", [dsbs(0.1), Z_CHANNEL, erasure(0.3, 0.2)])
def test_local_searches_find_what_two_copies_are_known_to_have(p):
    """Of independent pairs the constant is the larger one (Anantharam et al. 2013)."""
    one = critical_betas(p)
    two = critical_betas(np.kron(p, p))
    assert two.onset_beta.search != one.onset_beta.search
    assert two.eta == pytest.approx(one.eta.item(), abs=1e-8)
    assert two.lambda_2 == pytest.approx(one.lambda_2.item(), abs=1e-12)
    mixed = critical_betas(np.kron(p, dsbs(0.4)))
    assert mixed.eta == pytest.approx(one.eta.item(), abs=1e-8)


def test_between_onset_and_instability_a_distant_encoder_is_better():
    """T names q, the best one, with a small probability w: I(X;T) < beta I(T;Y) below beta_c."""
    found = critical_betas(Z_CHANNEL)
    onset, critical = found.onset_beta.item(), found.critical_beta.item()
    p_x = Z_CHANNEL.sum(1)
    channel = Z_CHANNEL / p_x[:, None]
    w = 1e-4
    first = np.linspace(1e-4, 1 - 1e-4, 2000)
    q = np.stack([first, 1 - first], -1)

    def least(beta):
        p_xt = np.stack([w * q, p_x - w * q], -1)
        p_yt = np.einsum("xy,qxt->qyt", channel, p_xt)
        return (mutual_information(p_xt) - beta * mutual_information(p_yt)).min()

    assert onset < 0.99 * critical
    assert least(0.5 * (onset + critical)) < -1e-7
    assert least(onset) > -1e-12


def test_at_the_onset_a_rare_cluster_appears_at_a_distance():
    """A Z channel starts with a cluster of its noiseless x alone, eta = log p_Y(0)/log p_X(0).

    So T names that x with probability a, else nothing, and a grows from 0 in proportion to the
    excess of beta: what jumps at the onset is p(y|t), not I(X;T).
    """
    p_x, p_y = Z_CHANNEL.sum(1), Z_CHANNEL.sum(0)
    onset = critical_betas(Z_CHANNEL).onset_beta.item()
    assert onset == pytest.approx(np.log(p_x[0]) / np.log(p_y[0]), rel=1e-9)

    def lagrangian(a, beta):
        encoder = np.array([[a, 1 - a], [0, 1]])
        rate = mutual_information(p_x[:, None] * encoder)
        return rate - beta * mutual_information(encoder.T @ Z_CHANNEL)

    def share(excess):
        options = {"xatol": 1e-9}
        beta = onset * (1 + excess)
        return minimize_scalar(
            lagrangian, args=(beta,), bounds=(0, 0.5), method="bounded", options=options
        ).x

    assert share(-1e-3) < 1e-6
    first, second, third = (share(excess) for excess in (2e-3, 1e-3, 5e-4))
    assert 0 < third < second < first < 0.05
    # Doubling the excess doubles a, short of it by the next order, which extrapolation removes.
    coarse, fine = first / second, second / third
    assert 2 * fine - coarse == pytest.approx(2, abs=(2 - coarse) ** 2)


def test_an_x_of_average_labels_dilutes_the_correlation():
    """Added with probability 1/4, it makes lambda_2 smaller by that share."""
    p = random_joint(np.random.default_rng(5), 4, 3)
    diluted = critical_betas(np.concatenate([0.75 * p, 0.25 * p.sum(0, keepdims=True)]))
    assert diluted.lambda_2 == pytest.approx(0.75 * critical_betas(p).lambda_2.item(), abs=1e-12)
    assert diluted.eta > diluted.lambda_2


def test_copies_of_x_and_labels_that_never_occur_change_nothing():
    p = random_joint(np.random.default_rng(2), 4, 3)
    wider = np.concatenate([p[:, :1], np.zeros((4, 1)), p[:, 1:]], 1)
    copied = np.concatenate([0.3 * wider, 0.7 * wider])
    for name in ("lambda_2", "eta"):
        expected = critical_betas(p)[name].item()
        assert critical_betas(copied)[name] == pytest.approx(expected, abs=1e-9)


HIERARCHY = np.array(
    [
        [0.85, 0.12, 0.02, 0.01],
        [0.2, 0.75, 0.01, 0.04],
        [0.03, 0.02, 0.6, 0.35],
        [0, 0.05, 0.3, 0.65],
    ]
) * np.array([[0.3], [0.2], [0.1], [0.4]])


def sweep(encoder, p_xy, beta):
    """One step of the self-consistent equations (Tishby, Pereira & Bialek 1999)."""
    p_x = p_xy.sum(1)
    q = p_xy / p_x[:, None]
    p_t = p_x @ encoder
    r = (encoder * p_x[:, None]).T @ q / p_t[:, None]
    log = np.log(p_t) + beta * q @ np.log(r).T
    new = np.exp(log - log.max(1, keepdims=True))
    return new / new.sum(1, keepdims=True)


@pytest.mark.parametrize("beta", [2.0, 8.0])
def test_copies_of_a_cluster_are_driven_apart_as_its_split_says(beta):
    """Copies that differ by a share d f(x), f the second eigenvector: d grows by beta lambda_2."""
    encoder = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    for _ in range(5000):
        encoder = sweep(encoder, HIERARCHY, beta)
    assert sweep(encoder, HIERARCHY, beta) == pytest.approx(encoder, abs=1e-13)
    found = cluster_splits(encoder, HIERARCHY)
    p_x = HIERARCHY.sum(1)
    q = HIERARCHY / p_x[:, None]
    growth = []
    for t in range(2):
        p_x_given_t = encoder[:, t] * p_x / (p_x @ encoder[:, t])
        c = np.einsum("xy,zy,z,y->xz", q, q, p_x_given_t, 1 / (p_x_given_t @ q))
        values, vectors = np.linalg.eig(c)
        order = values.real.argsort()[::-1]
        assert values.real[order[:2]] == pytest.approx([1, found.lambda_2[t].item()], abs=1e-12)
        f = vectors[:, order[1]].real
        d = 1e-4 / np.abs(f).max()
        copies = encoder[:, [t, t]] * (1 + d * f[:, None] * [1, -1]) / 2
        new = sweep(np.concatenate([copies, np.delete(encoder, t, 1)], 1), HIERARCHY, beta)
        change = (new[:, 0] - new[:, 1]) / (new[:, 0] + new[:, 1])
        growth.append(beta / found.split_beta[t].item())
        # The next order is odd in d: a share of some (beta d)^2 of the first.
        assert change == pytest.approx(growth[-1] * d * f, abs=1e-4 * (20 * beta * 1e-4) ** 2)
    # Both clusters are stable at the smaller beta, and at the larger one no longer.
    assert (np.array(growth) < 1).all() if beta == 2 else (np.array(growth) > 1).any()


def test_splits_of_the_trivial_encoder_are_its_instability():
    p = random_joint(np.random.default_rng(3), 6, 3)
    found = cluster_splits(np.ones((6, 1)), p)
    assert found.split_beta.item() == pytest.approx(
        critical_betas(p).critical_beta.item(), rel=1e-9
    )


def test_clusters_of_one_x_never_split_and_empty_ones_have_no_split():
    p = random_joint(np.random.default_rng(4), 3, 2)
    found = cluster_splits(np.eye(3, 4), p)
    assert found.split_beta.values.tolist()[:3] == [np.inf] * 3
    assert np.isnan(found.split_beta[3])
    assert found.p_t.values == pytest.approx([*p.sum(1), 0], abs=1e-15)


def test_every_variable_has_units_and_a_long_name():
    for found in (critical_betas(dsbs(0.1)), cluster_splits(np.eye(2), dsbs(0.1))):
        for variable in found.variables.values():
            assert set(variable.attrs) >= {"units", "long_name"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: critical_betas([[1.0, np.nan]]), r"p_xy at \(0, 1\) is nan"),
        (lambda: cluster_splits(np.eye(2), [[0.5, 0.5], [0, 0]]), "0 all along row 1"),
        (lambda: cluster_splits(np.eye(3), dsbs(0.1)), r"shape \(3, 3\), expected \(2, t\)"),
        (lambda: cluster_splits([[1, 0], [1.5, -0.5]], dsbs(0.1)), r"at \(1, 0\) is 1.5, exp"),
        (lambda: cluster_splits([[1, 0], [0.5, 0.4]], dsbs(0.1)), "sums to 0.9 in row 1"),
    ],
)
def test_what_is_no_joint_or_encoder_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
