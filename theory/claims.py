"""The claims of the literature, each with what the records say of it: supported, refuted or open.

Tishby's account of deep learning, as retold in Weng's "Anatomize Deep Learning with Information
Theory" (2017), and claims that were made against it. A claim is data: a statement, its source, what
is observed, which number is taken, what it is held against, and what would refute it; and a
function from records to findings (see `theory.verdicts.finding`), of which some are the claim's
own and others controls. P-values are adjusted within a claim, own findings and controls together
(Holm 1979). A claim is supported if all of its own findings are, refuted if one of them is, and
else open; the last hidden layer and the probe times were chosen beforehand.

Records are named by their place in the folder that `ibdyn reproduce` writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .verdicts.catalogue import CLAIMS
from .verdicts.claim import Claim
from .verdicts.finding import (
    OPEN,
    REFUTED,
    SUPPORTED,
    Finding,
    InsufficientError,
    Region,
    holm,
    lacking,
    verdict,
)
from .verdicts.records import Records

__all__ = [
    "CLAIMS",
    "COLUMNS",
    "Claim",
    "Finding",
    "Verdict",
    "judge",
    "judge_one",
    "one_verdict",
    "summary",
    "to_markdown",
    "to_rows",
]


@dataclass(frozen=True)
class Verdict:
    """A claim, its verdict, and the findings with their adjusted p-values."""

    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()


def judge(records: Records, rng: np.random.Generator) -> list[Verdict]:
    """The verdict of every claim by the records that are there, by name (see `CLAIMS`).

    Each claim has a stream of its own, so that no verdict hangs on what others draw.
    """
    streams = rng.spawn(len(CLAIMS))
    return [judge_one(claim, records, own) for claim, own in zip(CLAIMS, streams, strict=True)]


def judge_one(claim: Claim, records: Records, rng: np.random.Generator) -> Verdict:
    """The verdict of one claim."""
    missing = tuple(name for name in claim.own if name not in records)
    if missing:
        return Verdict(claim, OPEN, (), missing)
    try:
        found = claim.test(records, rng)
    except InsufficientError as error:
        found = [lacking(claim.own[0], Region(), "1", str(error))]
    support, refute = holm([one.p_support for one in found]), holm([one.p_refute for one in found])
    adjusted = tuple(
        replace(one, p_support=float(s), p_refute=float(r))
        for one, s, r in zip(found, support, refute, strict=True)
    )
    own = [one_verdict(one) for one in adjusted if not one.control]
    if REFUTED in own:
        return Verdict(claim, REFUTED, adjusted)
    return Verdict(claim, SUPPORTED if set(own) == {SUPPORTED} else OPEN, adjusted)


def one_verdict(finding: Finding) -> str:
    """The verdict of a finding whose p-values are adjusted."""
    return verdict(finding.p_support, finding.p_refute)


COLUMNS = (
    "claim",
    "statement",
    "source",
    "observable",
    "statistic",
    "null",
    "refutation",
    "claim_verdict",
    "condition",
    "control",
    "effect",
    "low",
    "high",
    "units",
    "region",
    "p_support",
    "p_refute",
    "verdict",
    "members",
    "note",
)


def to_rows(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """One row of `COLUMNS` for each finding, or for a claim that has none."""
    rows = []
    for one in verdicts:
        claim = {name: getattr(one.claim, name) for name in COLUMNS[1:7]}
        claim |= {"claim": one.claim.number, "claim_verdict": one.verdict}
        if not one.findings:
            nothing = dict.fromkeys(COLUMNS, "")
            rows.append(nothing | claim | {"note": f"needs {', '.join(one.missing)}"})
        rows += [
            claim
            | {name: getattr(found, name) for name in COLUMNS[8:] if name != "verdict"}
            | {"verdict": one_verdict(found)}
            for found in one.findings
        ]
    return rows


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A table of the claims and their own findings, then one of the controls for each claim."""
    lines = [
        "| # | claim | verdict | found: effect [95 %], region in which the claim holds |",
        "|---|---|---|---|",
    ]
    for one in verdicts:
        own = [found for found in one.findings if not found.control]
        text = "<br>".join(map(_described, own)) or f"needs {', '.join(one.missing)}"
        lines.append(
            f"| {one.claim.number} | {one.claim.statement} ({one.claim.source}) | "
            f"**{one.verdict}** | {text} |"
        )
    lines += ["", "## Controls", ""]
    for one in verdicts:
        controls = [found for found in one.findings if found.control]
        if not controls:
            continue
        lines += [
            f"### {one.claim.number}. {one.claim.statement}",
            "",
            f"{one.claim.statistic}; refuted by {one.claim.refutation}",
            "",
            "| condition | effect [95 %] | verdict | members | note |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {found.condition} | {'' if np.isnan(found.effect) else _effect(found)} | "
            f"{one_verdict(found)} | {found.members} | {found.note} |"
            for found in controls
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def summary(verdicts: Sequence[Verdict]) -> str:
    """A line for each claim, and how many are supported, refuted and open."""
    lines = []
    for one in verdicts:
        own = [found for found in one.findings if not found.control]
        first = _effect(own[0]) if own else f"needs {one.missing[0]}"
        lines.append(f"{one.claim.number:3} {one.verdict:10} {one.claim.statement}: {first}")
    counts = [
        f"{sum(one.verdict == name for one in verdicts)} {name}"
        for name in (SUPPORTED, REFUTED, OPEN)
    ]
    return "\n".join([*lines, "", ", ".join(counts)])


def _described(found: Finding) -> str:
    return f"{found.condition}: {_effect(found)}, {found.region}: {one_verdict(found)}"


def _effect(found: Finding) -> str:
    units = "" if found.units == "1" else f" {found.units}"
    if np.isnan(found.effect):
        return found.note
    if np.isnan(found.low):
        return f"{found.effect:.3g}{units}"
    return f"{found.effect:.3g} [{found.low:.3g}, {found.high:.3g}]{units}"
