"""Builds the environment `.venv/` of a checkout: `python3 benchmark/environment.py --level base|full`.

Runs with any Python, before anything is installed, and uses the standard library only. Numbered stages say how long
they take and where their log is; what is done is not done again, and a killed setup continues. The old-fashioned
syntax of this file lets unsupported Pythons read far enough to say what they need; the work is in `installation/`.
"""

import os
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12")
IS_SUPPORTED = "import sys; sys.exit('%d.%d' % sys.version_info[:2] not in {})".format(SUPPORTED)


def main() -> int:
    """Continue in a supported Python; exit code 2 with one line if there is none."""
    if "{}.{}".format(*sys.version_info[:2]) in SUPPORTED:
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        from benchmark.installation.command import main as build

        return build()
    for version in SUPPORTED:
        if runs("python" + version):
            os.execvp("python" + version, ["python" + version, *sys.argv])
    found = "{}.{}.{}".format(*sys.version_info[:3])
    remedy = "Debian and Ubuntu: apt-get install -y python3.11 python3.11-venv python3.11-dev"
    print("Python 3.11 or 3.12 needed, this is {}. {}".format(found, remedy))
    return 2


def runs(program: str) -> bool:
    """Whether `program` starts and is a supported Python."""
    try:
        with Path(os.devnull).open("w") as nowhere:
            return subprocess.call([program, "-c", IS_SUPPORTED], stdout=nowhere, stderr=nowhere) == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
