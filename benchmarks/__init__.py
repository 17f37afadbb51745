"""Speed and memory of resto beside its rivals: what is compared is measured in one run."""

import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent

# Servers are started as the tests start them.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "plugins_example" / "tests")]
