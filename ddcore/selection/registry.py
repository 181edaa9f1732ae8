"""The ways to choose real members, by name."""

from ddcore.selection.ccs import CCS
from ddcore.selection.el2n import EL2N
from ddcore.selection.entropy import Entropy
from ddcore.selection.forgetting import Forgetting
from ddcore.selection.grand import GraNd
from ddcore.selection.herding import Herding
from ddcore.selection.k_center import KCenter
from ddcore.selection.k_means import KMeans
from ddcore.selection.margin import Margin
from ddcore.selection.mutual_information import MutualInformation
from ddcore.selection.random_choice import RandomChoice
from ddcore.selection.rl_agent import RLAgent

SELECTORS: dict[str, type] = {
    "ccs": CCS,
    "el2n": EL2N,
    "entropy": Entropy,
    "forgetting": Forgetting,
    "grand": GraNd,
    "herding": Herding,
    "k-center": KCenter,
    "k-means": KMeans,
    "margin": Margin,
    "mutual-information": MutualInformation,
    "random": RandomChoice,
    "rl-agent": RLAgent,
}
