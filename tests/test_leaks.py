"""No path leads from the validation and test members into what is made.

Once a task is built, the pixels or words and the labels of its validation and test members are replaced by noise.
Whatever chooses from the fit part, or learns from it, has to end with the same bits. The mean, the deviation, the
vocabulary and the split come from all training members and are built before. Only the choice of the best state may
look at the validation split, so here the last state is taken in its place. Selectors are asked with the fit part; by
default most of them choose from the whole set, which is the stated exception.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import problem, session_in, short_method, short_selector

from ddcore.data.digits import digits
from ddcore.data.examples import Examples
from ddcore.data.task import Task
from ddcore.data.text import Texts, text_task
from ddcore.data.tokens import Tokens
from ddcore.methods.registry import METHODS
from ddcore.nets.generator import save_generator
from ddcore.options import changed
from ddcore.runtime.files import load_tensors, write_json
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.synthesis.outer_loop import Loop, distilled_set
from ddcore.training.baseline import Baseline, train_baseline
from ddcore.training.experts import ExpertOptions, train_experts
from ddcore.training.gan import GANRecipe, GANTraining
from ddcore.training.teacher import Teacher

SHORT = {"steps": 3, "blocks": "1,2", "real_batch": 8, "window_steps": 2, "epochs": 2, "validations": 1}
WORDS = {"rarest": 2, "strongest": 0.5, "candidates": 20, "longest": 10, "reviews": 2, "places": 8}
BUDGETS = {"images": 20, "text": 4}
# It also stops, and keeps its start or not, by the validation split: what it learns from is compared.
JUDGED = "rl-agent"


def drawn(*size: int, low: int = 0, high: int) -> torch.Tensor:
    return torch.randint(low, high, size, generator=torch.Generator().manual_seed(99))


def reviews() -> Task:
    """Eighty texts of random words, of which some belong to a class."""
    y = torch.arange(80) % 2
    rows = drawn(80, 28, high=30) + torch.where(drawn(80, 28, high=4) == 0, 10 * y[:, None], 0)
    lines = [" ".join(f"w{word}" + "." * (k % 7 == 6) for k, word in enumerate(row)) for row in rows.tolist()]
    texts = Texts(lambda split: (lines, y), lambda split: "random")
    return text_task("remarks", ("bad", "good"), texts, "made by the tests")


def unread() -> Examples:
    raise AssertionError("the test members were read")


def noised(task: Task) -> Task:
    """The task with noise for its validation members, and without test members."""
    held, y = task.validation, task.train.y.clone()
    y[held] = (y[held] + drawn(len(held), low=1, high=len(task.classes))) % len(task.classes)
    x = task.train.x
    if isinstance(x, Tokens):
        lengths, most = drawn(len(x), low=3, high=30), int(x.values.max()) + 1
        parts = [drawn(int(lengths[i]), high=most) if i in held else x.sequence(i) for i in range(len(x))]
        x = Tokens.of([part.tolist() for part in parts])
    else:
        x = x.clone()
        x[held] = drawn(len(held), *task.shape, high=256).to(torch.uint8)
    return replace(task, train=Examples(x, y), load_test=unread)


def teacher_of(task: Task, folder: Path | None = None) -> Teacher | None:
    """A teacher whose answers about a member depend on its pixels; texts do without. The folder holds its networks."""
    if task.kind == "text":
        return None
    x = task.inputs(task.train.x).flatten(1)
    draws = torch.Generator().manual_seed(1)
    weights = torch.randn(x.shape[1], 12, generator=draws)
    return Teacher(x @ weights[:, : len(task.classes)], (x @ weights).relu(), "convnet-bn", "nowhere", folder)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "weights-0.safetensors")[0]


def trained(task: Task, folder: Path) -> dict[str, torch.Tensor]:
    """Train what methods need into ``generator``, ``experts`` and ``words``; return all weights."""
    net = "convnet-bn" if task.kind == "images" else "bag"
    options = Baseline(net=net, part="fit", steps=3)
    # Without the fingerprint: it is a digest of all training members, and differs as it should.
    train_baseline(options, task, 0, session_in(folder / "words"))
    write_json(folder / "words" / "config.json", {"options": {"net": net, "part": "fit", "dataset": task.name}})
    found = {f"teacher {name}": tensor for name, tensor in weights_of(folder / "words").items()}
    if task.kind == "images":
        train_experts(ExpertOptions(points=2, stride=2), 1, task, 0, session_in(folder / "experts"))
        found["expert"] = load_tensors(folder / "experts" / "expert-000.safetensors")[0]["theta"]
        recipe = GANRecipe(steps=3, batch_size=8, latent=4, width=4)
        training = GANTraining(task, recipe, 0, torch.device("cpu"))
        for training.step in range(3):
            training._advance()
        save_generator(training.smoothed, task, folder / "generator")
        found |= {f"generator {name}": tensor for name, tensor in training.state_dict().items() if "best" not in name}
    return {name: tensor.clone() for name, tensor in found.items() if name != "generator progress"}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A task of each kind as it is and with noise, each with a folder of what was trained on it."""
    home, built = tmp_path_factory.mktemp("leaks"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDCORE_CACHE", str(home / "cache"))
        texts = reviews()
    for kind, task in (("images", digits(home).cut(150, 10)), ("text", texts)):
        pair = (task, noised(task))
        found = [trained(each, home / kind / str(place)) for place, each in enumerate(pair)]
        built[kind] = [(each, home / kind / str(place)) for place, each in enumerate(pair)], found
    return built


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys() and first
    for name, tensor in first.items():
        assert tensor.shape == second[name].shape and tensor.dtype == second[name].dtype, name
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("kind", BUDGETS)
def test_the_noise_is_where_it_should_be(kind, tasks):
    (before, _), (after, _) = tasks[kind][0]
    x, y = (each.train.x for each in (before, after)), (each.train.y for each in (before, after))
    first, second = (each.padded() if isinstance(each, Tokens) else each for each in x)
    width = min(first.shape[1], second.shape[1]) if kind == "text" else None
    first, second = first[:, :width], second[:, :width]
    changed = (first != second).flatten(1).any(1) & (torch.ne(*y))
    assert torch.equal(changed.nonzero().flatten(), before.validation) and len(before.validation) > 5


@pytest.mark.parametrize("kind", BUDGETS)
def test_teachers_experts_and_generators_have_the_same_weights(kind, tasks):
    same(*tasks[kind][1])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in BUDGETS for name, cls in SELECTORS.items() if kind in cls.kinds and name != JUDGED],
)
def test_every_selector_chooses_the_same_members_of_the_fit_part(kind, name, tasks):
    selector = short_selector(name)
    if kind == "text" and hasattr(selector, "net"):
        selector = changed(selector, {"net": "default"})
    first, second = (
        selector.select(problem(task, BUDGETS[kind], teacher_of(task, folder / "words"), 3), Session())
        for task, folder in tasks[kind][0]
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in BUDGETS for name, cls in METHODS.items() if kind in cls.kinds]
)
def test_every_method_has_the_same_state_after_all_outer_steps(kind, name, tasks, tmp_path, monkeypatch):
    states = []

    def take_the_last(loop):
        loop.best = {k: v.detach().clone() for k, v in loop.variables.items()}
        loop.checked = loop.step
        states[-1] |= {f"{len(states[-1])} {k}": v.clone() for k, v in loop.synthesis.state_dict().items()}

    monkeypatch.setattr(Loop, "check", take_the_last)
    monkeypatch.setattr(Loop, "choose_mode", lambda loop: None)
    for place, (task, folder) in enumerate(tasks[kind][0]):
        more = {**SHORT, "embedding": str(folder / "words")} if kind == "text" else SHORT
        method = short_method(name, folder, {**more, **WORDS})
        states.append({})
        asked = problem(task, BUDGETS[kind], teacher_of(task, folder / "words"), 3)
        small = distilled_set(method, asked, session_in(tmp_path / str(place)))
        x = small.x.padded() if isinstance(small.x, Tokens) else small.x
        soft = {} if small.soft is None else {"set soft": small.soft}
        states[-1] |= {"set x": x, "set y": small.y, **soft}
    same(*states)
