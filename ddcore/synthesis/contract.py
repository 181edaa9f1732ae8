"""The contract of a method: what it has to offer the outer loop."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from ddcore.data import Examples, Task
from ddcore.errors import known
from ddcore.nets import Embedding, kept_bytes, operations
from ddcore.options import flat, later, option
from ddcore.problem import PROPORTIONS, PROPORTIONS_HELP, Problem
from ddcore.runtime import JSONObject, Progress, Session
from ddcore.sets import DistilledSet, Origin
from ddcore.synthesis.validation import Price, TrainedValidation, Validation, is_large
from ddcore.training import Setting, recorded_recipes, small_image_recipe
from ddcore.unroll import Estimate

M = TypeVar("M", bound="Method")
FACTOR_HELP = (
    "tiles per side of a stored image; over 1, a budget counts stored images, and each gives factor² members, its "
    "enlarged tiles (multi-formation)"
)
Preset = Callable[[Task, int], Mapping[str, Any]]
"""Returns values by option name."""


@dataclass(frozen=True)
class Group:
    """Variables that share a learning rate.

    Attributes:
        variables: name to tensor; the outer loop changes them in place.
        rate: peak learning rate, in units of the variable per step; a tensor gives parts of a variable their own.
        together: divide a variable's step by the root mean square of its whole gradient, not of each number's own, so
            that numbers which hardly matter hardly move.
        momentum: move by SGD with this momentum at a constant rate; None: by Adam, its rate warmed up and let down.
        newest: the weights of the newest gradient in Adam's mean and in its mean square: 1 - beta of each.
        bounds: least and largest value, to which the variables are cut after each step; tensors may give them by part.
            None: any value.
    """

    variables: dict[str, Tensor]
    rate: float | Tensor
    together: bool = False
    momentum: float | None = None
    newest: tuple[float, float] = (0.1, 0.01)
    bounds: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Shard:
    """One part of an outer step, which any process may compute.

    Attributes:
        step: of the outer loop, counted from 0.
        part: which part: a network, or a member of a pool.
    """

    step: int
    part: int = 0


@dataclass(frozen=True)
class Part:
    """What one shard of a step gives.

    Attributes:
        gradients: of every variable, by its name.
        values: numbers to log; ``loss`` is among them.
        update: tensors of the method's own state after this shard, for `Synthesis.absorb`.
    """

    gradients: dict[str, Tensor]
    values: dict[str, float]
    update: dict[str, Tensor] = field(default_factory=dict)


class Synthesis:
    """A set in the making: the variables and all other state of one run of a method.

    A subclass gives `groups`, `shards`, `gradient`, `score` and `decode`; `absorb`, `memory` and `remember` if it has
    state besides its variables; `forecast` if it differentiates through an inner loop.

    Attributes:
        method: its options.
        problem: what is asked for.
        mode: of the unroll engine; empty for a method without an inner loop.
        chunk: members that pass through a network at once, as `chunk_of` chose; 0 for all of a batch.
        validation_net: the network that is trained on the set to validate it; empty for a method that trains none.
        validation: its size, which `Loop` settles.
        progress: of the training that `score` does.
    """

    mode: str = ""
    chunk: int = 0
    validation_net: str = ""
    progress: Progress | None = None

    def __init__(self, method: "Method", problem: Problem, session: Session) -> None:
        self.method, self.problem, self.validation = method, problem, method.validation
        self.recipes = recorded_recipes(problem.task, problem.budget, session.profile, session.quick)

    @property
    def groups(self) -> dict[str, Group]:
        """The variables, in named groups; none for a set that is finished."""
        return {}

    @property
    def variables(self) -> dict[str, Tensor]:
        """All variables by name."""
        return {name: tensor for group in self.groups.values() for name, tensor in group.variables.items()}

    def shards(self, step: int) -> Sequence[Shard]:
        """Return the parts of a step; the same on every process."""
        return [Shard(step)]

    def gradient(self, shard: Shard) -> Part:
        """Return what a shard gives; changes no state, so that any process may compute it."""
        raise TypeError(f"{type(self).__name__} follows no gradient")

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return what this process's shards of a step give, in their order; a method may compute them together."""
        return [self.gradient(shard) for shard in shards]

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Take over the state that a shard left behind."""

    def forecast(self) -> Estimate | None:
        """Return what a meta-gradient will cost in the quicker mode that fits into memory; None without an unroll."""
        return None

    def use_chunk(self, chunk: int) -> None:
        """Compute steps with at most so many members in a network at once; 0 for no limit."""
        self.chunk = chunk

    def widest(self) -> tuple[int, float]:
        """Return the largest number of members in a network at once without chunks, and the bytes for each of them.

        0 members: their number does not depend on `chunk`.
        """
        return 0, 0.0

    def kept(self, net: str) -> float:
        """Return the bytes that autograd keeps of a network's answer to one member."""
        return kept_bytes(net, self.problem.task)

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes, as `operations` counts; 0 if that is not known."""
        return 0.0

    def trial_operations(self) -> tuple[float, float]:
        """Return the operations of a network of a validation apart from training steps, and of one of these."""
        one, task = self.operations(self.validation_net), self.problem.task
        batch = min(small_image_recipe(task, self.validation_net, "cpu").batch_size, self.problem.budget)
        return len(task.validation) * one, 3 * batch * one

    def operations(self, net: str) -> float:
        """Return the operations of a network's answer to one member."""
        return operations(net, self.problem.task)

    def price(self) -> Price | None:
        """Return what validations cost beside the making; None where they have their usual size anyway."""
        if not is_large(self.problem.task) or not (step := self.step_operations()):
            return None
        return Price(self.method.steps * step, *self.trial_operations())

    def with_options(self, method: "Method") -> "Synthesis":
        """Return the same synthesis under other options, to ask it what a step would be made of."""
        trial = copy.copy(self)
        trial.method = method
        return trial

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the present set."""
        raise TypeError(f"{type(self).__name__} is not validated")

    def trained_accuracy(self, examples: Examples, seed: int, embedding: Embedding | None = None) -> float:
        """Return the validation accuracy, a fraction, of a fresh `validation_net` that is trained on a set."""
        assert isinstance(self.validation, TrainedValidation)
        setting = Setting(seed, self.problem.device, self.progress)
        return self.validation.accuracy(self.problem, self.validation_net, examples, setting, embedding)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set; the notes, JSON values, go into its provenance."""
        raise TypeError(f"{type(self).__name__} gives no set")

    def memory(self) -> dict[str, Tensor]:
        """Return all state that changes besides the variables."""
        return {}

    def remember(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return all state that changes, variables included."""
        return {**self.variables, **self.memory()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place.

        Raises:
            KeyError, ValueError, RuntimeError: a part is missing or does not fit.
        """
        for name, tensor in self.variables.items():
            tensor.copy_(state[name])
        self.remember(state)

    def image_set(
        self, x: Tensor, y: Tensor, soft: Tensor | None, temperature: float, provenance: JSONObject
    ) -> DistilledSet:
        """Return synthetic members as a set.

        Args:
            x: ``(N, C, H, W)`` float32, normalised.
            y: ``(N,)`` int64.
            soft: ``(N, C)`` float32 logits of soft labels, or None.
            temperature: of these.
            provenance: JSON values that say where its parts came from.
        """
        task = self.problem.task
        options = {**flat(self.method), "budget": len(y), "seed": self.problem.seed}
        return DistilledSet(
            kind="images",
            x=x.detach().cpu().clone(),
            y=y.cpu(),
            origin=Origin.of(task, self.method.name, options, {"source": task.source, **provenance}),
            scale=task.scale,
            soft=None if soft is None else soft.detach().cpu().clone(),
            temperature=temperature,
            recipes=self.recipes,
        )


@dataclass(frozen=True)
class Method:
    """A way to synthesise a set: a dataclass of options that starts syntheses.

    A method that follows no gradient starts a synthesis without variables, which gives its set at once.

    Attributes:
        name: that it is called by.
        kinds: of tasks that it reads: ``images``, ``text``.
        presets: tables of option values by name, each for a task and a number of members per class.
        precision: of a GPU's convolutions and matrix products, unless another is asked for; meta-gradients and kernel
            regressions need ``ieee``, see `ddcore.runtime.precision`.
        proportions: of the classes in the set.
        factor: tiles per side of a stored image, see `ddcore.synthesis.multi_formation`; no option of a method without
            images of its own.
        steps: outer steps.
        validation: how the set is validated on the way.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("images",)
    precision: ClassVar[str] = "tf32"
    presets: ClassVar[Mapping[str, Preset]] = {}

    proportions: str = option("balanced", PROPORTIONS_HELP, choices=PROPORTIONS)
    factor: int = later(option(1, FACTOR_HELP, low=1))
    steps: int = field(default=0, init=False, repr=False)
    validation: Validation = field(default=Validation(), init=False, repr=False)

    @property
    def in_vectors(self) -> bool:
        """Whether its members are word vectors, which only networks with word vectors read."""
        return False

    def needs_teacher(self, kind: str) -> bool:
        """Return whether it cannot do without a teacher on this kind of task."""
        return False

    def pool_of(self, task: Task) -> Tensor:
        """Return the members to begin with and to look at: ``(P,)`` int64, those outside the validation split."""
        return task.fit

    @classmethod
    def preset(cls, name: str, task: Task, budget: int) -> Mapping[str, Any]:
        """Return the option values of a preset, by option name, for so many members.

        Raises:
            UsageError: the method has no such preset.
        """
        return cls.presets[known(f"preset of {cls.name}", name, list(cls.presets))](task, budget // len(task.classes))

    def quick(self: M) -> M:
        """Return the same at toy length, for ``--quick``."""
        return self

    def stages(self, problem: Problem) -> list[int]:
        """Return the number of members after each stage; a method without stages has one.

        Raises:
            UsageError: the budget does not fit the stages.
        """
        return [problem.budget]

    def of_stage(self: M, size: int, last: int) -> M:
        """Return the options of a stage that ends with `size` members, the last one with `last`: its own steps."""
        return self

    def start(self, problem: Problem, session: Session) -> Synthesis:
        """Return the set to begin with; the same on every process.

        Raises:
            UsageError: an option does not fit, or something that the method needs is missing.
        """
        raise TypeError(f"{type(self).__name__} cannot start")

    def start_stage(self, stage: int, earlier: DistilledSet | None, problem: Problem, session: Session) -> Synthesis:
        """Return the set that a stage begins with, from what the stage before made; the same on every process."""
        return self.start(problem, session)


class Finished(Synthesis):
    """A set that is small at once."""

    def __init__(self, small: DistilledSet) -> None:
        self.small = small

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the set."""
        return self.small.described(provenance=dict(notes or {}))
