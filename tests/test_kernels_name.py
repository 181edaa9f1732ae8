"""The registry has another package `kernels`: ours is `ddcore.kernels`, and is reached however ddcore is installed."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
# Python itself reads no .pth file here (-S), so that a ddcore that is installed on this machine does not stand in; nor
# does it know then that it belongs to a virtual environment, so that it is told where the other packages are.
SHOW = """
import site, sys
site.addsitedir(sys.argv[1])
sys.path.extend(sys.argv[2:])
from ddcore import DistilledSet
from ddcore.kernels import Rule
from ddcore.kernels.choice import fused
print(sys.modules["ddcore"].__file__, *(sys.modules[each.__module__].__file__ for each in (DistilledSet, Rule, fused)))
print("kernels" in sys.modules)
"""


def clone(folder: Path) -> Path:
    for name in ("ddcore", "kernels"):
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(REPO / name, folder)
    return folder


@pytest.fixture
def stranger(tmp_path) -> Path:
    """A folder with the other package."""
    (tmp_path / "stranger" / "kernels").mkdir(parents=True)
    (tmp_path / "stranger" / "kernels" / "__init__.py").write_text("raise RuntimeError('not ours')")
    return tmp_path / "stranger"


def origins(*paths: Path, place: Path) -> set[Path]:
    """Return the folders from which ddcore and its kernels are imported, with these folders first on the path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-S", "-c", SHOW, str(place), *site.getsitepackages()]
    done = subprocess.run(command, env=environment, cwd=paths[0], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files, other = done.stdout.splitlines()
    assert other == "False"
    own, sets, *kernels = (Path(name) for name in files.split())
    assert sets.parents[1] == own.parent
    return {own.parents[1], *(each.parent for each in kernels)}


def test_a_checkout_on_the_path(tmp_path, stranger):
    ours = clone(tmp_path / "ours")
    assert origins(stranger, ours, place=tmp_path) == {ours, ours / "kernels"}


def test_a_checkout_beside_another_that_is_installed(tmp_path, stranger):
    ours, other, place = clone(tmp_path / "ours"), clone(tmp_path / "work" / "ddcore"), tmp_path / "installed"
    options = ["--no-deps", "--no-build-isolation", "--ignore-installed", "--no-warn-script-location"]
    subprocess.run([*PIP, "install", *options, "--prefix", place, "--editable", other], check=True)
    (site_packages,) = place.rglob("site-packages")
    assert origins(stranger, ours, place=site_packages) == {ours, ours / "kernels"}
    # Nothing on the path leads to a copy: only the installed one is there.
    assert origins(stranger, place=site_packages) == {other, other / "kernels"}
    # A program beside the clone sees a folder of the package's name.
    assert origins(stranger, other.parent, place=site_packages) == {other, other / "kernels"}


def test_a_wheel(tmp_path, stranger):
    ours, place = clone(tmp_path / "ours"), tmp_path / "installed"
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ours], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*PIP, "install", "--no-deps", "--target", place, wheel], check=True)
    assert {path.name for path in place.iterdir() if path.suffix != ".dist-info"} == {"ddcore"}
    assert origins(stranger, place, place=place) == {place, place / "ddcore" / "kernels"}


def test_only_the_folder_of_the_kernels_is_ours():
    import ddcore.kernels

    assert Path(ddcore.kernels.__file__).parent == REPO / "kernels"
