"""Sample → Program."""

from recipes.compile.build import build, smaller
from recipes.compile.finished import take_prebuilt
from recipes.compile.plan import Plan, Step, plan
from recipes.compile.toolchain import available, default, doctor

__all__ = ["Plan", "Step", "available", "build", "default", "doctor", "plan", "smaller", "take_prebuilt"]
