"""Twelve points of the sphere, the vertices of an icosahedron, and patterns of occupied ones.

A pattern x in {0,1}^12 marks vertices as occupied. Its spherical power spectrum (Kazhdan,
Funkhouser & Rusinkiewicz 2003)

    S_l(x) = (2l + 1) / (4 pi) sum_ij x_i x_j P_l(u_i . u_j)

is invariant under all 120 symmetries. Since u_i . u_j takes four values, the spectrum depends on
the pattern through four counts alone: the points k and the pairs n_1, n_2, n_3 at cosine
+1/sqrt5, -1/sqrt5, -1, where n_1 + n_2 + n_3 = k(k - 1)/2. It takes 64 distinct values, the "64
disjoint orbits" of Shwartz-Ziv & Tishby 2017; true orbits are 96 (rotations) or 82 (all
symmetries).
"""

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_legendre

GOLDEN = (1 + np.sqrt(5)) / 2

VERTICES = np.array(
    [
        (0, 1, GOLDEN),
        (1, GOLDEN, 0),
        (0, 1, -GOLDEN),
        (-1, GOLDEN, 0),
        (GOLDEN, 0, -1),
        (0, -1, GOLDEN),
        (1, -GOLDEN, 0),
        (-1, -GOLDEN, 0),
        (-GOLDEN, 0, -1),
        (0, -1, -GOLDEN),
        (-GOLDEN, 0, 1),
        (GOLDEN, 0, 1),
    ]
) / np.sqrt(1 + GOLDEN**2)

PAIR_COSINES = np.array([1, -1, -np.sqrt(5)]) / np.sqrt(5)


def pair_relation() -> NDArray[np.int64]:
    """Relation of each pair of vertices, shape (12, 12): 0 same, 1 near, 2 far, 3 antipodal."""
    cosines = VERTICES @ VERTICES.T
    values = np.concatenate([[1.0], PAIR_COSINES])
    return np.abs(cosines[..., None] - values).argmin(-1)


def counts(patterns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Points and pairs (k, n_1, n_2, n_3) of each pattern: (pattern, 12) -> (pattern, 4)."""
    x = np.asarray(patterns, dtype=np.int64)
    relation = pair_relation()
    pairs = [np.einsum("ni,ij,nj->n", x, relation == r, x) // 2 for r in (1, 2, 3)]
    return np.stack([x.sum(-1), *pairs], axis=-1)


def power_spectrum(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """S_0 to S_3, which determine all others, from the `counts`: (pattern, 4) -> (pattern, 4)."""
    degree = np.arange(4)
    weights = 2 * eval_legendre(degree[:, None], PAIR_COSINES)
    k, pairs = counts[:, :1], counts[:, 1:]
    return (2 * degree + 1) / (4 * np.pi) * (k + pairs @ weights.T)


def irreducible_energies(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Energies (E_A, E_T1, E_H, E_T2) of the pattern in the irreducible representations.

    The permutation representation on the vertices is A + T1 + H + T2 (dimensions 1, 3, 5, 3);
    the energies are S_0..S_3 up to constants and add up to k: (pattern, 4) -> (pattern, 4).
    """
    k, near, far, antipodal = np.transpose(counts).astype(float)
    tilt = 2 * (near - far) / np.sqrt(5)
    return np.stack(
        [
            k**2 / 12,
            (k + tilt - 2 * antipodal) / 4,
            5 / 12 * (k - 0.4 * (near + far) + 2 * antipodal),
            (k - tilt - 2 * antipodal) / 4,
        ],
        axis=-1,
    )


def symmetries() -> NDArray[np.int64]:
    """The 120 symmetries of the icosahedron as permutations of its vertices: (120, 12)."""
    relation = pair_relation()
    frame = [0, *np.flatnonzero(relation[0] == 1)[:2]]
    images = []
    for image in itertools.permutations(range(12), 3):
        if (relation[np.ix_(image, image)] == relation[np.ix_(frame, frame)]).all():
            linear = np.linalg.solve(VERTICES[frame], VERTICES[list(image)])
            overlap = VERTICES @ linear @ VERTICES.T
            if np.allclose(overlap.max(1), 1):
                images.append(overlap.argmax(1))
    return np.unique(images, axis=0)


def orbits(patterns: NDArray[np.integer], symmetries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Orbit of each pattern under vertex permutations: (pattern, 12) -> integers (pattern,)."""
    place = 1 << np.arange(12)
    images = np.stack([np.asarray(patterns)[:, g] @ place for g in symmetries])
    return np.unique(images.min(0), return_inverse=True)[1]
