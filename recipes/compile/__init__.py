"""Sample → Program."""

from recipes.compile.availability import available, default, doctor
from recipes.compile.build import build, smaller
from recipes.compile.finished import has_cgo_stub, take_prebuilt
from recipes.compile.plan import Plan, cgo_packages, plan
from recipes.compile.step import Step

__all__ = [
    "Plan",
    "Step",
    "available",
    "build",
    "cgo_packages",
    "default",
    "doctor",
    "has_cgo_stub",
    "plan",
    "smaller",
    "take_prebuilt",
]
