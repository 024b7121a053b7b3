"""This repository's tasks: `invoke --list`, `invoke build-static hello`, `invoke compare-sizes`."""

import sys

# Invoke forbids Python to write bytecode, whatever the user says; each call would then compile fifty modules again.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)

from recipes.tasks import collection  # noqa: E402

namespace = collection(__file__)
