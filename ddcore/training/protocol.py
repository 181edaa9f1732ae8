"""How sets are evaluated: which networks, recipes, schedules and seeds, and the record of all that with the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ddcore.data import Task, Tokens, is_custom
from ddcore.errors import UsageError, require
from ddcore.nets import net_name, net_of_file
from ddcore.options import group, option
from ddcore.runtime import JSONObject, Session, write_json
from ddcore.sets import SOURCES, DistilledSet, set_digest
from ddcore.training.crop_labels import CropLabels, CropOptions, crop_labels
from ddcore.training.evaluation import MEASURES, MOST, SCHEDULE_MEASURES, Cell, evaluate, headline
from ddcore.training.price import price_line
from ddcore.training.protocols import DDCORE, OWN, PROTOCOLS, NamedProtocol
from ddcore.training.published_recipe import PublishedRecipe
from ddcore.training.recipes import AnyRecipe, Recipe, epoch_steps, quick, read_recipe, recipe_for, recorded
from ddcore.training.saved_networks import seen_before, weights_by_seed
from ddcore.training.start_set import start_of
from ddcore.training.teacher import Teacher, load_teacher
from ddcore.unroll import Schedule


@dataclass(frozen=True)
class Evaluation:
    """How sets are evaluated."""

    nets: str = option("default", "networks, by name or your own as module:builder, with commas between")
    seeds: int = option(1, "networks of each name, per set", low=1, high=MOST)
    protocol: str = option(
        OWN,
        "how networks are trained: as the set says (own), as ddcore does for any set of its size (ddcore), or as a "
        "published evaluation does, see docs/protocols.md",
        choices=(*PROTOCOLS, f"default={DDCORE}"),
        flags="protocol recipe",
    )
    weights: Path | None = option(None, "run folder of train_baseline.py, for a set that begins with trained networks")
    prefix: int | None = option(None, "use the first members only, of a set with an order", low=1, high=MOST)
    subset: int | None = option(None, "use this many random members only, the same number per class", low=1, high=MOST)
    labels: str = option(
        "own",
        "the set's own labels; their hard version; or those of --teacher for the crops of every epoch (what own means "
        "under --protocol rded)",
        choices=("own", "hard", "crops"),
    )
    members: str = option("own", "the set's members, or the real ones that it began as", choices=("own", "start"))
    teacher: Path | None = option(None, "run folder of a teacher, for --labels crops and labels of --members start")
    crops: CropOptions = group(CropOptions())

    @property
    def by_crop(self) -> bool:
        """Whether the images are cropped, flipped and mixed, and labelled crop by crop, or with hard labels."""
        return self.labels == "crops" or PROTOCOLS[self.protocol].by_crop


@dataclass(frozen=True)
class SetEvaluation:
    """Fresh networks trained on sets and tested on the real test set.

    Attributes:
        options: how.
        sets: one, or several that are pooled: by the same method, for the same training; cut as the options say.
        task: the data set.
        seed: of the first network.
        source: where the sets come from, for messages and the record.
        notes: lines for the user about the sets' data.
        crops: how the crops of the sets are labelled; None for labels of the members.
    """

    options: Evaluation
    sets: Sequence[DistilledSet]
    task: Task
    seed: int
    source: Path
    notes: tuple[str, ...] = ()
    crops: CropLabels | None = None

    @property
    def seeds(self) -> range:
        """Seeds of the networks."""
        return range(self.seed, self.seed + self.options.seeds)

    @cached_property
    def schedule(self) -> Schedule | None:
        """The schedule that networks of its kind follow; None without one, or under another protocol than ``own``."""
        return shared_schedule(self.sets) if self.options.protocol == OWN else None

    @property
    def named(self) -> NamedProtocol:
        """The protocol."""
        return PROTOCOLS[self.options.protocol]

    @cached_property
    def nets(self) -> dict[str, str]:
        """Networks by the name that they are reported under; a set's own network stands for ``default``."""
        own, names = self.schedule or self.sets[0].embedding, self.options.nets.split(",")
        if self.named.recipe is not None:
            names = [self.named.net if name == "default" else name for name in names]
        if own is not None and "default" in names:
            names = [self._named(own.net) if name == "default" else name for name in names]
        return {name: net_name(name, self.task) for name in names}

    def _named(self, net: str) -> str:
        """Return the name in `NETS` of a network that a set names; a custom one only if ``--nets`` names it, too."""
        return net_of_file(net, self.task, self.options.nets.split(","), self.source, "--nets")

    @cached_property
    def followers(self) -> list[str]:
        """Names of those networks that follow the schedule."""
        return [name for name, net in self.nets.items() if self.schedule is not None and net == self.schedule.net]

    @cached_property
    def start_weights(self) -> dict[int, Tensor]:
        """Trained networks ``(P,)`` that the schedule begins with, by seed; none if it needs none."""
        weights, schedule = self.options.weights, self.schedule
        if schedule is not None and schedule.start == "given":
            if weights is None:
                raise UsageError(f"{self.source} trains networks on: give --weights RUN_DIR with such networks")
            return weights_by_seed(weights, self._named(schedule.net), self.task, self.seeds)
        if weights is not None:
            training = f"takes {schedule}" if schedule else "is trained on by fresh networks"
            raise UsageError(f"leave --weights out: {self.source} {training}")
        return {}

    @cached_property
    def seen(self) -> int | None:
        """How many of these networks were used to make the set; None if that is unknown."""
        used = self.sets[0].provenance.get("networks")
        if not (self.start_weights and self.schedule and used):
            return None
        return seen_before(self.start_weights.values(), Path(used), self.schedule.net, self.task)

    def run(self, session: Session) -> JSONObject:
        """Train and test all networks, write ``scores.json``, finish the run and return what was written.

        Returns:
            ``{"protocol", "nets"}``, the latter as `evaluate` returns it; empty except on the main process.

        Raises:
            DDCoreError: a recipe of the set is damaged, a training diverged, or a file cannot be written.
        """
        for line in self.notes:
            session.tell(f"note: {line}")
        recipes = {name: self._recipe(net, session) for name, net in self.nets.items()}
        crops = self._with_file(recipes, session)
        test, cells = self.task.load_test(), self._cells(recipes, crops)
        if session.main and self.named.recipe is not None:
            session.tell(f"protocol {self.named.name}: {price_line(cells, self.task, test, session.device)}")
        scores = evaluate(cells, self.task, test, session)
        if not session.main:
            return {}
        record = {
            "protocol": {
                **self._protocol(),
                **({} if crops is None else {"crops": crops.record()}),
                "recipes": {name: recorded(recipe) for name, recipe in recipes.items() if name not in self.followers},
                "seeds": list(self.seeds),
                "profile": session.profile,
                "test_members": len(test),
                "measure": headline(test.y, len(self.task.classes)),
                "tested_on": "test",
                "source": self.task.source,
            },
            "nets": scores,
        }
        write_json(session.folder / "scores.json", record)
        session.finish({})
        return record

    def _recipe(self, net: str, session: Session) -> AnyRecipe:
        """Return how to train `net`: as the protocol says; under ``own`` as the sets say, otherwise as ddcore does."""
        first = self.sets[0]
        if self.named.recipe is not None:
            recipe = self.named.published_recipe(self.task, len(first))
            return quick(recipe) if session.quick else recipe
        own = first.recipes.get(net) or first.recipes.get("default")
        if self.options.protocol == DDCORE or own is None:
            return recipe_for(self.task, net, len(first), session.profile, session.quick)
        return read_recipe(net, own, self.source)

    def _with_file(self, recipes: Mapping[str, AnyRecipe], session: Session) -> CropLabels | None:
        """Return how crops are labelled, with all answers that are to be stored."""
        if self.crops is None or self.options.crops.file is None:
            return self.crops
        examples = self.sets[0].examples("hard")
        trained = [recipe for recipe in recipes.values() if isinstance(recipe, Recipe | PublishedRecipe)]
        epochs = max(-(-each.steps // epoch_steps(each, len(examples))) for each in trained)
        return self.crops.with_file(self.task, examples, self.seed, epochs, session)

    def _cells(self, recipes: Mapping[str, AnyRecipe], crops: CropLabels | None = None) -> list[Cell]:
        # From known weights every seed gives the same network, so one is enough.
        known = self.schedule is not None and self.schedule.start == "known"
        return [
            Cell(
                each.examples("own" if crops is None and self.options.labels == "own" else "hard"),
                name,
                recipes[name],
                seed,
                f"{net}-set{number}-{seed}",
                *((each.schedule, self.start_weights.get(seed)) if name in self.followers else (None, None)),
                each.embedding,
                labels=crops,
            )
            for name, net in self.nets.items()
            for number, each in enumerate(self.sets)
            for seed in (self.seeds[:1] if known and name in self.followers else self.seeds)
        ]

    def _protocol(self) -> JSONObject:
        """Return the record of the sets, and of the networks that follow their schedule."""
        first, options, schedule = self.sets[0], self.options, self.schedule
        sources = first.provenance.get(SOURCES)  # of a file, so it may be anything
        whole = options.prefix is None and options.subset is None
        return {
            "dataset": first.dataset,
            "set": {
                "path": str(self.source),
                "sets": len(self.sets),
                "method": first.method,
                "options": first.options,
                "members": len(first),
                "budget": len(first),
                "labels": first.labels,
                "temperature": first.temperature,
                "kind": first.kind,
                "factor": first.origin.factor,
                "tiles": first.origin.tiles,
                "sha256": set_digest(self.source) if options.members == "own" else None,
                "sources": sources if whole and type(sources) is int and sources > 0 else None,
                "content": first.origin.content,
                "vocabulary": first.origin.vocabulary,
            },
            "content": self.task.fingerprint.content,
            "vocabulary": self.task.fingerprint.vocabulary,
            "notes": list(self.notes),
            "labels": "crops" if self.crops is not None and options.labels == "own" else options.labels,
            "evaluation": self.named.record(),
            "train_members": len(first),
            "train_tokens": int(first.x.lengths.sum()) if isinstance(first.x, Tokens) else None,
            "prefix": options.prefix,
            "subset": options.subset,
            "schedule": schedule
            and {
                **schedule.record(),
                "steps": len(schedule.rates),
                "nets": self.followers,
                "weights": str(options.weights) if options.weights else None,
                "seen": self.seen,
            },
        }

    def lines(self, record: JSONObject) -> list[str]:
        """Return a line for each network of what `run` returned, for a person to read."""
        options = self.options
        cut = f"first {options.prefix} of " if options.prefix else ""
        cut = f"{options.subset} random of " if options.subset else cut
        lines = []
        for net, score in record.get("nets", {}).items():
            parts = [
                f"log-loss {score[name]['mean']:.4f} ± {score[name]['std']:.4f}"
                if name == "log_loss"
                else f"{100 * score[name]['mean']:.2f} ± {100 * score[name]['std']:.2f} % {name.replace('_', ' ')}"
                for name in (*MEASURES, *SCHEDULE_MEASURES)
                if name in score
            ]
            seen = f", {self.seen} of which made the set" if self.seen else ""
            training = f", {self.schedule}{seen}" if net in self.followers else ""
            lines.append(
                f"{cut}{self.source.name} on {net}{training}, {score['accuracy']['n']} networks, protocol "
                f"{options.protocol}: {', '.join(parts)}"
            )
        return lines


def evaluation_of(
    options: Evaluation, sets: Sequence[DistilledSet], task: Task, seed: int, source: Path
) -> SetEvaluation:
    """Return the evaluation of sets after all checks; `SetEvaluation.run` then does the work.

    The arguments are the attributes of `SetEvaluation`; the sets are whole.

    Raises:
        UsageError: a set does not fit the data, cannot be cut as asked, or needs other weights; the pooled sets
            differ; or a network is unknown.
        DDCoreError: a file with weights is damaged.
    """
    notes = dict.fromkeys(_checked_data(each, task, source) for each in sets)
    require(not (options.prefix and options.subset), "--prefix and --subset exclude one another")
    require(
        options.members == "start" or options.by_crop or not options.teacher,
        "--teacher is for --members start and for labels by crop",
    )
    teacher = load_teacher(options.teacher, task) if options.teacher else None
    if options.members == "start":
        sets = [start_of(each, task, teacher) for each in sets]
    if options.prefix:
        sets = [each.prefix(options.prefix) for each in sets]
    elif options.subset:
        sets = [each.subset(options.subset, seed) for each in sets]
    crops = _crops(options, sets, task, teacher, source) if options.by_crop else None
    evaluation = SetEvaluation(options, sets, task, seed, source, tuple(filter(None, notes)), crops)
    if evaluation.named.recipe is not None:
        evaluation.named.published_recipe(task, len(sets[0]))
    _ = evaluation.nets, evaluation.start_weights  # what they raise comes before a run folder is opened
    return evaluation


def _crops(
    options: Evaluation, sets: Sequence[DistilledSet], task: Task, teacher: Teacher | None, source: Path
) -> CropLabels:
    """Return how the crops of sets are labelled.

    Raises:
        UsageError, DDCoreError: as `crop_labels`; or the sets have schedules, differ, or are several for one file.
    """
    require(
        options.protocol != OWN or shared_schedule(sets) is None,
        f"{source} holds a training of its own, without labels by crop: give --protocol ddcore or rded",
    )
    require(
        options.crops.file is None or len(sets) == 1, f"--label-file is for one set, and {source} holds {len(sets)}"
    )
    tiles = {each.origin.tiles for each in sets}
    require(len(tiles) == 1, "the pooled sets have members of different numbers of images: evaluate them one by one")
    asked = options.nets.split(",")
    return crop_labels(options.crops, sets[0], task, teacher, asked, hard=options.labels == "hard")


def _checked_data(small: DistilledSet, task: Task, source: Path) -> str:
    """Return what a person has to know of a set's data, see `Fingerprint.check`; refuse a set of other data."""
    option = "the same --dataset" if is_custom(small.dataset) else f"--dataset {small.dataset}"
    remedy = f"evaluate it with {option}"
    if task.content and small.dataset == task.name:
        remedy = "make the set again from these, or evaluate it on the data it was made from"
    note = small.fingerprint.check(task, str(source), remedy)
    if isinstance(small.x, Tokens) and len(small.x.values) and task.tokeniser is not None:
        known = int(small.x.values.max()) < task.tokeniser.get_vocab_size()
        require(known, f"{source} has words that the vocabulary of {task.name} lacks: {remedy}")
    return note


def shared_schedule(sets: Sequence[DistilledSet]) -> Schedule | None:
    """Return the schedule of the first of several pooled sets, which stands for all; None without any.

    Raises:
        UsageError: the sets were optimised for trainings of different kinds.
    """
    kinds = [each.schedule and (each.schedule.record(), len(each.schedule.rates)) for each in sets]
    require(
        all(kind == kinds[0] for kind in kinds),
        "the pooled sets were made for trainings of different kinds: evaluate them one by one, or all of them with "
        "--protocol ddcore",
    )
    return sets[0].schedule
