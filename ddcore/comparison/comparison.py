"""Methods and selectors side by side: the same time for each, the same evaluation for all.

No way sees the validation part but to decide by it. So the random members of the first row are also those that other
ways begin with if they begin with random ones, and the distance from that row is what they added.

A cell is one way to make a set: a run folder with the set, its scores under each kind of labels, and ``done``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ddcore.comparison.entries import Way, one_way
from ddcore.comparison.label_robust import LabelFair, label_fair
from ddcore.comparison.terms import RANDOM, WHOLE, Terms
from ddcore.comparison.time_budget import paced
from ddcore.data import Examples
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import Peers, Progress, Run, forget_peak, read_json, write_json
from ddcore.selection import check_budget
from ddcore.sets import DistilledSet
from ddcore.synthesis import select, synthesise
from ddcore.training import Cell, evaluate, recipes_for, recorded, soft_examples

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Comparison:
    """A folder of cells under the same terms.

    Attributes:
        terms: what they share.
        folder: its cells lie in ``cells/``.
        accelerator: gives the device and the processes.
        say: called with lines for a person to read.
        bar: makes the progress callback of a piece of work, by its title and run.
    """

    terms: Terms
    folder: Path
    accelerator: "Accelerator"
    say: Callable[[str], None]
    bar: Callable[[str, Run], Progress]

    def run(self, asked: Sequence[Way], whole: bool) -> dict[str, Any]:
        """Finish every cell that is not finished yet, and return the comparison as JSON values.

        Random members are always among the cells, first. All ways are looked at, and timed, before the first of them
        works: those that cannot be had here are skipped, with a line. One that fails later leaves the others alone,
        unless it fails on some of several processes only, which ends them all.

        Args:
            asked: ways to compare.
            whole: also train a network on the whole training set.

        Returns:
            ``{"protocol", "cells", "whole", "skipped", "failed"}``; accuracies are fractions, times seconds, memory
            bytes. Finished cells of earlier calls are among the cells.

        Raises:
            UsageError: a cell is there with other options, none of the ways can be had, or the budget cannot.
            DDCoreError: the folder cannot be written.
        """
        check_budget(self.terms.budget, self.terms.task, len(self.terms.task.fit), balanced=True)
        reference = one_way(RANDOM, {})
        rows = list({way.title: way for way in (reference, *asked)}.values())
        runs = {way.title: self._open(way) for way in rows}
        self.accelerator.wait_for_everyone()
        skipped: dict[str, str] = {}
        for way in rows:
            if not runs[way.title].finished and (line := self._hindrance(way, runs[way.title])):
                skipped[way.title] = line
                self.say(f"skipped: {line}")
        if asked and all(way.title in skipped for way in asked):
            raise UsageError(f"nothing is left to compare with random members: {'; '.join(skipped.values())}")
        failed: dict[str, str] = {}
        results: dict[str, dict[str, Any]] = {}
        for way in rows:
            if way.title not in skipped:
                try:
                    results[way.title] = self._result(way, runs[way.title])
                except (DDCoreError, MemoryError, torch.OutOfMemoryError) as error:
                    if not everywhere(f"failed {way.title}"):
                        raise
                    failed[way.title] = f"{way.title}: {' '.join(str(error).split()) or 'out of memory'}"
                    self.say(f"failed: {failed[way.title]}")
        if whole:
            self._whole()
        earlier = self._earlier(results)
        measured = earlier.pop(WHOLE, None)
        results |= {title: result for title, result in earlier.items() if title not in {*skipped, *failed}}
        return {
            "protocol": self._protocol(),
            "cells": with_scores([self._judged(cell) for cell in results.values()], self.terms.net, measured),
            "whole": measured,
            "skipped": skipped,
            "failed": failed,
        }

    def _open(self, way: Way) -> Run:
        given = {name: value for name, value in asdict(way.maker).items() if name != "steps" or not way.timed}
        config = {"way": way.name, "title": way.title, "labels": way.labels, "options": given}
        with self.accelerator.main_process_first():
            return Run.start(self._place(way.title), "compare", config, main=self.accelerator.is_main_process)

    def _place(self, title: str) -> Path:
        return self.folder / "cells" / re.sub(r"[^\w=.,+-]", "-", title.replace(":", "+"))

    def _hindrance(self, way: Way, run: Run) -> str:
        """Return why a way cannot be had here, empty if it can; then its pace is on record in ``pace.json``."""
        terms = self.terms
        if terms.task.kind not in way.maker.kinds:
            return f"{way.title} does not read {terms.task.kind}"
        if terms.teacher is None and (way.maker.needs_teacher or way.labels == "soft"):
            return f"{way.title} needs --teacher RUN_DIR"
        if way.timed and not (run.folder / "pace.json").exists():
            try:
                self._measure(way, run)
            except DDCoreError as error:
                if not everywhere(f"hindered {way.title}"):
                    raise
                return f"{way.title}: {error}"
        return ""

    def _measure(self, way: Way, run: Run) -> None:
        terms, maker = self.terms, self._maker(way)
        pace = paced(
            maker,
            lambda steps: replace(maker, steps=steps),
            terms.task,
            terms.budget,
            terms.teacher,
            terms.seed,
            60 * terms.minutes,
            run.folder / "probe",
            self.accelerator,
        )
        took = ", ".join(f"{stage.step:.3g} s a step, {stage.check:.3g} s a validation" for stage in pace.stages)
        self.say(f"{way.title}: {pace.steps:,} outer steps in {pace.expected / 60:.3g} minutes ({took})")
        if pace.expected > 1.01 * pace.given:
            self.say(f"{way.title} needs {pace.expected / 60:.3g} minutes for its start, validations and one step")
        if self.accelerator.is_main_process:
            write_json(run.folder / "pace.json", pace.record())
        self.accelerator.wait_for_everyone()

    def _maker(self, way: Way) -> Any:
        return way.maker.quick() if self.terms.toy and way.timed else way.maker

    def _result(self, way: Way, run: Run) -> dict[str, Any]:
        """Return what a cell found, as its ``result.json`` has it; computed if it is not there."""
        path = run.folder / "result.json"
        if run.finished:
            return dict(read_json(path))
        made = self._made(way, run)
        scores, own = self._scores(way, run, made)
        cost = read_json(run.folder / "set" / "result.json")
        pace = run.folder / "pace.json"
        run.finish(
            {
                "title": way.title,
                "way": way.name,
                "labels": made.labels,
                "members": len(made),
                "several_a_slot": len(made) > self.terms.budget,
                "options": made.options,
                "pace": read_json(pace) if pace.exists() else None,
                **{name: cost[name] for name in ("seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")},
                "scores": scores,
                "own_steps": own,
            }
        )
        self.accelerator.wait_for_everyone()
        return dict(read_json(path))

    def _made(self, way: Way, cell: Run) -> DistilledSet:
        """Return a cell's set; made if it is not there."""
        terms, folder = self.terms, cell.folder / "set"
        maker = self._maker(way)
        if way.timed:
            steps = int(read_json(cell.folder / "pace.json")["steps"])
            maker = replace(maker, steps=min(steps, maker.steps) if terms.toy else steps)
        config = {"way": way.name, "options": asdict(maker), "budget": terms.budget, "seed": terms.seed}
        with self.accelerator.main_process_first():
            run = Run.start(folder, "make", config, main=self.accelerator.is_main_process)
        if run.finished:
            return DistilledSet.load(folder)
        forget_peak(self.accelerator.device)
        bar = self.bar(way.title, run)
        if way.selects:
            made = select(
                maker,
                way.name,
                terms.task,
                terms.budget,
                way.labels,
                terms.temperature,
                terms.teacher,
                run,
                terms.seed,
                self.accelerator,
                terms.profile,
                terms.toy,
                bar,
                pool=terms.task.fit,
            )
        else:
            made = synthesise(
                maker,
                way.name,
                terms.task,
                terms.budget,
                terms.teacher,
                run,
                terms.seed,
                self.accelerator,
                terms.profile,
                terms.toy,
                bar,
                self.say,
            )
        self.accelerator.wait_for_everyone()
        return made

    def _scores(
        self, way: Way, run: Run, made: DistilledSet
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
        """Return the scores by kind of labels and network, and what is to be known of steps of the set's own."""
        terms = self.terms
        soft = soft_examples(
            made, terms.task, terms.teacher, terms.teacher_folder, terms.temperature, self.accelerator.device
        )
        kinds = {"hard": made.examples("hard"), **({} if soft is None else {"soft": soft})}
        scores = {}
        for labels, examples in kinds.items():
            carried = way.title == RANDOM or labels == made.labels
            nets = [terms.net, *(terms.others if carried else ())]
            scores[labels] = self._trained(run, f"{way.title}, {labels} labels", labels, examples, nets)
        schedule = made.schedule
        if schedule is None or schedule.start == "given":
            return scores, None
        seeds = terms.fresh_seeds if schedule.start == "random" else terms.fresh_seeds[:1]
        recipe = recipes_for(terms.task, terms.budget, terms.profile, terms.toy)[schedule.net]
        cells = [Cell(made.examples(), schedule.net, recipe, k, f"{schedule.net}-{k}", schedule) for k in seeds]
        found = self._evaluated(run, f"{way.title}, own steps", "own", cells)
        return scores, {
            "net": schedule.net,
            "steps": len(schedule.rates),
            "start": schedule.start,
            "labels": made.labels,
            **found.get(schedule.net, {}),
        }

    def _trained(
        self, run: Run, title: str, folder: str, examples: Examples, nets: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        cells = [
            Cell(examples, net, self.terms.recipes[net], seed, f"{net}-{seed}")
            for net in nets
            for seed in self.terms.fresh_seeds
        ]
        return self._evaluated(run, title, folder, cells)

    def _evaluated(self, run: Run, title: str, folder: str, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
        bar = self.bar(title, run)
        scores = evaluate(cells, self.terms.task, self._test, run.folder / folder, self.accelerator, bar)
        return {net: {**score["accuracy"], "seconds": score["seconds"]} for net, score in scores.items()}

    @cached_property
    def _test(self) -> Examples:
        return self.terms.task.load_test()

    def _judged(self, cell: dict[str, Any]) -> dict[str, Any]:
        """Return a cell with ``validation``: the start's and the best state's accuracy, fractions; None without them.

        They are those of the networks that a method validates with on its way, which are trained more briefly.
        """
        told = read_json(self._place(cell["title"]) / "set" / "set.json")["provenance"]
        start, best = (told.get(name) for name in ("validation_accuracy_at_start", "validation_accuracy"))
        return {**cell, "validation": None if start is None else {"start": start, "best": best}}

    def _whole(self) -> None:
        """Train one network on the whole training set, as networks are trained on large sets, and finish its cell."""
        terms = self.terms
        with self.accelerator.main_process_first():
            run = Run.start(self._place(WHOLE), "compare", {"way": WHOLE}, main=self.accelerator.is_main_process)
        self.accelerator.wait_for_everyone()
        if not run.finished:
            train = terms.task.train
            recipe = recipes_for(terms.task, len(train), terms.profile, terms.toy)[terms.net]
            cell = Cell(train, terms.net, recipe, terms.fresh_seeds[0], f"{terms.net}-{terms.fresh_seeds[0]}")
            found = self._evaluated(run, "the whole training set", "hard", [cell])
            run.finish(
                {
                    "title": WHOLE,
                    "members": len(train),
                    "score": found.get(terms.net),
                    "recipe": {terms.net: recorded(recipe)},
                }
            )
            self.accelerator.wait_for_everyone()

    def _earlier(self, results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the finished cells that this call did not ask for, by title."""
        found = {}
        for done in sorted((self.folder / "cells").glob("*/done")):
            result = dict(read_json(done.parent / "result.json"))
            if result["title"] not in results:
                found[result["title"]] = result
        return found

    def _protocol(self) -> dict[str, Any]:
        terms = self.terms
        return {
            "dataset": terms.task.name,
            "source": terms.task.source,
            "classes": len(terms.task.classes),
            "budget": terms.budget,
            "minutes": terms.minutes,
            "net": terms.net,
            "others": list(terms.others),
            "recipes": {net: recorded(recipe) for net, recipe in terms.recipes.items()},
            "seed": terms.seed,
            "seeds": list(terms.fresh_seeds),
            "teacher": None if terms.teacher is None else terms.teacher.net,
            "temperature": terms.temperature,
            "profile": terms.profile,
            "toy": terms.toy,
            "train_members": len(terms.task.train),
        }


def everywhere(failure: str) -> bool:
    """Return whether every process met a failure; where one meets it alone, the others wait for it in vain."""
    peers = Peers.here()
    return peers is None or peers.all_at(failure)


def with_scores(cells: list[dict[str, Any]], net: str, whole: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return cells with ``fair`` added: by kind of labels the `LabelFair` scores, None where random has no score.

    Args:
        cells: random members among them.
        net: the network that they are compared on.
        whole: the result of the whole training set, or None.
    """
    random: dict[str, Any] = next((cell["scores"] for cell in cells if cell["title"] == RANDOM), {})
    real = None if whole is None else whole["score"]["mean"]

    def fair(cell: dict[str, Any], labels: str) -> LabelFair | None:
        if labels not in random:
            return None
        hard = cell["scores"]["hard"][net]["mean"]
        return label_fair(cell["scores"][labels][net]["mean"], random[labels][net]["mean"], hard, real)

    def told(cell: dict[str, Any]) -> dict[str, Any]:
        found = {labels: fair(cell, labels) for labels in cell["scores"]}
        return {labels: asdict(each) for labels, each in found.items() if each is not None}

    return [{**cell, "fair": told(cell)} for cell in cells]
