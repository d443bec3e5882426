"""Install Saliscope and its pinned dependencies into a virtual environment, and say what it cost.

Torch is installed first and alone: its index may hold several builds, and the pin alone decides.
Uses the standard library only, so that it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())


def main() -> None:
    """Make the environment if needed, then install."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--editable", action="store_true", help="install in place, for development")
    parser.add_argument("--extras", default="", help="comma-separated extras")
    args = parser.parse_args()
    start = time.perf_counter()
    if not (args.venv / "bin" / "python").exists():
        subprocess.run([args.python, "-m", "venv", str(args.venv)], check=True)
    pip = [str(args.venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    torch = re.search(r"^torch==\S+", CONSTRAINTS.read_text(), re.MULTILINE)
    if torch is None:
        msg = f"{CONSTRAINTS}: pins no torch"
        raise SystemExit(msg)
    subprocess.run([*pip, torch[0]], check=True)
    package = f"{ROOT}[{args.extras}]" if args.extras else str(ROOT)
    where = ["--editable", package] if args.editable else [package]
    subprocess.run([*pip, "--constraint", str(CONSTRAINTS), *where], check=True)
    seconds = time.perf_counter() - start
    label = f" with {args.extras}" if args.extras else ""
    mebibytes = size(args.venv) / 2**20
    print(f"installed{label} in {seconds:.0f} s; {args.venv} holds {mebibytes:,.0f} MiB")


if __name__ == "__main__":
    main()
