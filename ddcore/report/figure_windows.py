"""Norm, standard deviation and correlation of the meta-gradients of several runs."""

import statistics

from matplotlib.figure import Figure

from ddcore.report.figure_style import RULE
from ddcore.report.figures import FigureSpec
from ddcore.report.records import Curve, Records

BAR = "#0072b2"


def draw(records: Records) -> tuple[Figure, str] | None:
    """Draw three panels over the runs that logged their meta-gradient; None if fewer than two did."""
    norms = {curve["stage"]: curve for curve in records["curves"] if curve["key"] == "gradient_norm"}
    cosines = {curve["stage"]: curve for curve in records["curves"] if curve["key"] == "correlation"}
    stages = [stage for stage in norms if stage in cosines]
    if len(stages) < 2:
        return None
    figure = Figure(figsize=(10.5, 0.55 + 0.45 * len(stages)))
    panels = figure.subplots(1, 3, sharey=True)
    means, spreads = zip(*(_moments(norms[stage]) for stage in stages), strict=True)
    relative = [spread / mean if mean else 0.0 for mean, spread in zip(means, spreads, strict=True)]
    correlations = [_moments(cosines[stage])[0] for stage in stages]
    titles = ("norm of the meta-gradient", "its standard deviation / mean", "cosine between members")
    columns = ((means, spreads), (relative, None), (correlations, None))
    for panel, title, (values, errors) in zip(panels, titles, columns, strict=True):
        panel.barh(stages, values, xerr=errors, color=BAR, height=0.6, capsize=2)
        panel.set_title(title, fontsize=9.5)
        panel.grid(axis="x", color=RULE, lw=0.6)
    panels[0].invert_yaxis()
    figure.tight_layout(w_pad=1.4)
    facts = "; ".join(
        f"{stage}: norm {mean:.3g} ± {spread:.2g}, cosine {cosine:.2g}"
        for stage, mean, spread, cosine in zip(stages, means, spreads, correlations, strict=True)
    )
    return figure, f"Meta-gradients. {facts}."


def _moments(curve: Curve) -> tuple[float, float]:
    return statistics.fmean(curve["values"]), statistics.pstdev(curve["values"])


FIGURE = FigureSpec(
    "windows",
    "The meta-gradient under three windows",
    "Over the logged outer steps: the norm of the images' meta-gradient (mean and standard deviation), its standard "
    "deviation in units of its mean, and the mean cosine between the gradients of two members. As Feng et al. 2024 "
    "find, the gradient of the last window omits early steps, and the full gradient varies most.",
    draw,
    optional=True,
)
