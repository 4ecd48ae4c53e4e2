"""The claims of Tishby's account of deep learning, and of those who answered it, as data.

As retold in Weng's "Anatomize Deep Learning with Information Theory" (2017). Sources are those who
made a claim; what was found of it is for `theory.claims` to say.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import generalisation, gradients, planes, times
from .finding import Finding
from .records import CONTROLS, ESTIMATORS, LANGEVIN, OPTIMISERS, REFERENCE, RELU, Records

Test = Callable[[Records, np.random.Generator], list[Finding]]

WENG = "Weng 2017"
PAPER = "Shwartz-Ziv & Tishby 2017"
CHAIN = "Tishby & Zaslavsky 2015"


@dataclass(frozen=True)
class Claim:
    """What is claimed, and how records are asked.

    ``own`` are the records that it needs; without them it is open. ``more`` are those that its
    test also looks at where they are there.
    """

    number: int
    statement: str
    source: str
    observable: str
    statistic: str
    null: str
    refutation: str
    own: tuple[str, ...]
    test: Test
    more: tuple[str, ...] = ()

    @property
    def records(self) -> tuple[str, ...]:
        """All records that the test looks at."""
        return (*self.own, *self.more)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        1,
        "I(X;T) and I(T;Y) fall with depth: layers are a Markov chain",
        f"{WENG}; {CHAIN}",
        "I(X;T_k) and I(T_k;Y) of exact states and of cells",
        "largest rise from a layer to the next",
        "no rise beyond rounding",
        "any rise of exact states; cells of activations are no Markov chain",
        ("markov_chain",),
        planes.processing,
    ),
    Claim(
        2,
        "information does not change under reparametrisation",
        WENG,
        "I(X;T) before and after invertible maps of a layer",
        "largest change",
        "no change beyond rounding",
        "any change of exact states; shuffled weights are another network",
        ("reparametrisation",),
        planes.reparametrisation,
    ),
    Claim(
        3,
        "layers first fit, then compress",
        f"{WENG}; {PAPER}",
        "I(X;T) of the last hidden layer",
        "drop from the peak, chosen on half of the members and measured on the other",
        "blocks of time shuffled in each member",
        "a drop of less than 0.1 bit",
        (REFERENCE,),
        planes.compression,
        (*CONTROLS, ESTIMATORS),
    ),
    Claim(
        4,
        "compression starts when the error saturates",
        PAPER,
        "epoch of the peak of I(X;T), epoch of the break of the training loss",
        "mean logarithm of their ratio",
        "a ratio within a factor of two",
        "a ratio beyond it",
        (REFERENCE,),
        planes.onset_at_saturation,
        (*CONTROLS, ESTIMATORS),
    ),
    Claim(
        5,
        "compression is what makes networks generalise",
        f"{WENG}; {PAPER}",
        "drop of I(X;T), test loss; test error of networks that do not compress",
        "partial rank correlation at equal training loss; difference of test errors",
        "no association; no difference",
        "a correlation that is not negative, or networks that generalise without compression",
        (REFERENCE, RELU),
        planes.generalisation,
        (*CONTROLS, ESTIMATORS),
    ),
    Claim(
        6,
        "gradients go from drift to diffusion",
        f"{WENG}; {PAPER}",
        "ratio of mean and spread of the minibatch gradients at frozen weights",
        "share of networks whose ratio goes below one, if it has a break",
        "half of the networks; signs of the change of slope flipped",
        "less than half of the networks, in a hidden layer",
        (REFERENCE,),
        gradients.transition,
        gradients.NOISY_GRADIENTS,
    ),
    Claim(
        7,
        "in the drift phase means are three magnitudes larger than deviations",
        WENG,
        "ratio of mean and spread of the minibatch gradients",
        "logarithm to base 10 of the largest of any layer and record",
        "two",
        "less than two",
        (REFERENCE,),
        gradients.magnitude,
        gradients.NOISY_GRADIENTS,
    ),
    Claim(
        8,
        "gradients are noisier the farther from the output",
        WENG,
        "ratio of mean and spread, by hidden layer, near epoch 50",
        "rank correlation with depth, in each member",
        "no correlation",
        "a negative correlation",
        (REFERENCE,),
        gradients.noise_grows_backwards,
        gradients.NOISY_GRADIENTS,
    ),
    Claim(
        9,
        "diffusion of the weights is what compresses",
        f"{PAPER}; against it Saxe et al. 2018",
        "drop of I(X;T) with no gradient noise and with more and more",
        "drop of the full batch; rank correlation of drop and Langevin temperature",
        "a drop of 0.1 bit at most; a correlation of 0.1 at least",
        "compression without noise, or no growth with the noise",
        ("controls/full-batch", *LANGEVIN),
        planes.diffusion_compresses,
        (REFERENCE, *OPTIMISERS, "controls/batch-64", "controls/batch-1024"),
    ),
    Claim(
        10,
        "relaxation takes exp(compression)",
        f"{WENG}; {PAPER}",
        "relaxation time and compression C of I(X;T), by layer and network",
        "slope of the logarithm of time against C in nats; log density of unseen times",
        "a slope of one, within a factor of two; the layer's place instead of C",
        "a slope beyond it, or times that the layer's place foretells better than C",
        (REFERENCE,),
        times.relaxation_law,
        times.RELAXATION[1:],
    ),
    Claim(
        11,
        "more layers need exponentially fewer epochs",
        f"{WENG}; {PAPER}",
        "epochs until the test error is 8 %, by number of hidden layers",
        "criterion of T_0 exp(-c K) against other laws, by a bootstrap over networks",
        "other laws are no better",
        "another law is the better",
        tuple(f"hidden_layers/adam-{k}" for k in times.DEPTHS),
        times.depth_law,
        times.DEPTH_RECORDS,
    ),
    Claim(
        12,
        "the information in the epsilon-partition controls generalisation",
        f"{WENG}; Tishby's talks",
        "gap between test and training error, I(X;T) of the last hidden layer",
        "rank correlation at equal training size, over three widths",
        "a correlation of 0.1",
        "less; the bound itself is no theorem (counter-example)",
        generalisation.WIDTHS,
        generalisation.information_orders,
        generalisation.SIZES,
    ),
    Claim(
        13,
        "the classical bound is useless, since networks have too many parameters",
        WENG,
        "bound of the number of parameters",
        "its value",
        "one half, the error of guessing",
        "a value below it: learning is told from chance",
        (generalisation.LARGEST,),
        generalisation.classical_is_useless,
        generalisation.SIZES,
    ),
    Claim(
        14,
        "more training samples raise I(T;Y) towards the limit",
        f"{WENG}; {PAPER}",
        "I(T;Y) of the last hidden layer at the end, by training size",
        "Kendall's rank correlation",
        "no trend",
        "a negative trend",
        (generalisation.SIZES[2], generalisation.SIZES[5]),
        generalisation.more_samples,
        generalisation.SIZES,
    ),
    Claim(
        15,
        "converged layers lie on the information bottleneck bound",
        PAPER,
        "I(X;T) and I(T;Y) of a soft rule, whose curve is solved for",
        "I(X;T) above the least that the layer's I(T;Y) takes",
        "0.1 bit at most",
        "more, of the last hidden layer or the output",
        (generalisation.SOFT,),
        generalisation.on_the_curve,
        (generalisation.SOFT_RANDOM, REFERENCE),
    ),
    Claim(
        16,
        "the gaps Delta C and Delta G to the finite-sample optimum are quantities",
        f"{WENG}; {CHAIN}",
        "Delta G of the output against the red curve",
        "its sign at constants 0.3 and 3 of the red curve",
        "one sign",
        "signs that differ",
        (generalisation.SOFT,),
        generalisation.red_curve,
    ),
    Claim(
        17,
        "weights grow ultra-slowly, since they diffuse",
        f"{WENG}; Hoffer et al. 2017",
        "displacement of the weights of the last hidden layer, last two decades",
        "exponent of its power law in time, with gradient noise and without",
        "0.1: below it a power is a logarithm",
        "a greater exponent, or one as small without any noise",
        (REFERENCE, gradients.FULL_BATCH),
        gradients.ultra_slow,
        CONTROLS,
    ),
    Claim(
        18,
        "many networks follow one trajectory",
        f"{WENG}; {PAPER}",
        "I(X;T) of the last hidden layer at the end",
        "deviation between networks",
        "0.5 bit",
        "more",
        (REFERENCE,),
        planes.one_trajectory,
        (*CONTROLS, ESTIMATORS),
    ),
    Claim(
        19,
        "noise far from the output is not a matter of width",
        WENG,
        "ratio of mean and spread at equal widths, near epoch 50",
        "rank correlation with depth, in each member",
        "no correlation",
        "a negative correlation",
        (gradients.EQUAL_WIDTHS,),
        gradients.noise_at_equal_widths,
        (REFERENCE,),
    ),
    Claim(
        20,
        "exp of the sum of compressions exceeds the sum of their exp",
        WENG,
        "measured compressions C_k >= 0 of the layers",
        "margin 1 - sum exp(C_k - sum C)",
        "zero",
        "a negative margin; it is no theorem: at C = 0 it fails",
        (REFERENCE,),
        times.sum_of_exponentials,
        times.SUMS[1:],
    ),
    Claim(
        21,
        "information, not the size of a network, determines generalisation",
        f"{WENG}; Tishby's talks",
        "gap, I(X;T), occupied cells, I(X;T|Y), number of parameters",
        "rank correlation of the gap with I(X;T) less that with the number of parameters",
        "no difference",
        "a negative difference",
        generalisation.WIDTHS,
        generalisation.information_beats_size,
    ),
    Claim(
        22,
        "compression is geometric clustering",
        "Goldfeld et al. 2019; Geiger 2021",
        "I(X;T) and the share of the scatter that lies within classes, along a run",
        "rank correlation in each member",
        "0.1",
        "less",
        (REFERENCE,),
        planes.clustering,
        (*CONTROLS, ESTIMATORS),
    ),
)
