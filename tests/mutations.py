"""Change one line of ddcore at a time, and see whether the tests notice.

    python tests/mutations.py --chosen              # the changes of tests/toys/chosen_changes.py
    python tests/mutations.py --seed 1 --drawn 20   # changes of lines drawn by a seed from all functions of ddcore

Each change is applied alone, in a copy of the repository, and only the tests that should see it are run, until the
first that fails. A change that no test sees is printed as a survivor. `harmless_changes.py` lists drawn ones that
change nothing that matters. The program ends with 1 if a chosen change survives, or a drawn one that is not listed. Not
part of the test suite. A chosen change takes about ten seconds; a drawn one takes as long as the tests of its module.
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
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

sys.path.insert(0, str(Path(__file__).parent / "toys"))

import pytest
import torch  # noqa: F401  (once, for all forks)
from change import Change
from chosen_changes import CHOSEN
from harmless_changes import HARMLESS

REPO = Path(__file__).resolve().parents[1]
# A test that still runs after so many seconds hangs because of the change: it sees it.
LIMIT = 300
# Modules whose tests run over everything registered in their folder.
CONTRACTS = {"nets": "test_*_nets.py", "selection": "test_selectors.py"}

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
    """Return the mirrored test file of a module, or the one that runs over everything in its folder.

    What a module does on a GPU alone is tested in ``tests/virtual_gpu``, in a file of the same name.
    """
    folder = REPO / "tests" / path.relative_to(REPO / "ddcore").parent
    own = folder / f"test_{path.stem}.py"
    contract = CONTRACTS.get(folder.name, f"test_{folder.name}.py")
    mirrored = [own] if own.exists() else sorted(folder.glob(contract))
    on_gpu = REPO / "tests" / "virtual_gpu" / own.name
    return tuple(each.relative_to(REPO).as_posix() for each in [*mirrored, on_gpu] if each.exists())


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
