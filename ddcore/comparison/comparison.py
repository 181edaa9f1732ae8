"""Methods and selectors side by side: the same time for each, the same evaluation for all.

Entries use the validation split only for model selection. An entry that starts from random members therefore starts
from the random members of the first row, and its distance from that row is what it added.

A cell is one set of an entry: a run folder with the set, its scores under each kind of labels, and ``done``. The sets
of an entry that is drawn several times share a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ddcore.comparison.cells import CELL, COST, NOTES, PACE, REAL, WHERE
from ddcore.comparison.controls import controls_of
from ddcore.comparison.draws import Draw, draws_of, place_of, row_of
from ddcore.comparison.entries import Entry, one_entry
from ddcore.comparison.judged import measured, with_scores
from ddcore.comparison.terms import RANDOM, WHOLE, Terms, price
from ddcore.comparison.time_budget import paced
from ddcore.data import Examples
from ddcore.errors import DDCoreError, require
from ddcore.nets import net_of_file
from ddcore.options import changed, flat
from ddcore.runtime import (
    JSONObject,
    Peers,
    Progress,
    Run,
    Session,
    forget_peak,
    out_of_memory,
    read_object,
    write_json,
)
from ddcore.sets import DistilledSet
from ddcore.synthesis import Method, select_set, synthesise
from ddcore.training import (
    Cell,
    evaluate,
    headline,
    read_inputs,
    recipe_for,
    recorded,
    teacher_line,
)


@dataclass(frozen=True)
class Comparison:
    """A folder of cells under the same terms.

    Attributes:
        terms: what they share.
        session: its cells lie in ``cells/`` of the run folder.
        bar: makes the progress callback of a piece of work, by its title and run.
    """

    terms: Terms
    session: Session
    bar: Callable[[str, Run], Progress]

    def run(self, asked: Sequence[Entry], whole: bool) -> JSONObject:
        """Finish every cell that is not finished yet, and return the comparison as JSON values.

        Random members are always among the cells, first, and the controls of each entry come after it. All entries are
        checked, and timed, before the first of them starts. An entry that cannot run here is skipped, with a line. A
        later failure of one entry does not stop the others, unless it happens on some of several processes only: then
        all processes end. An entry of which a set failed, or is not made yet, has no cell.

        Args:
            asked: entries to compare.
            whole: also train a network on the whole training set.

        Returns:
            ``{"protocol", "cells", "whole", "skipped", "failed"}``; accuracies are fractions, times seconds, memory
            bytes. Finished cells of earlier calls are among the cells.

        Raises:
            UsageError: a cell is there with other options, or none of the entries can be had.
            DDCoreError: the folder cannot be written.
        """
        rows = list({entry.title: entry for entry in (one_entry(RANDOM, {}), *asked)}.values())
        runs = self._open_all(rows)
        if self.terms.named.recipe is not None and self.session.main:
            self.session.tell(f"for each set and kind of labels: {price(self.terms, self._test)}")
        skipped = self._skipped(rows, runs)
        require(
            not asked or not all(entry.title in skipped for entry in asked),
            f"nothing is left to compare with random members: {'; '.join(skipped.values())}",
        )
        beside = {entry.title: controls_of(entry, self.terms.problem) for entry in rows if entry.title not in skipped}
        more = {each.title: each for several in beside.values() for each in several if each.title not in runs}
        runs |= self._open_all([*more.values()])
        skipped |= self._skipped([*more.values()], runs)
        rows = list({each.title: each for entry in rows for each in (entry, *beside.get(entry.title, []))}.values())
        failed: dict[str, str] = {}
        results: dict[str, list[JSONObject]] = {}
        for entry in rows:
            if entry.title not in skipped:
                try:
                    controls = [each.title for each in beside.get(entry.title, [])]
                    results[entry.title] = [self._result(*each, controls) for each in runs[entry.title]]
                except (DDCoreError, MemoryError, RuntimeError) as error:
                    ours = isinstance(error, DDCoreError) or out_of_memory(error)
                    if not ours or not everywhere(f"failed {entry.title}"):
                        raise
                    failed[entry.title] = f"{entry.title}: {' '.join(str(error).split()) or 'out of memory'}"
                    self.session.tell(f"failed: {failed[entry.title]}")
        if whole:
            self._whole()
        earlier = self._earlier(results)
        [real] = earlier.pop(WHOLE, [None])
        results |= {title: sets for title, sets in earlier.items() if title not in {*skipped, *failed}}
        return {
            "protocol": self._protocol(),
            "cells": with_scores([self._row(sets) for sets in results.values()], self.terms.net, real),
            "whole": real,
            "skipped": skipped,
            "failed": failed,
        }

    def _open_all(self, rows: Sequence[Entry]) -> dict[str, list[tuple[Draw, Run]]]:
        """Return the sets of entries with the runs of their cells, by title."""
        runs = {entry.title: [(draw, self._open(draw)) for draw in draws_of(entry, self.terms.draws)] for entry in rows}
        self.session.wait()
        return runs

    def _skipped(self, rows: Sequence[Entry], runs: dict[str, list[tuple[Draw, Run]]]) -> dict[str, str]:
        """Return, and say, why some entries cannot be had, by title; an entry whose cells are finished can."""
        skipped = {}
        for entry in rows:
            mine = [run for _, run in runs[entry.title]]
            if not all(run.finished for run in mine) and (line := self._hindrance(entry, mine[0])):
                skipped[entry.title] = line
                self.session.tell(f"skipped: {line}")
        return skipped

    def _open(self, draw: Draw) -> Run:
        entry = draw.entry
        options = {name: value for name, value in flat(entry.maker).items() if name != "steps" or not entry.timed}
        config: JSONObject = {"way": entry.maker.name, "title": entry.title, "options": options}
        config |= {"draw": draw.number} if draw.number else {}
        return self._start(self._place(draw.place), "compare", config, read_inputs(flat(entry.maker)))

    def _start(self, folder: Path, stage: str, config: JSONObject, inputs: dict[str, str] | None = None) -> Run:
        with self.session.processes.main_process_first():
            return Run.start(folder, stage, config, inputs=inputs, main=self.session.main)

    def _place(self, name: str) -> Path:
        return self.session.folder / "cells" / name

    def _hindrance(self, entry: Entry, run: Run) -> str:
        """Return why an entry cannot be had, empty if it can; then its pace is on record in its first cell."""
        problem = self.terms.problem
        if problem.task.kind not in entry.maker.kinds:
            return f"{entry.title} does not read {problem.task.kind}"
        if problem.teacher is None and entry.maker.needs_teacher(problem.task.kind):
            return f"{entry.title} needs --teacher RUN_DIR: {teacher_line(problem.task)}"
        if entry.method is not None and entry.method.in_vectors and self.terms.net == "linear":
            return f"{entry.title} writes word vectors, which network 'linear' does not read: compare with --net bag"
        if entry.method is not None and entry.timed and not (run.folder / "pace.json").exists():
            try:
                self._measure(entry.title, self._method(entry.method), run)
            except DDCoreError as error:
                if not everywhere(f"hindered {entry.title}"):
                    raise
                return f"{entry.title}: {error}"
        return ""

    def _measure(self, title: str, method: Method, run: Run) -> None:
        pace = paced(method, self.terms.problem, self.session, 60 * self.terms.minutes, run.folder / "probe")
        took = ", ".join(f"{stage.step:.3g} s per step, {stage.check:.3g} s per validation" for stage in pace.stages)
        self.session.tell(f"{title}: {pace.steps:,} outer steps in {pace.expected / 60:.3g} minutes ({took})")
        if pace.expected > 1.01 * pace.given:
            needed = f"{title} needs {pace.expected / 60:.3g} minutes for its start, validations and one step"
            fewer = f", or fewer validations, as in {title}:validations=1" if ":validations=" not in title else ""
            self.session.tell(f"{needed}: give more --minutes{fewer}")
        if self.session.main:
            write_json(run.folder / "pace.json", pace.record())
        self.session.wait()

    def _method(self, method: Method) -> Method:
        return method.quick() if self.terms.toy else method

    def _result(self, draw: Draw, run: Run, controls: Sequence[str]) -> JSONObject:
        """Return a cell's result, as its ``result.json`` has it; computed if it is not there.

        Args:
            draw: its set.
            run: its folder.
            controls: titles of the entries that stand beside it.
        """
        path = run.folder / "result.json"
        if run.finished:
            return dict(read_object(path, CELL))
        small = self._produce(draw, run)
        scores, own = self._scores(draw.entry, run, small)
        cost = read_object(run.folder / "set" / "result.json", COST)
        pace = self._pace(draw.entry)
        run.finish(
            {
                "title": draw.entry.title,
                "draw": draw.number,
                "of": draw.of,
                "way": draw.entry.maker.name,
                "labels": small.labels,
                "members": len(small),
                "several_a_slot": len(small) > self.terms.problem.budget,
                "factor": small.origin.factor,
                "tiles": small.origin.tiles,
                "controls": list(controls),
                "options": small.options,
                "pace": read_object(pace, PACE) if pace.exists() else None,
                **{name: cost[name] for name in ("seconds", "peak_memory_bytes", "peak_gpu_memory_bytes")},
                "scores": scores,
                "own_steps": own,
                "environment": _environment(run),
            }
        )
        self.session.wait()
        return dict(read_object(path, CELL))

    def _produce(self, draw: Draw, cell: Run) -> DistilledSet:
        """Return a cell's set; produced if it is not there."""
        entry, problem, folder = draw.entry, self.terms.problem, cell.folder / "set"
        problem = replace(problem, seed=draw.seed(problem.seed))
        method = None if entry.method is None else self._timed(entry, entry.method)
        selector = entry.selector and changed(entry.selector, {"temperature": self.terms.temperature})
        maker = method or selector
        config = {"way": entry.maker.name, "options": flat(maker), "budget": problem.budget, "seed": problem.seed}
        run = self._start(folder, "make", config)
        forget_peak(self.session.device)
        title = f"{entry.title}, set {draw.number + 1} of {draw.of}" if draw.of > 1 else entry.title
        session = replace(self.session, run=run, progress=self.bar(title, run))
        if method is not None:
            small = synthesise(method, problem, session)
        elif selector is not None:
            small = select_set(selector, problem, session)
        self.session.wait()
        return small

    def _pace(self, entry: Entry) -> Path:
        """Return the file that an entry's pace is in, which all its sets share."""
        return self._place(place_of(entry.title)) / "pace.json"

    def _timed(self, entry: Entry, method: Method) -> Method:
        """Return a method with the steps that fill its time; one without steps is returned as it is."""
        if method.steps == 0:
            return method
        method, steps = self._method(method), read_object(self._pace(entry), PACE)["steps"]
        return changed(method, {"steps": min(steps, method.steps) if self.terms.toy else steps})

    def _scores(self, entry: Entry, run: Run, small: DistilledSet) -> tuple[dict[str, JSONObject], JSONObject | None]:
        """Return the scores by kind of labels and network, and what is to be known of steps of the set's own."""
        terms = self.terms
        problem = terms.problem
        scores = {}
        for labels, (examples, by_crop) in terms.labelled(small).items():
            carried = entry.title == RANDOM or labels == small.labels
            others = terms.others if carried else ()
            nets = [terms.net, *(net for net in others if small.embedding is None or net != "linear")]
            cells = [
                Cell(
                    examples, net, terms.recipes[net], seed, f"{net}-{seed}", embedding=small.embedding, labels=by_crop
                )
                for net in nets
                for seed in terms.fresh_seeds
            ]
            scores[labels] = self._evaluated(run, f"{entry.title}, {labels} labels", labels, cells)
        schedule = small.schedule
        if schedule is None or schedule.start == "given":
            return scores, None
        seeds = terms.fresh_seeds if schedule.start == "random" else terms.fresh_seeds[:1]
        net = net_of_file(schedule.net, problem.task, (terms.net, *terms.others), run.folder / "set")
        recipe = recipe_for(problem.task, net, problem.budget, terms.profile, terms.toy)
        cells = [Cell(small.examples(), net, recipe, k, f"{net}-{k}", schedule) for k in seeds]
        own = self._evaluated(run, f"{entry.title}, own steps", "own", cells)
        return scores, {
            "net": net,
            "steps": len(schedule.rates),
            "start": schedule.start,
            "labels": small.labels,
            **own.get(net, {}),
        }

    def _evaluated(self, run: Run, title: str, folder: str, cells: Sequence[Cell]) -> dict[str, JSONObject]:
        bar = self.bar(title, run)
        part = replace(self.session, run=Run(run.folder / folder, self.session.main), progress=bar)
        scores = evaluate(cells, self.terms.problem.task, self._test, part)
        return {net: measured(score, self._measure_of_scores) for net, score in scores.items()}

    @cached_property
    def _test(self) -> Examples:
        return self.terms.problem.task.load_test()

    @cached_property
    def _measure_of_scores(self) -> str:
        """The measure that the networks are compared by."""
        return headline(self._test.y, len(self.terms.problem.task.classes))

    def _row(self, sets: list[JSONObject]) -> JSONObject:
        """Return the row of an entry: its only cell, or what its sets share where entries are drawn several times."""
        judged = [self._judged(cell) for cell in sets]
        return row_of(judged, self.terms.fresh_seeds) if self.terms.draws > 1 else judged[0]

    def _judged(self, cell: JSONObject) -> JSONObject:
        """Return a cell with ``set``, its digest, and ``validation``: the start's and the best state's accuracy.

        The accuracies are fractions; ``validation`` is None without them.

        They are those of the networks that a method validates with on its way, which are trained more briefly.
        """
        notes = read_object(self._place(place_of(cell["title"], cell.get("draw", 0))) / "set" / "set.json", NOTES)
        provenance = notes["provenance"]
        start, best = (provenance.get(name) for name in ("validation_accuracy_at_start", "validation_accuracy"))
        return {
            **cell,
            "set": notes.get("sha256"),
            "validation": None if start is None else {"start": start, "best": best},
        }

    def _whole(self) -> None:
        """Train one network on the whole training set, as networks are trained on large sets, and finish its cell."""
        terms = self.terms
        run = self._start(self._place(place_of(WHOLE)), "compare", {"way": WHOLE})
        self.session.wait()
        if not run.finished:
            train = terms.problem.task.train
            recipe = recipe_for(terms.problem.task, terms.net, len(train), terms.profile, terms.toy)
            cell = Cell(train, terms.net, recipe, terms.fresh_seeds[0], f"{terms.net}-{terms.fresh_seeds[0]}")
            score = self._evaluated(run, "the whole training set", "hard", [cell])
            run.finish(
                {
                    "title": WHOLE,
                    "members": len(train),
                    "score": score.get(terms.net),
                    "recipe": {terms.net: recorded(recipe)},
                    "environment": _environment(run),
                }
            )
            self.session.wait()

    def _earlier(self, results: JSONObject) -> dict[str, list[JSONObject]]:
        """Return the finished cells that this call did not ask for, by title; none of an entry that lacks a set."""
        sets: dict[str, list[JSONObject]] = {}
        whole = self._place(place_of(WHOLE))
        for done in sorted((self.session.folder / "cells").glob("*/done")):
            result = dict(read_object(done.parent / "result.json", REAL if done.parent == whole else CELL))
            if result["title"] not in results:
                sets.setdefault(result["title"], []).append(result)
        complete = {title: cells for title, cells in sets.items() if len(cells) == cells[0].get("of", 1)}
        return {title: sorted(cells, key=lambda cell: cell.get("draw", 0)) for title, cells in complete.items()}

    def _protocol(self) -> JSONObject:
        terms = self.terms
        return {
            "dataset": terms.problem.task.name,
            "source": terms.problem.task.source,
            "classes": len(terms.problem.task.classes),
            "budget": terms.problem.budget,
            "minutes": terms.minutes,
            "net": terms.net,
            "others": list(terms.others),
            "evaluation": terms.named.record(),
            "recipes": {net: recorded(recipe) for net, recipe in terms.recipes.items()},
            "seed": terms.problem.seed,
            "seeds": list(terms.fresh_seeds),
            "teacher": None if terms.problem.teacher is None else terms.problem.teacher.net,
            "teacher_accuracy": terms.teacher_accuracy,
            "temperature": terms.temperature,
            "profile": terms.profile,
            "toy": terms.toy,
            "train_members": len(terms.problem.task.train),
            "measure": self._measure_of_scores,
            "draws": terms.draws,
        }


def _environment(run: Run) -> JSONObject:
    """Return the commit and the machine that a cell was measured with, and when it started."""
    if not run.main:
        return {}
    where = read_object(run.folder / "environment.json", WHERE)
    return {name: where[name] for name in ("commit", "device", "cpu", "started") if name in where}


def everywhere(failure: str) -> bool:
    """Return whether every process met a failure; where one meets it alone, the others wait for it in vain."""
    peers = Peers.here()
    return peers is None or peers.all_at(failure)
