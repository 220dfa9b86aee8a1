"""Config group `engine`: what computes expectations and gradients."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import Rule, between, is_number, one_of

# as qmltrain/fusion/reductions has them
REDUCTIONS = ("light_cones", "real_states", "sample_angles", "product_start", "shared_blocks")
NAMES_OF_REDUCTIONS = Rule(
    lambda value: isinstance(value, list) and all(value.count(name) == 1 and name in REDUCTIONS for name in value),
    f"a list [a, b, ...] of different values, or []: {', '.join(REDUCTIONS)}",
)
GIBIBYTES = Rule(lambda value: is_number(value) and 0 < value <= 2**30, "a number above 0, at most 2^30")


@dataclass
class EngineConfig(ConfigGroup):
    name: str = option(
        "auto",
        "auto (cuda, else cpu, else interpreter) | cuda | cpu | interpreter | reference",
        one_of("auto", "cuda", "cpu", "interpreter", "reference"),
    )
    precision: str = option("complex64", "complex64 | complex128", one_of("complex64", "complex128"))
    threads: int = option(
        0,
        "0: all cores that this process may use (the least of SLURM, affinity and quotas)",
        between(0, 4096),
        same_run="gradient sums have one fixed order for any number of threads",
    )
    memory_gib: float | None = option(
        None,
        "memory for states, GiB (null: what the device has)",
        GIBIBYTES,
        same_run="chunks have no part in the order of sums; what auto chose is kept with the run",
    )
    fusion: bool = option(True, "false: one gate per pass, to compare")
    reductions: list[str] | None = option(
        None,
        f"null: all; []: none; some of {', '.join(REDUCTIONS)}",
        NAMES_OF_REDUCTIONS,
    )
