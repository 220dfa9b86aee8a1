"""JAX without a quantum library: the forms of hea_in_jax.py, the whole training in one jit, optax.

Needs ``pip install jax optax``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from peers.protocol import Task, Train, serve


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    from peers.hea_in_jax import Form, forms, signs_of_z
    from peers.jax_training import compiled

    def train(form: Form, task: Task) -> Train:
        return compiled(task, form)

    return {name: partial(train, form) for name, form in forms(task.qubits, signs_of_z(task.qubits)).items()}


if __name__ == "__main__":
    serve(variants, ["jax", "optax"])
