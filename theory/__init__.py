"""The theory of learning as a stochastic process, held against records of it.

Nothing here imports ``ibdyn`` or torch: a record is an xarray Dataset, from whichever trainer.

The basic concepts, on a world of two fair coins X = (X1, X2) of which Y is the parity:

>>> import numpy as np
>>> from theory import information, markov
>>> p_x = np.full(4, 1 / 4)
>>> parity = np.array([0, 1, 1, 0])
>>> p_y_given_x = np.eye(2)[parity]
>>> p_xy = p_x[:, None] * p_y_given_x

*Entropy* is the uncertainty of a variable, *mutual information* what one tells of another,
I(X;Y) = H(X) - H(X|Y) = D( p(x,y) || p(x) p(y) ):

>>> print(information.entropy(p_x), information.mutual_information(p_xy))
2.0 1.0
>>> print(2 - information.conditional_entropy(p_xy))
1.0
>>> independent = p_xy.sum(1, keepdims=True) * p_xy.sum(0)
>>> print(information.kl_divergence(p_xy, independent, axis=(0, 1)))
1.0

Invertible maps of either variable, *reparametrisations*, change nothing:

>>> print(information.mutual_information(p_xy[[2, 0, 3, 1]][:, ::-1]))
1.0

A layer T = f(X) sorts the patterns into cells, and I(X;T) = H(T). One coin alone tells nothing of
the parity, both together everything:

>>> first_coin = np.array([0, 0, 1, 1])
>>> print(*information.of_cells(first_coin, p_x, p_y_given_x))
1.0 0.0
>>> print(*information.of_cells(np.arange(4), p_x, p_y_given_x))
2.0 1.0

Layers form a *Markov chain* Y -> X -> T_1 -> T_2, along which information is only lost (the *data
processing inequality*); what is lost of X and not of Y is compression:

>>> chain = markov.of_layers(np.stack([np.arange(4), parity]), p_x, p_y_given_x, ["1", "2"])
>>> print(chain.information_input.values, chain.information_label.values)
[2. 1.] [1. 1.]
>>> print(markov.processing_violations(chain.information_input).values)
[0.]
"""
