"""Sample → Binary."""

from recipes.compile.build import build, keep_prebuilt, smaller
from recipes.compile.plan import Plan, Step, plan
from recipes.compile.toolchain import available, default, doctor

__all__ = ["Plan", "Step", "available", "build", "default", "doctor", "keep_prebuilt", "plan", "smaller"]
