"""The information bottleneck of jointly Gaussian X and Y, in closed form.

The optimal T is a noisy linear projection, T = A X + N(0, I), whose rows appear one at a time as
beta passes the critical values (Chechik, Globerson, Tishby & Weiss 2005).
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from .checks import Floats, positive_row, symmetric

# A canonical correlation this near to 1 is 1 but for rounding.
ROUNDING = 1e-10


def gaussian_curve(
    covariance_x: ArrayLike, covariance_xy: ArrayLike, covariance_y: ArrayLike, betas: ArrayLike
) -> xr.Dataset:
    """Optimal I(X;T) and I(T;Y) of Gaussian X and Y at ``betas`` (beta,), and the projections.

    ``covariance_x`` is (x, x), ``covariance_xy`` (x, y), ``covariance_y`` (y, y). With lambda_i
    the eigenvalues of cov(x|y) cov(x)^-1, ascending, and v_i its left eigenvectors, mode i is
    active above its critical beta 1/(1 - lambda_i), and there (Chechik et al. 2005, theorem 3.1)

        row i of A = sqrt((beta (1 - lambda_i) - 1)/(lambda_i v_i^T cov(x) v_i)) v_i^T
        I(X;T) = 1/2 sum log2[(beta - 1)(1 - lambda_i)/lambda_i]
        I(T;Y) = I(X;T) - 1/2 sum log2[beta (1 - lambda_i)].

    1 - lambda_i are the squared canonical correlations, and the v_i the canonical directions.

    Dataset: ``information_input`` and ``information_label`` along ``beta``, in bits;
    ``projection`` A (beta, mode, x), rows of modes that are not active being 0; ``eigenvalue``
    and ``critical_beta`` along ``mode``, infinite for a mode independent of Y.

    ValueError if shapes do not fit, a number is not finite, a covariance is not symmetric and
    positive definite, or a canonical correlation is 1, which is infinite information.
    """
    betas = positive_row("betas", betas)
    rho, directions = _canonical(covariance_x, covariance_xy, covariance_y)
    explained, eigenvalue = rho**2, (1 - rho) * (1 + rho)
    critical = np.divide(1, explained, out=np.full(len(rho), np.inf), where=explained > 0)
    gain = betas[:, None] * explained
    active = gain > 1
    compression = (betas[:, None] - 1) * explained / eigenvalue
    information_input = np.log2(compression, out=np.zeros(active.shape), where=active) / 2
    lost = np.log2(gain, out=np.zeros(active.shape), where=active) / 2
    # v_i^T cov(x) v_i = 1.
    scale = np.sqrt(np.where(active, gain - 1, 0) / eigenvalue)
    return xr.Dataset(
        {
            "information_input": (
                "beta",
                information_input.sum(1),
                {"units": "bit", "long_name": "I(X;T)"},
            ),
            "information_label": (
                "beta",
                (information_input - lost).sum(1),
                {"units": "bit", "long_name": "I(T;Y)"},
            ),
            "projection": (
                ("beta", "mode", "x"),
                scale[..., None] * directions,
                {"units": "1", "long_name": "projection A of T = A X + N(0, I)"},
            ),
            "eigenvalue": (
                "mode",
                eigenvalue,
                {"units": "1", "long_name": "share of the variance that Y does not explain"},
            ),
            "critical_beta": (
                "mode",
                critical,
                {"units": "1", "long_name": "beta above which the mode is active"},
            ),
        },
        {"beta": ("beta", betas, {"units": "1", "long_name": "trade-off beta"})},
    )


def _canonical(
    covariance_x: ArrayLike, covariance_xy: ArrayLike, covariance_y: ArrayLike
) -> tuple[Floats, Floats]:
    """Canonical correlations (mode,), descending, and directions v (mode, x) of unit variance."""
    root_x = _root("covariance_x", covariance_x)
    root_y = _root("covariance_y", covariance_y)
    cross = np.asarray(covariance_xy, dtype=float)
    if cross.shape != (len(root_x), len(root_y)) or not np.isfinite(cross).all():
        raise ValueError(
            f"covariance_xy has shape {cross.shape}, expected finite numbers of shape "
            f"{(len(root_x), len(root_y))}"
        )
    whitened = np.linalg.solve(root_y, np.linalg.solve(root_x, cross).T).T
    u, correlations, _ = np.linalg.svd(whitened)
    if correlations[0] > 1 - ROUNDING:
        raise ValueError(
            f"covariances give a canonical correlation of {correlations[0]:.12g}, "
            "expected less than 1: information would be infinite"
        )
    rho = np.zeros(len(root_x))
    rho[: len(correlations)] = correlations
    # v_i = root_x^-T u_i.
    return rho, np.linalg.solve(root_x.T, u).T


def _root(name: str, covariance: ArrayLike) -> Floats:
    """Lower triangular R with R R^T = ``covariance``."""
    s = symmetric(name, covariance)
    smallest = np.linalg.eigvalsh(s)[0]
    if smallest <= 0:
        raise ValueError(
            f"{name} has the eigenvalue {smallest:.3g}, expected a positive definite matrix"
        )
    return np.asarray(np.linalg.cholesky(s), dtype=float)
