"""Tries one state of a platform after a power cut again, as the test that found it says.

    python one_state.py KEPT ROOT SHARE STATE [BROKEN]

KEPT holds the log of what was recorded below ROOT; the others are as in `test_platform_power`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from test_platform_power import faults, states


def main(kept: str, root: str, share: str, state: str, broken: str = "") -> int:
    """Exit code 1 where a promise is broken."""
    with tempfile.TemporaryDirectory() as folder:
        found, known = states(Path(kept), Path(folder), broken, float(share), Path(root))
        one = [(crash, moment) for crash, moment in found if crash.key == int(state)]
        if not one:
            print(f"there is no state {state}")
            return 2
        for fault in faults(one, known, Path(folder)):
            print(fault)
            return 1
    print("nothing is broken")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
