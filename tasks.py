"""This repository's tasks: `invoke --list`, `invoke build-static hello`, `invoke compare-sizes`."""

from recipes.tasks import collection

namespace = collection(__file__)
