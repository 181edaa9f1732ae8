"""What a program imports before it does anything: a help text needs none of the large libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[1]
LATE = (
    "PIL",
    "accelerate",
    "datasets",
    "higher",
    "matplotlib",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sympy",
    "tokenizers",
    "torch._dynamo",
    "torch._inductor",
    "torchvision",
    "triton",
)
# One process shows the help of every program; it tells which of them imported what first.
HELP = """
import contextlib, io, json, runpy, sys
import torch
late, *programs = json.loads(sys.argv[1])
seen = {name for name in late if name in sys.modules}
imported = {}
def note(program):
    imported[program] = sorted({name for name in late if name in sys.modules} - seen)
    seen.update(imported[program])
import ddcore
note("import ddcore")
for program in programs:
    sys.argv = [program, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        runpy.run_path(program, run_name="__main__")
    assert "usage:" in text.getvalue(), program
    note(program)
print(json.dumps(imported))
"""


def run(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'scripts'}"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_no_large_library():
    programs = [str(path) for path in sorted(REPO.glob("scripts/*.py")) if "__main__" in path.read_text()]
    assert len(programs) > 10
    imported = json.loads(run("-c", HELP, json.dumps([LATE, *programs])))
    assert not {program: names for program, names in imported.items() if names}


def test_the_face_is_imported_at_first_use():
    program = "import sys, ddcore; print('torch' in sys.modules, ddcore.DistilledSet.__module__, dir(ddcore))"
    said = run("-c", program)
    assert said.startswith("False ddcore.sets.distilled_set") and "'UsageError'" in said
    missing = "import ddcore\ntry:\n    ddcore.nothing\nexcept AttributeError as error:\n    print(error)"
    assert run("-c", missing).strip() == "module 'ddcore' has no attribute 'nothing'"
