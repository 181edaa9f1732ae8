"""Change one line of ddcore at a time, and see whether the tests notice.

    python tests/mutations.py --chosen              # the changes listed below
    python tests/mutations.py --seed 1 --drawn 20   # changes of lines drawn by a seed from all functions of ddcore

Each change is applied alone, in a copy of the repository, and only the tests that should see it are run, until the
first that fails. A change that no test sees is printed as a survivor. `HARMLESS` lists drawn ones that change nothing
that matters. The program ends with 1 if a chosen change survives, or a drawn one that is not listed. Not part of the
test suite. A chosen change takes about ten seconds; a drawn one takes as long as the tests of its module.
"""

import argparse
import ast
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch  # noqa: F401  (once, for all forks)

REPO = Path(__file__).resolve().parents[1]
# A test that still runs after so many seconds hangs because of the change: it sees it.
LIMIT = 300
# Modules whose tests run over everything registered in their folder.
CONTRACTS = {"nets": "test_*_nets.py", "selection": "test_selectors.py"}
METHODS = "tests/test_leaks.py::test_every_method_has_the_same_state_after_all_outer_steps"
SELECTORS = "tests/test_leaks.py::test_every_selector_chooses_the_same_members_of_the_fit_part"
WEIGHTS = "tests/test_leaks.py::test_teachers_experts_and_generators_have_the_same_weights"
LOOP = "tests/synthesis/test_outer_loop.py"
AGENT = "tests/selection/test_rl_agent.py"
META = "tests/unroll/test_meta_gradient.py"


@dataclass(frozen=True)
class Change:
    """One changed place.

    Attributes:
        file: path in the repository.
        old, new: text; for a chosen change `old` occurs once in the file.
        tests: what should see it, as arguments of pytest.
        place: of `old` in bytes, for a drawn change; -1 for a chosen one.
        function: that the place is in, for a drawn change.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    place: int = -1
    function: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.function}" if self.function else self.file
        return f"{place}  {' '.join(self.old.split())}  ->  {' '.join(self.new.split())}"

    def apply(self, root: Path) -> bytes:
        """Change the file in a copy of the repository and return its former content."""
        path = root / self.file
        before = path.read_bytes()
        old, new = self.old.encode(), self.new.encode()
        if self.place < 0 and before.count(old) != 1:
            raise SystemExit(f"{self.file} holds '{self.old}' {before.count(old)} times: mend the list of changes")
        place = before.index(old) if self.place < 0 else self.place
        path.write_bytes(before[:place] + new + before[place + len(old) :])
        return before


def change(file: str, old: str, new: str, *tests: str) -> Change:
    """Return a chosen change of a file below ``ddcore``."""
    return Change(f"ddcore/{file}", old, new, tests)


CHOSEN = [
    # data
    change(
        "data/task.py",
        "return others(self.validation, len(self.train))",
        "return torch.arange(len(self.train))",
        "tests/data/test_task.py",
    ),
    change(
        "data/task.py",
        "rank[members[int(most * len(members)) :]] += len(y)",
        "rank[members[int(most * len(members)) :]] += 0",
        "tests/data/test_task.py",
    ),
    change(
        "data/task.py",
        "return (x.float() / 255 - mean) / std",
        "return (x.float() / 255 - mean) * std",
        "tests/data/test_task.py",
    ),
    change(
        "data/digits.py",
        "whole[others(held, len(whole))]",
        "whole[torch.arange(len(whole) - len(held))]",
        "tests/data/test_digits.py",
    ),
    change(
        "data/custom.py",
        "whole[others(held, len(whole.y))]",
        "whole[torch.arange(len(whole.y))]",
        "tests/data/test_custom.py",
        "tests/data/test_table.py",
    ),
    change("data/images.py", "- mean**2).sqrt()", "- mean**2)", "tests/data/test_images.py", "tests/data/test_task.py"),
    change(
        "data/text.py",
        "validation=validation_part(train.y)",
        "validation=validation_part(train.y[:0])",
        "tests/data/test_text.py",
    ),
    change("data/augment.py", "width - 1 - column", "width - column", "tests/data/test_augment.py"),
    change("data/tokens.py", "self.lengths.clamp(max=limit)", "self.lengths", "tests/data/test_tokens.py"),
    change("data/siamese.py", "(2 * first - 1) * DEGREES", "(2 * first) * DEGREES", "tests/data/test_siamese.py"),
    # selection
    change(
        "selection/margin.py",
        "task.train[pool[fold != k]], recipe",
        "task.train[pool], recipe",
        "tests/selection/test_margin.py",
    ),
    change(
        "selection/margin.py",
        "task.train[pool[fold == k]].x",
        "task.train[pool[fold != k]].x[: int((fold == k).sum())]",
        "tests/selection/test_margin.py",
    ),
    change(
        "selection/margin.py", "ordered[skipped : skipped + count]", "ordered[:count]", "tests/selection/test_margin.py"
    ),
    change(
        "selection/k_means.py",
        "torch.where(size > 0, total / size.clamp(min=1), centres)",
        "total / size.clamp(min=1)",
        "tests/selection/test_k_means.py",
    ),
    change(
        "selection/rl_agent.py",
        "trial.reward.accuracies(chosen, trial.practice)",
        "trial.reward.accuracies(chosen, trial.judging)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/rl_agent.py",
        "accuracies(torch.cat(likeliest)[None], trial.judging)",
        "accuracies(torch.cat(likeliest)[None], trial.practice)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/rl_agent.py",
        "torch.stack([start, result]), judging)",
        "torch.stack([start, result]), practice)",
        f"{AGENT}::test_what_judges_the_agent_never_rewards_it",
    ),
    change(
        "selection/tf_idf.py",
        ".fit([texts[i] for i in rows])",
        ".fit(texts)",
        "tests/selection/test_tf_idf.py",
        f"{SELECTORS}[text-k-means]",
        f"{SELECTORS}[text-herding]",
    ),
    change(
        "selection/tf_idf.py",
        ".fit(weighted[rows])",
        ".fit(weighted)",
        "tests/selection/test_tf_idf.py",
        f"{SELECTORS}[text-k-means]",
    ),
    change("selection/herding.py", "total - (k + 1) * mean", "total - k * mean", "tests/selection/test_herding.py"),
    change(
        "selection/forgetting.py",
        "(right[:-1] & ~right[1:])",
        "(~right[:-1] & right[1:])",
        "tests/selection/test_forgetting.py",
    ),
    change("selection/forgetting.py", "            self.net.train()\n", "", "tests/selection/test_forgetting.py"),
    change(
        "selection/mutual_information.py",
        "information - redundancy * shared",
        "information + redundancy * shared",
        "tests/selection/test_mutual_information.py",
    ),
    change(
        "selection/proxy.py",
        "members = task.train[problem.pool]",
        "members = task.train[torch.arange(len(problem.pool))]",
        f"{SELECTORS}[images-el2n]",
    ),
    change(
        "selection/selected.py",
        "teacher.logits[selection.members], members.y",
        "teacher.logits[: len(members)], members.y",
        "tests/selection/test_selected.py",
    ),
    # methods
    change(
        "methods/frepo.py",
        "self.fit = task.fit",
        "self.fit = torch.arange(len(task.train))",
        f"{METHODS}[images-frepo]",
    ),
    change(
        "methods/krr.py",
        "self.real, self.fit = task.train.to(device), task.fit",
        "self.real, self.fit = task.train.to(device), torch.arange(len(task.train))",
        f"{METHODS}[images-krr]",
    ),
    change(
        "methods/matching.py",
        "y = task.train.y[task.fit]\n        self.by_class = [task.fit[y == k]",
        "y = task.train.y\n        self.by_class = [torch.arange(len(y))[y == k]",
        "tests/methods/test_matching.py",
    ),
    change(
        "methods/matching.py",
        'generator(seed, "siamese", k, *key)',
        'generator(seed, "siamese", k, len(each), *key)',
        "tests/methods/test_matching.py",
    ),
    change(
        "methods/unrolled.py",
        "self.fit = task.fit.to(device)",
        "self.fit = torch.arange(len(task.train)).to(device)",
        f"{METHODS}[images-dd]",
    ),
    change("methods/cover.py", "task.train[task.fit].to", "task.train.to", f"{METHODS}[text-cover]"),
    change("methods/unrolled.py", ".clamp(max=1.0)", "", "tests/methods/test_unrolled.py"),
    change(
        "methods/gradient_matching.py",
        "(step + 1) % training.outer",
        "step % training.outer",
        "tests/methods/test_gradient_matching.py",
    ),
    change(
        "methods/gradient_matching.py",
        "torch.autograd.grad(shard.of * total, x)",
        "torch.autograd.grad(total, x)",
        "tests/methods/test_gradient_matching.py",
    ),
    change("methods/variables.py", "d_rates * self.log_rates.exp()", "d_rates", "tests/methods/test_variables.py"),
    change(
        "methods/variables.py",
        "probabilities * (meta.y - inner)",
        "probabilities * meta.y",
        "tests/methods/test_variables.py",
    ),
    change(
        "methods/mtt.py",
        "begin + method.trajectory.ahead",
        "begin + 1 + method.trajectory.ahead * 0",
        "tests/methods/test_mtt.py",
    ),
    change(
        "methods/windows.py",
        "if end.taken + self.method.window.steps <= self.length:",
        "if end.taken <= self.length:",
        "tests/methods/test_windows.py",
    ),
    change("methods/gan.py", ".mean(0).to(device)", "[0].to(device)", "tests/methods/test_gan.py"),
    # engine
    change("unroll/meta_gradient.py", "d_x.index_add_(0, members, d_batch)", "d_x[members] = d_batch", META),
    change(
        "unroll/meta_gradient.py", "unroll.rate(t), begin.taken + place, rule)", "unroll.rate(t), place, rule)", META
    ),
    change("unroll/meta_gradient.py", "bent = bent + rule.weight_decay * decayed", "bent = bent + 0 * decayed", META),
    change("unroll/meta_gradient.py", "lam += slope", "lam = slope", META),
    change(
        "unroll/meta_gradient.py",
        "d_rates[steps.start : steps.stop] = -moved",
        "d_rates[steps.start : steps.stop] = moved",
        META,
    ),
    change("unroll/inner_step.py", "slope += part_slope", "slope = part_slope", "tests/unroll/test_inner_step.py"),
    change(
        "unroll/inner_step.py",
        "weighted = WeightedLoss(self.loss, 1 / n)",
        "weighted = WeightedLoss(self.loss, 1.0)",
        "tests/unroll/test_inner_step.py",
    ),
    # training
    change("training/loop.py", "net.to(device).train()", "net.to(device).eval()", "tests/training/test_loop.py"),
    change("training/loop.py", "net.to(device).eval()", "net.to(device)", "tests/training/test_loop.py"),
    change(
        "training/loop.py",
        "held = task.train[task.validation]",
        "held = task.train[task.fit]",
        "tests/training/test_loop.py",
    ),
    change("training/loop.py", "* temperature**2", "* temperature", "tests/training/test_loop.py"),
    change(
        "training/loop.py", 'load_moments(optimiser, under("optimiser", state))', "pass", "tests/training/test_loop.py"
    ),
    change(
        "training/baseline.py",
        'torch.stack([each["logits"] for each in outputs]).mean(0)',
        'outputs[0]["logits"]',
        "tests/training/test_baseline.py",
    ),
    change("training/baseline.py", "task.train[task.fit] if options.teaches else task.train", "task.train", WEIGHTS),
    change(
        "training/baseline.py",
        "task.train[task.validation] if options.teaches",
        "task.train[task.fit] if options.teaches",
        "tests/training/test_baseline.py",
    ),
    change("training/experts.py", "members = task.train[task.fit].to", "members = task.train.to", WEIGHTS),
    change(
        "training/gan.py",
        "self.real, self.fit = task.train.to(device), task.fit",
        "self.real, self.fit = task.train.to(device), torch.arange(len(task.train))",
        WEIGHTS,
    ),
    change(
        "training/evaluation.py",
        "statistics.stdev(values)",
        "statistics.pstdev(values)",
        "tests/training/test_evaluation.py",
    ),
    change(
        "training/scores.py",
        "lost = [known[seed] - value for",
        "lost = [value - known[seed] for",
        "tests/training/test_scores.py",
    ),
    change(
        "training/scores.py",
        '> score["std"] + other["std"]',
        '> score["std"] - other["std"]',
        "tests/training/test_scores.py",
    ),
    # exchange and the outer loop
    change(
        "runtime/gather.py",
        "        return sorted(shares, key=lambda share: share.number)",
        "        return shares",
        "tests/runtime/test_gather.py",
    ),
    change(
        "runtime/gather.py",
        "range(self.accelerator.process_index, count",
        "range(0, count",
        "tests/runtime/test_gather.py",
    ),
    change(
        "runtime/gather.py",
        "whole[form.rows] = content",
        "whole[: len(content)] = content",
        "tests/runtime/test_gather.py",
    ),
    change(
        "synthesis/outer_loop.py",
        "gradient.to(total[k].device) / len(parts)",
        "gradient.to(total[k].device)",
        f"{LOOP}::test_a_step_moves_by_the_mean_of_its_shards",
    ),
    change(
        "synthesis/outer_loop.py",
        "(square / (1 - 0.99**count)).sqrt()",
        "square.sqrt()",
        f"{LOOP}::test_outer_steps_by_hand",
    ),
    change(
        "synthesis/outer_loop.py",
        "self.first[k] / (1 - 0.9**count)",
        "self.first[k]",
        f"{LOOP}::test_outer_steps_by_hand",
    ),
    change(
        "synthesis/outer_loop.py", "if score > self.best_score:", "if True:", f"{LOOP}::test_never_worse_than_the_start"
    ),
    # checkpoints
    change("runtime/files.py", "            os.fsync(file.fileno())\n", "", "tests/runtime/test_files.py"),
    change(
        "runtime/files.py",
        'temporary = path.with_name(f".{path.name}.{os.getpid()}")',
        "temporary = path",
        "tests/runtime/test_files.py",
    ),
    change(
        "runtime/checkpoints.py",
        'notes.get("run") == self.label',
        'notes.get("run") is not None',
        "tests/runtime/test_checkpoints.py",
    ),
    change(
        "runtime/checkpoints.py",
        "(self.path, self.older)):",
        "(self.older, self.path)):",
        "tests/runtime/test_checkpoints.py",
    ),
    change(
        "runtime/checkpoints.py",
        '{"run": self.label}, older=self.older',
        '{"run": self.label}',
        "tests/runtime/test_checkpoints.py",
    ),
    change(
        "synthesis/outer_loop.py",
        '"second": self.second, "best"',
        '"second": self.first, "best"',
        f"{LOOP}::test_resumed_equals_straight[dm]",
    ),
    # report
    change("report/names.py", 'if values["n"] > 1 else', 'if values["n"] > 2 else', "tests/report/test_names.py"),
    change(
        "report/tables.py",
        'row.get("above_random") is False',
        'row.get("above_random") is True',
        "tests/report/test_tables.py",
    ),
    change(
        "report/tables.py",
        'if score["tested_on"] == "test" else f" on',
        'if score["tested_on"] != "test" else f" on',
        "tests/report/test_tables.py",
    ),
    change("report/comparison.py", "cell['seconds'] / 60", "cell['seconds'] / 6", "tests/report/test_comparison.py"),
    change(
        "report/comparison.py",
        '_points(cell, kind, "ior")',
        '_points(cell, kind, "lrs")',
        "tests/report/test_comparison.py",
    ),
    change(
        "training/scores.py", "{-100 * loss['mean']:+.2f}", "{100 * loss['mean']:+.2f}", "tests/training/test_scores.py"
    ),
    change(
        "training/scores.py",
        'score["mean"] >= goal["value"]',
        'score["mean"] <= goal["value"]',
        "tests/training/test_scores.py",
    ),
]

# Drawn changes that survive: what they change does not matter, and why.
HARMLESS = {
    "ddcore/selection/k_center.py:spread_out  torch.empty(count, dtype=torch.int64, device=x.device)  ->  "
    "torch.empty(count, dtype=torch.int64)": "the same members; on a GPU their numbers would lie in host memory",
}

FLIPPED: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.GtE(),
    ast.LtE: ast.Gt(),
    ast.Gt: ast.LtE(),
    ast.GtE: ast.Lt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
}
SWAPPED: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.FloorDiv(),
}


def changed(node: ast.AST) -> ast.AST | None:
    """Return a node in which one thing is wrong; None for a node that is left alone."""
    match node:
        case ast.Compare(left, [operator], [right]) if type(operator) in FLIPPED:
            return ast.Compare(left, [FLIPPED[type(operator)]], [right])
        case ast.BinOp(left, operator, right) if type(operator) in SWAPPED:
            return ast.BinOp(left, SWAPPED[type(operator)], right)
        case ast.BoolOp(operator, values):
            return ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            return operand
        case ast.Constant(bool(value)):
            return ast.Constant(not value)
        case ast.Constant(int(value)):
            return ast.Constant(value + 1)
        case ast.Constant(float(value)):
            return ast.Constant(2 * value or 1.0)
        # The "strict" of zip, like the comparison of lengths that it is, refuses nothing in a program that is right.
        case ast.Call(function, arguments, [*keywords, last]) if last.arg != "strict":
            return ast.Call(function, arguments, keywords)
        case ast.Call(function, [first, *others, _], []):
            return ast.Call(function, [first, *others], [])
    return None


def places(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body; texts, annotations and functions inside are left out."""
    for child in ast.iter_child_nodes(node):
        left_out = (ast.JoinedStr, ast.arguments, ast.FunctionDef, ast.ClassDef)
        if isinstance(child, ast.keyword) and child.arg == "strict":
            continue
        if isinstance(child, left_out) or child is getattr(node, "annotation", None):
            continue
        if child is getattr(node, "returns", None) or child in getattr(node, "decorator_list", ()):
            continue
        yield child
        yield from places(child)


def tests_of(path: Path) -> tuple[str, ...]:
    """Return the mirrored test file of a module, or the one that runs over everything in its folder."""
    folder = REPO / "tests" / path.relative_to(REPO / "ddcore").parent
    own = folder / f"test_{path.stem}.py"
    contract = CONTRACTS.get(folder.name, f"test_{folder.name}.py")
    mirrored = [own] if own.exists() else sorted(folder.glob(contract))
    return tuple(each.relative_to(REPO).as_posix() for each in mirrored)


def sites() -> list[Change]:
    """Return every change that can be drawn, in the order of files and lines."""
    found = []
    for path in sorted((REPO / "ddcore").rglob("*.py")):
        tests = tests_of(path)
        if path.name == "__init__.py" or not tests:
            continue
        content = path.read_bytes()
        begins = [0]
        for line in content.splitlines(keepends=True):
            begins.append(begins[-1] + len(line))
        for function in ast.walk(ast.parse(content)):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in places(function):
                if (other := changed(node)) is None:
                    continue
                begin = begins[node.lineno - 1] + node.col_offset
                end = begins[node.end_lineno - 1] + node.end_col_offset
                new = ast.unparse(ast.fix_missing_locations(ast.copy_location(other, node)))
                name, old = path.relative_to(REPO).as_posix(), content[begin:end].decode()
                found.append(Change(name, old, new, tests, begin, function.name))
    return sorted(found, key=lambda each: (each.file, each.place))


def drawn(seed: int, count: int) -> list[Change]:
    """Return changes drawn by a seed. Each has a lot of its own, so that code written elsewhere moves few draws."""
    lots, times = [], Counter[str]()
    for each in sites():
        times[str(each)] += 1
        key = f"{seed} {each} {times[str(each)]}".encode()
        lots.append((hashlib.blake2b(key, digest_size=8).digest(), each))
    return [each for _, each in sorted(lots, key=lambda lot: lot[0])[:count]]


def seen(root: Path, tests: tuple[str, ...]) -> bool:
    """Run tests in a copy of the repository until the first that fails; return whether one does.

    They run in a fork of this process, which has imported torch once and ddcore never.
    """
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        with open(root.parent / "output", "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(root)
        sys.path.insert(0, str(root))
        os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]))
        sys.stdout.flush()
        os._exit(code)
    end = time.monotonic() + LIMIT
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.1)
    code = os.waitstatus_to_exitcode(ended[1])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"there are no tests {' '.join(tests)}: mend the list of changes")
    return code != 0


def survivors(changes: list[Change], root: Path) -> list[Change]:
    """Apply the changes one after another and return those that no test sees."""
    left, sound = [], set[tuple[str, ...]]()
    for number, each in enumerate(changes, 1):
        if each.tests not in sound and seen(root, each.tests):
            output = (root.parent / "output").read_text()
            raise SystemExit(f"{' '.join(each.tests)}: a test fails without any change: mend it first\n{output}")
        sound.add(each.tests)
        began, before = time.monotonic(), each.apply(root)
        try:
            caught = seen(root, each.tests)
        finally:
            (root / each.file).write_bytes(before)
        word = "seen" if caught else "HARMLESS" if str(each) in HARMLESS else "SURVIVED"
        print(f"{number:3}/{len(changes)}  {time.monotonic() - began:4.0f} s  {word:8}  {each}", flush=True)
        if not caught:
            left.append(each)
    return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chosen", action="store_true", help="the chosen changes")
    parser.add_argument("--drawn", type=int, default=0, metavar="K", help="so many drawn changes")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the drawn ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="only changes whose line in the output holds it")
    args = parser.parse_args()
    changes = CHOSEN if args.chosen else []
    changes = changes + drawn(args.seed, args.drawn)
    changes = [each for each in changes if args.only in str(each)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ddcore"
        shutil.copytree(
            REPO, root, symlinks=True, ignore=shutil.ignore_patterns(".*cache*", ".git", "__pycache__", "shared")
        )
        left = survivors(changes, root)
    unlisted = [each for each in left if str(each) not in HARMLESS]
    count = len(changes)
    print(f"{count} changes, {count - len(left)} seen, {len(left)} survived, {len(unlisted)} of them not listed")
    for each in left:
        print(f"  {each}{': ' + HARMLESS[str(each)] if str(each) in HARMLESS else ''}")
    sys.exit(bool(unlisted))


if __name__ == "__main__":
    main()
