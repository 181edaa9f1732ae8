import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "leave_out.sh"
LOOSE = (
    "triton/_C/libproton.so",
    "triton/backends/nvidia/lib/cupti/libcupti.so",
    "triton/backends/amd/lib/libtriton_amd_codegen.so",
    "nvidia/cu13/lib/libcusolverMg.so.12",
    "nvidia/nvshmem/lib/libnvshmem_device_sm_90.bc",
    "nvidia/cu13/include/cuda.h",
    "scipy/linalg/tests/test_solve.py",
)
NEEDED = (
    "triton/_C/libtriton.so",
    "scipy/linalg/solve.py",
    "triton/backends/nvidia/lib/libdevice.10.bc",
    "triton/backends/amd/compiler.py",
    "nvidia/cu13/lib/libcusolver.so.12",
    "nvidia/nvshmem/lib/libnvshmem_host.so.3",
)


def test_what_nothing_loads_is_removed_and_nothing_else(tmp_path):
    for name in (*LOOSE, *NEEDED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run([SCRIPT, tmp_path], check=True)
    assert {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()} == set(NEEDED)


def test_a_folder_without_these_wheels_is_left_as_it_is(tmp_path):
    (tmp_path / "six.py").touch()
    subprocess.run([SCRIPT, tmp_path], check=True)
    assert [each.name for each in tmp_path.iterdir()] == ["six.py"]
    assert subprocess.run([SCRIPT], capture_output=True, check=False).returncode != 0
