"""The differentiable inner loop, usable alone: train on a set and carry a loss's gradient back to it."""

from ddcore.unroll.cuda_graphs import GRAPHS, Recorder
from ddcore.unroll.estimates import Estimate, choose, estimate
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.inner_step import RealLoss, Step, WeightedLoss, micro_batch
from ddcore.unroll.meta_gradient import EXACT, MODES, MetaGradient, State, Training, Unroll, meta_gradient, train
from ddcore.unroll.schedule import STARTS, Schedule

__all__ = [
    "EXACT",
    "GRAPHS",
    "MODES",
    "STARTS",
    "Estimate",
    "Flat",
    "MetaGradient",
    "RealLoss",
    "Recorder",
    "Schedule",
    "State",
    "Step",
    "Training",
    "Unroll",
    "WeightedLoss",
    "choose",
    "estimate",
    "meta_gradient",
    "micro_batch",
    "train",
]
