"""The rules of the house: who may import whom, a test for every module, calls that nobody may make."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
LIBRARY = sorted([*REPO.glob("ddcore/**/*.py"), *REPO.glob("kernels/**/*.py")])
SCRIPTS = sorted(REPO.glob("scripts/*.py"))
SOURCES = [*LIBRARY, *SCRIPTS, REPO / "setup.py"]

# A room of ddcore imports from its own row and from the rows above it, and of another room only its face.
ROWS = (
    {"errors", "options", "draws"},
    {"runtime"},
    {"data", "unroll"},
    {"nets"},
    {"sets"},
    {"training"},
    {"problem", "selection"},
    {"synthesis"},
    {"methods"},
    {"api", "comparison", "benchmarks"},
    {"report", "job"},
)
RANK = {room: rank for rank, row in enumerate(ROWS) for room in row}
LOOSE = {"errors", "options", "draws", "problem", "api"}
MOST_ROOMS, MOST_LOOSE, MOST_ROWS = 20, 5, 12
MOST_ARGUMENTS, MOST_FIELDS, MOST_SCRIPT_LINES = 6, 12, 119

# A test that runs over everything registered in a folder stands for tests of the single modules.
CONTRACTS = {"nets": "test_*_nets.py", "scripts": "test_stages.py", "selection": "test_selectors.py"}

BANNED_CALLS = {
    "print": "the library says nothing: it logs and returns",
    "exit": "only a script ends the program",
    "sys.exit": "only a script ends the program",
    "os._exit": "only a script ends the program",
    "torch.load": "it unpickles: read safetensors or JSON",
    "eval": "it runs what a file holds",
    "exec": "it runs what a file holds",
    "torch.seed": "draws come from keyed generators",
    "torch.cuda.manual_seed_all": "draws come from keyed generators",
    "np.random.seed": "draws come from keyed generators",
    "numpy.random.seed": "draws come from keyed generators",
    "random.seed": "draws come from keyed generators",
}
# Other tools keep their sets in such files: this one reader builds tensors and numbers from them, and runs nothing.
TENSORS_OF_OTHERS = REPO / "ddcore" / "sets" / "formats" / "torch_file.py"
# LU of a batch is wrong on some processors with several threads: ridge systems are solved by Cholesky.
LU = re.compile(
    r"(^|\.)linalg\.(solve|inv|lu|det|slogdet|tensor)|(^|\.)(inverse|lu_solve|logdet)$|^torch\.(lu|det|solve)"
)
MARKS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
            if node.module == "ddcore":
                found |= {f"ddcore.{alias.name}" for alias in node.names}
    return found


def shown(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def room(path: Path) -> str:
    return path.relative_to(REPO / "ddcore").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in LIBRARY if p.is_relative_to(REPO / "ddcore")], ids=shown)
def test_imports_go_one_way(path):
    if path == REPO / "ddcore" / "__init__.py":
        return
    assert room(path) in RANK, f"give the new room '{room(path)}' its row in this test"
    for name in imported(path):
        if name.startswith("ddcore."):
            other = name.split(".")[1]
            assert RANK.get(other, 0) <= RANK[room(path)], f"{shown(path)} may not import {name}"
            inside = other in (room(path), *LOOSE) or name.count(".") == 1
            assert inside, f"{shown(path)}: import from the face ddcore.{other}, not from {name}"
        assert name.split(".")[0] not in {script.stem for script in SCRIPTS}, f"{shown(path)} imports a script"


def test_the_job_and_the_report_know_each_other_only_through_files():
    for own, other in (("job", "report"), ("report", "job")):
        for path in (REPO / "ddcore" / own).glob("*.py"):
            assert not {name for name in imported(path) if name.split(".")[1:2] == [other]}, shown(path)


def test_the_rooms_can_be_counted():
    rooms = {room(path) for path in LIBRARY if path.is_relative_to(REPO / "ddcore")} - {"__init__"}
    loose = {name for name in rooms if (REPO / "ddcore" / f"{name}.py").exists()}
    assert len(rooms) <= MOST_ROOMS and loose <= LOOSE and len(loose) <= MOST_LOOSE and len(ROWS) <= MOST_ROWS


@pytest.mark.parametrize("path", sorted(REPO.glob("ddcore/*/__init__.py")), ids=shown)
def test_a_face_only_imports(path):
    body = tree(path).body
    assert all(isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Assign) for node in body), shown(path)


def test_kernels_need_nothing_but_torch_and_triton():
    for path in (p for p in LIBRARY if p.is_relative_to(REPO / "kernels")):
        allowed = ("ddcore.kernels.", "torch.", "triton.")
        others = {name for name in imported(path) if not f"{name}.".startswith(allowed)}
        assert others - {"ddcore"} <= sys.stdlib_module_names | {"collections.abc"}, shown(path)


@pytest.mark.parametrize("folder", ["methods", "selection"])
def test_one_way_to_make_a_set_never_imports_another(folder):
    registry = importlib.import_module(f"ddcore.{folder}.registry")
    registered = {f"ddcore.{folder}.{module}" for module in registry.MODULES}
    assert all((REPO / "ddcore" / folder / f"{module}.py").exists() for module in registry.MODULES)
    for path in (REPO / "ddcore" / folder).glob("*.py"):
        if path.name not in ("__init__.py", "registry.py"):
            assert not imported(path) & registered, shown(path)


@pytest.mark.parametrize("path", [p for p in [*LIBRARY, *SCRIPTS] if p.name != "__init__.py"], ids=shown)
def test_every_module_has_its_test(path):
    parts = path.relative_to(REPO).parent.parts
    folder = REPO / "tests" / Path(*parts[1:] if parts[0] == "ddcore" else parts)
    contract = CONTRACTS.get(parts[-1], f"test_{parts[-1]}.py")
    # An op's test runs its Triton kernels too: it compares them with the reference.
    own = folder / f"test_{path.stem.removesuffix('_triton')}.py"
    assert own.exists() or any(folder.glob(contract)), f"write {shown(own)}"


@pytest.mark.parametrize("path", [p for p in LIBRARY if p.is_relative_to(REPO / "ddcore")], ids=shown)
def test_nothing_takes_more_than_a_reader_can_hold(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            given_all = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
            count = len([each for each in given_all if each is not None and each.arg not in ("self", "cls")])
            assert count <= MOST_ARGUMENTS, f"{shown(path)}:{node.lineno} {node.name} takes {count} arguments"
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
            count = len([each for each in fields if "ClassVar" not in ast.unparse(each.annotation)])
            assert count <= MOST_FIELDS, f"{shown(path)}:{node.lineno} {node.name} has {count} fields"


@pytest.mark.parametrize("path", SCRIPTS, ids=shown)
def test_scripts_are_thin(path):
    assert path.read_text().count("\n") <= MOST_SCRIPT_LINES


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_files_are_short_and_well_named(path):
    assert path.read_text().count("\n") <= 400
    assert path.stem not in {"utils", "util", "misc", "helpers", "helper", "common"}
    if path in SCRIPTS:
        assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", [*SOURCES, *sorted((REPO / "tests").rglob("*.py"))], ids=shown)
def test_nothing_is_left_for_later(path):
    assert not MARKS.search(path.read_text()), "finish it, or open an issue"


@pytest.mark.parametrize("path", [*LIBRARY, *SCRIPTS], ids=shown)
def test_banned_calls(path):
    for node in ast.walk(tree(path)):
        place = f"{shown(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if path in LIBRARY:
                if not (called == "torch.load" and path == TENSORS_OF_OTHERS):
                    assert called not in BANNED_CALLS, f"{place}: {BANNED_CALLS[called]}"
                if called.endswith("manual_seed") and called != "torch.Generator().manual_seed":
                    assert path.name == "draws.py", f"{place}: draws come from keyed generators"
                assert not called.endswith(".cuda"), f"{place}: the accelerator decides on the device"
                assert "grid_sample" not in called, f"{place}: it has no forward derivative"
            as_text = called == "open" and not re.search(r"'[rwax]?b", ast.unparse(node))
            if as_text or called.endswith((".read_text", ".write_text")):
                assert "encoding='utf-8" in ast.unparse(node), f"{place}: files are UTF-8, whatever the locale"
            for keyword in node.keywords:
                text = f"{keyword.arg}={ast.unparse(keyword.value)}"
                assert text != "type=bool", f"{place}: it is always true"
                assert text != "allow_unused=True", f"{place}: it hides missing gradients"
        if isinstance(node, ast.FunctionDef) and path in LIBRARY:
            assert "args" not in {each.arg for each in node.args.args}, f"{place}: take what you need, not all options"
    assert not imported(path) & {"pickle", "dill", "joblib", "shelve", "marshal"}, shown(path)


def test_the_reader_of_other_tools_files_loads_weights_only():
    calls = [node for node in ast.walk(tree(TENSORS_OF_OTHERS)) if isinstance(node, ast.Call)]
    loads = [node for node in calls if ast.unparse(node.func) == "torch.load"]
    assert len(loads) == 1 and "weights_only=True" in ast.unparse(loads[0])


@pytest.mark.parametrize("path", LIBRARY, ids=shown)
def test_nothing_is_solved_by_lu(path):
    assert not imported(path) & {"torch.linalg", "numpy.linalg", "scipy.linalg"}, f"{shown(path)}: call it in full"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and "solve_triangular" not in node.attr:
            assert not LU.search(ast.unparse(node)), f"{shown(path)}:{node.lineno}: use ddcore.nets.solve_ridged"


def test_the_device_is_the_accelerators_business():
    for path in (p for p in LIBRARY if p.is_relative_to(REPO / "ddcore")):
        assert not re.search(r"""device\s*=\s*["']cuda""", path.read_text()), shown(path)


def test_what_is_imported_is_declared_and_pinned():
    declared = (REPO / "setup.py").read_text().lower()
    pinned = (REPO / "docker" / "constraints.txt").read_text().lower()
    packages = {"PIL": "pillow", "sklearn": "scikit-learn", "huggingface_hub": "huggingface-hub"}
    # By datasets, whose file format and whose client they are, and by scikit-learn, whose sparse arrays they are.
    brought = {"pyarrow", "huggingface-hub", "scipy"}
    roots = {name.split(".")[0] for path in [*LIBRARY, *SCRIPTS] for name in imported(path)}
    ours = {"ddcore", "_typeshed", *(path.stem for path in SCRIPTS)}  # only mypy reads _typeshed
    for root in roots - sys.stdlib_module_names - ours:
        package = packages.get(root, root)
        assert package in brought or f'"{package}>=' in declared, f"declare {package} in setup.py"
        assert f"\n{package}==" in pinned, f"pin {package} in docker/constraints.txt"
