"""Every method at toy length on a virtual GPU, with all that it needs, and what one outer step of it costs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddcore.data import Task, load_task
from ddcore.methods import METHODS
from ddcore.nets import build_generator, save_generator
from ddcore.options import changed, flat, options_of
from ddcore.problem import Problem
from ddcore.runtime import Alone, Run, Session
from ddcore.synthesis import Loop, begun
from ddcore.training import Baseline, ExpertOptions, Teacher, load_teacher, train_baseline, train_experts
from tests.virtual_gpu.device import GPU, VirtualGPU

SHORT = {"steps": 4, "real_batch": 20, "validations": 1, "validation_networks": 1, "validation_steps": 2}
WINDOW = {"batches": 2, "epochs": 4, "window_steps": 3, "pool": 2}
MATCHED = {"real_batch": 8, "shards": 2, "inner": 2, "outer": 2}
# Options of each case, besides the short ones; a case is named after its method.
IMAGES: dict[str, dict[str, Any]] = {
    "rat-bptt": WINDOW,
    "rat-bptt, sgd, learned labels": {**WINDOW, "inner": "sgd", "labels": "learned"},
    "rat-bptt, graph": {**WINDOW, "unroll": "graph"},
    "boost-dd": {**WINDOW, "blocks": "1,2", "steps": 2},
    "dd": {"batches": 2, "epochs": 2},
    "dd, known, learned labels": {"batches": 2, "epochs": 2, "start_weights": "known", "labels": "learned"},
    "dd, adapt": {"batches": 2, "epochs": 2, "objective": "adapt", "weights": "nets", "net": "mlp"},
    "dd, poison": {"batches": 2, "epochs": 2, "objective": "poison", "weights": "nets", "net": "mlp"},
    "dc": MATCHED,
    "dsa": MATCHED,
    "dm": {"real_batch": 8},
    "dm, factor 2": {"real_batch": 8, "factor": 2},
    "dm, second moments, soft labels": {"real_batch": 8, "moments": 2, "labels": "soft"},
    "mtt": {"max_start": 1, "ahead": 1, "inner_steps": 3, "experts": "experts"},
    "mtt, first order": {"max_start": 1, "ahead": 1, "inner_steps": 3, "experts": "experts", "unroll": "first-order"},
    "ncfm": {"real_batch": 8, "frequencies": 32, "experts": "experts"},
    "krr": {"networks": 2},
    "krr, ntk": {"networks": 1, "kernel": "ntk"},
    "frepo": {"nets": "convnet,mlp", "pool": 2, "life": 12},
    "cim": {},
    "cim, members, all changes": {"init": "random", "augment": "colour,crop,cutout,flip,scale,rotate"},
    "sre2l": {},
    "sre2l, noise": {"init": "noise", "shards": 1},
    "gan": {"generator": "generator", "real_batch": 8},
}
TEXTS: dict[str, dict[str, Any]] = {
    "dm, texts": {"real_batch": 8, "embedding": "words", "places": 8},
    "dc, texts": {**MATCHED, "embedding": "words", "places": 8},
}


@dataclass(frozen=True)
class Ground:
    """What the methods start from.

    Attributes:
        task: a data set.
        folder: with a teacher, networks, experts and a generator.
        teacher: trained on the virtual GPU.
    """

    task: Task
    folder: Path
    teacher: Teacher | None

    def session(self, name: str, options: dict[str, Any] | None = None) -> Session:
        """Return a session on the virtual GPU with a run folder of this name."""
        return Session(Run.start(self.folder / name, name, options or {}), Alone(GPU), "gpu", quick=True)

    def problem(self, budget: int) -> Problem:
        """Return what a method is asked for."""
        return Problem(self.task, budget, self.task.fit, self.teacher, 0, GPU)

    def loop(self, name: str, options: dict[str, Any]) -> Loop:
        """Return the outer loop of a case."""
        maker = METHODS[name.partition(",")[0]]()
        known = {each.name for each in options_of(type(maker))}
        options = {**{key: value for key, value in SHORT.items() if key in known}, **options}
        for key in ("weights", "experts", "generator", "embedding"):
            if options.get(key):
                options[key] = str(self.folder / options[key])
        session = self.session(name.replace(", ", "-").replace(" ", "-"))
        budget = 2 * len(self.task.classes)
        return Loop(begun(changed(maker, options), self.problem(budget), session), session)


def baseline(task: Task, ground: Ground, name: str, options: Baseline) -> None:
    """Train networks into a folder of the ground."""
    asked = {**flat(options), "dataset": task.name, **({"content": task.content} if task.content else {})}
    train_baseline(options, task, 0, ground.session(name, asked))


def image_ground(folder: Path) -> Ground:
    """Prepare digits: a teacher, two networks, experts and a generator, all on the virtual GPU."""
    task = load_task("digits", folder).cut(400, 100)
    ground = Ground(task, folder, None)
    baseline(task, ground, "teacher", Baseline(part="fit", steps=3))
    baseline(task, ground, "nets", Baseline("mlp", seeds=2, steps=3))
    train_experts(ExpertOptions(points=2, stride=2, batch_size=32), 1, task, 0, ground.session("experts"))
    save_generator(build_generator(task, 8, 8, 0), task, folder / "generator")
    return Ground(task, folder, load_teacher(folder / "teacher", task))


def text_ground(folder: Path, table: Path) -> Ground:
    """Prepare a table of texts: word vectors, which are a teacher, too."""
    task = load_task(f"text:{table}", folder)
    ground = Ground(task, folder, None)
    baseline(task, ground, "words", Baseline("bag", part="fit", steps=3))
    return Ground(task, folder, load_teacher(folder / "words", task))


def counted_step(gpu: VirtualGPU, loop: Loop) -> dict[str, int]:
    """Return what the second outer step costs; the first fills caches and records graphs."""
    loop.choose_mode()
    loop.advance()
    gpu.forget_freed()
    gpu.ledger.clear()
    loop.advance()
    return gpu.ledger.totals()
