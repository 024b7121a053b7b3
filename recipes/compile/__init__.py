"""Sample → Program."""

from recipes.compile.availability import available, default, doctor
from recipes.compile.build import build, smaller
from recipes.compile.finished import take_prebuilt
from recipes.compile.plan import Plan, plan
from recipes.compile.step import Step

__all__ = ["Plan", "Step", "available", "build", "default", "doctor", "plan", "smaller", "take_prebuilt"]
