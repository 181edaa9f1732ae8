"""The whole job: which stages it has, in which order, what they cost, and how one of them is run."""

from ddcore.job.custom import plan_for
from ddcore.job.launch import launch_command
from ddcore.job.plan import Choices
from ddcore.job.runner import Job, Place, in_folder, preview
from ddcore.job.table import DIGITS, FASHION_MNIST, IMDB

__all__ = [
    "DIGITS",
    "FASHION_MNIST",
    "IMDB",
    "Choices",
    "Job",
    "Place",
    "in_folder",
    "launch_command",
    "plan_for",
    "preview",
]
