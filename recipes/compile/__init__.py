"""Sample → Binary."""

from recipes.compile.availability import available, default, doctor
from recipes.compile.build import build, keep_prebuilt, smaller
from recipes.compile.plan import Plan, plan
from recipes.compile.step import Step

__all__ = ["Plan", "Step", "available", "build", "default", "doctor", "keep_prebuilt", "plan", "smaller"]
