"""RL agent: members that a policy gradient found to train a classifier best."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ddcore.draws import permutation
from ddcore.errors import known, require
from ddcore.nets import net_name
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.selection.features import Blocks
from ddcore.selection.information import local_information, principal
from ddcore.selection.policy import Policy
from ddcore.selection.proxy import error_norm
from ddcore.selection.rewards import ClosedForm, ShortTraining
from ddcore.selection.selector import Selection, Selector
from ddcore.selection.start import starting_members, starting_selector

PRESETS: dict[str, JSONObject] = {
    "mps1": {"start": "random", "episodes": 600},
    "mps2": {"start": "random", "episodes": 2000},
    "mps2u": {"start": "k-means", "episodes": 2000},
    "mps2u-mi": {"start": "mutual-information", "episodes": 2000},
}

DRAWS = 8
CHECK = 200
PRACTICE = 10_000
JUDGE_STEPS = 200


@dataclass(frozen=True)
class RLAgent(Selector):
    """The members of a policy that is rewarded with the accuracy, on others, of what its draws train.

    An episode draws a set without replacement from each class's candidates: those of a starting ranking and random
    others. Its reward is the accuracy of a ridge regression on untrained features (or of a network after
    ``--reward-steps``) on members outside the validation split that cannot be chosen. The validation split says when
    to stop, and at last, by trained networks, whether the agent's set or its start is kept.

    Source: Williams 1992 for the learning; the presets are named after a student report's agents, whose own
    settings are not known: mps1 learns briefly, mps2 longer, mps2u starts from clusters, mps2u-mi from
    mutual information.
    """

    name: ClassVar[str] = "rl-agent"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")

    preset: str = option("mps2", f"--start and --episodes by one name: {', '.join(PRESETS)}")
    start: str | None = option(None, "selector to start from, with its defaults (default: the preset's)")
    episodes: int | None = option(
        None, "sets that are drawn and rewarded, at most (default: the preset's)", low=DRAWS, high=10**6
    )
    candidates: int = option(20, "members the agent may take, in multiples of those it takes", low=2, high=1000)
    rate: float = option(0.3, "step size of the members' logits", low=1e-4, high=10)
    reward_steps: int = option(0, "reward a network trained for so many steps; 0: a ridge regression", low=0)
    patience: int = option(4, f"checks, every {CHECK} episodes, without a gain before it stops", low=1)
    judges: int = option(3, "networks trained to compare the agent's set with its start", low=1, high=100)
    net: str = option(
        "convnet", "network of the features, the rewards and the comparison; texts: the data's own in its place"
    )

    @property
    def settings(self) -> JSONObject:
        """The start and the episodes: as given, else the preset's.

        Raises:
            UsageError: there is no such preset.
        """
        preset = PRESETS[known("preset", self.preset, list(PRESETS))]
        return {name: value if (value := getattr(self, name)) is not None else preset[name] for name in preset}

    def needs_teacher(self, kind: str) -> bool:
        """Return whether the start or the labels need one.

        Raises:
            UsageError: there is no such preset, or no such start.
        """
        start = starting_selector(self.settings["start"], "--start")
        return super().needs_teacher(kind) or start.needs_teacher(kind)

    def selection(self, problem: Problem, session: Session) -> Selection:
        """Return the chosen members, class after class, likeliest first: ``(budget,)`` int64 training indices.

        Members of the validation split are never chosen, because they judge. The notes hold the start, the validation
        accuracies of start and result (fractions, means over the judges), and the number of episodes.

        Raises:
            UsageError: there is no such preset or start, the start lacks its teacher, the budget cannot be had from
                the pool without its validation part, or that has fewer than 2 members.
        """
        task, device = problem.task, problem.device
        name = self.settings["start"]
        net = net_name(self.net if task.kind == "images" or self.net != RLAgent.net else "default", task)
        require(
            len(task.validation) >= 2, f"rl-agent needs 2 validation members; {task.name} has {len(task.validation)}"
        )
        problem = replace(problem, pool=problem.pool[~torch.isin(problem.pool, task.validation)])
        groups = problem.groups()
        start = starting_members(name, problem, session, "--start")
        practice, judging = self._practice(problem, start), task.validation
        groups = [(members[~torch.isin(members, practice)], count) for members, count in groups]
        parts = [self._candidates(members, start, problem.seed, k) for k, (members, _) in enumerate(groups)]
        closed = ClosedForm(problem, torch.cat([*parts, practice, judging]), net)
        reward: ClosedForm | ShortTraining = closed
        if self.reward_steps:
            reward = ShortTraining(problem, net, self.reward_steps, 1, most=2000)
        first = [torch.isin(part, start).to(device) for part in parts]
        counts = [int(favoured.sum()) for favoured in first]
        policy = Policy(traits(closed, parts, problem), counts, first, self.rate, problem.seed)
        trial = Trial([part.to(device) for part in parts], reward, practice.to(device), judging.to(device))
        result, episodes = self._learn(policy, trial, session)
        judges = ShortTraining(problem, net, JUDGE_STEPS, self.judges)
        before, after = judges.accuracies(torch.stack([start, result]), judging).tolist()
        notes: dict[str, str | float] = {"start": name, "episodes": episodes}
        notes |= {"start_validation": before, "validation": max(before, after), "kept_start": after <= before}
        return Selection(result if after > before else start, notes)

    @staticmethod
    def _practice(problem: Problem, start: Tensor) -> Tensor:
        """Return the members whose accuracy rewards a draw: ``(M,)`` int64, up to half of those outside the start."""
        others = problem.pool[~torch.isin(problem.pool, start)]
        count = min(PRACTICE, len(others) // 2)
        require(
            count > 0,
            f"rl-agent is rewarded on members that it cannot choose, and of {len(problem.pool)} members --budget "
            f"{problem.budget} leaves {len(others)}: take a smaller budget",
        )
        return others[permutation(len(others), problem.seed, "rl-agent", "practice")][:count]

    def _candidates(self, members: Tensor, start: Tensor, seed: int, part: int) -> Tensor:
        """Return the starting members of a part and random others: ``(P,)`` int64."""
        own = start[torch.isin(start, members)]
        others = members[~torch.isin(members, own)]
        drawn = others[permutation(len(others), seed, "rl-agent", "candidates", part)]
        return torch.cat([own, drawn[: (self.candidates - 1) * len(own)]])

    def _learn(self, policy: Policy, trial: "Trial", session: Session) -> tuple[Tensor, int]:
        """Return the likeliest members at the best check, and the number of episodes."""
        episodes = self.settings["episodes"]
        members, best, failed, done = torch.empty(0), -1.0, 0, 0
        while done < episodes and failed < self.patience:
            drawn = policy.draw(done, min(DRAWS, episodes - done))
            chosen = torch.cat([part[rows] for part, rows in zip(trial.parts, drawn, strict=True)], 1)
            policy.learn(drawn, trial.reward.accuracies(chosen, trial.practice))
            before, done = done, done + len(chosen)
            if done // CHECK > before // CHECK or done == episodes:
                likeliest = [part[rows] for part, rows in zip(trial.parts, policy.likeliest(), strict=True)]
                score = float(trial.reward.accuracies(torch.cat(likeliest)[None], trial.judging))
                failed = failed + 1 if score <= best else 0
                if score > best:
                    members, best = torch.cat(likeliest).cpu(), score
            session.report(done, episodes)
        return members, done


@dataclass(frozen=True)
class Trial:
    """What the agent draws from, and what its draws are worth.

    Attributes:
        parts: ``(P,)`` int64 each, the candidates of each class.
        reward: gives the accuracies of sets.
        practice: ``(M,)`` int64, the members whose accuracy rewards a draw.
        judging: ``(V,)`` int64, the members that decide when to stop.
    """

    parts: list[Tensor]
    reward: ClosedForm | ShortTraining
    practice: Tensor
    judging: Tensor


def traits(closed: ClosedForm, parts: list[Tensor], problem: Problem) -> list[Tensor]:
    """Return what is known of the candidates of each part: ``(P, F)`` float32, each of mean 0 and deviation 1.

    In the untrained features, and again in the teacher's where it has any: the error norm, the distance from the
    mean of the class, and the local mutual information.
    """
    members = torch.cat(parts)
    y = problem.task.train.y[members]
    x = closed.x[closed.rows[members.to(problem.device)]].cpu()
    fitted = closed.answers(members[None].to(problem.device), members.to(problem.device))[0].cpu()
    error = (fitted + 1 / len(problem.task.classes) - one_hot(y, len(problem.task.classes))).norm(dim=1)
    columns = [error, *_places(x, y)]
    if problem.teacher is not None and problem.teacher.features is not None:
        columns += [
            error_norm(problem.teacher.logits[members], y),
            *_places(problem.teacher.features[members].float(), y),
        ]
    table = torch.stack(columns, 1).float()
    columns = []
    for rows in table.split([len(part) for part in parts]):
        deviation = rows.std(0, correction=0).clamp(min=1e-6)
        columns.append(((rows - rows.mean(0)) / deviation).to(problem.device))
    return columns


def _places(x: Tensor, y: Tensor) -> list[Tensor]:
    """Return each member's distance from its class's mean, and its local information: ``(N,)`` each."""
    distance = torch.empty(len(y))
    for label in y.unique():
        own = y == label
        distance[own] = (x[own] - x[own].mean(0)).norm(dim=1)
    return [distance, local_information(principal(Blocks.of(x), 8), y, 10)]
