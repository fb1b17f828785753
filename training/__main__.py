"""``python -m training``: the verbs of training without the rest of the command line."""

import sys

from training.cli import main

sys.exit(main())
