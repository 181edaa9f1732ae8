"""Reports: run folders in, compact records, one HTML page and its Markdown twin out."""

from ddcore.report.comparison import write_comparison
from ddcore.report.make_report import make_report
from ddcore.report.markdown import lines
from ddcore.report.names import accuracy, points
from ddcore.report.pages import with_parts
from ddcore.report.scores import loss_against, meets, read_scores, score_of

__all__ = [
    "accuracy",
    "lines",
    "loss_against",
    "make_report",
    "meets",
    "points",
    "read_scores",
    "score_of",
    "with_parts",
    "write_comparison",
]
