"""``python -m fenestra``: the same as the command."""

import sys

from fenestra.cli.main import main

sys.exit(main())
