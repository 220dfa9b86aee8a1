"""One simulator in its own interpreter: reads a case, then answers "step" with one training step's time.

Run by compare.py as ``PYTHON workers.py TOOL``; needs NumPy and the tool, qmltrain only for TOOL = qmltrain. Every
tool is driven the fastest way its documentation offers: one adjoint sweep a sample for lightning.qubit and Qulacs,
vmap, scan over layers and jit for TensorCircuit-NG on JAX. A step is the loss (mean over the batch of a weighted sum of
Z) and the gradient of all trainable parameters.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

Step = Callable[[], tuple[float, np.ndarray]]


def values(case: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta_P, x_BF and the weights of Z_0, Z_1, ...: the same in every process."""
    rng = np.random.default_rng(case["seed"])
    theta = rng.uniform(0, 2 * np.pi, case["n_parameters"])
    x = rng.uniform(0, np.pi, (case["batch"], max(1, case["n_features"])))
    return theta, x, rng.normal(size=min(10, case["qubits"]))


def angle(spec: list, theta: np.ndarray, row: np.ndarray) -> float:
    """[kind, ...]: a parameter times a factor, a feature times a factor, or scale * (pi - x_i)(pi - x_j)."""
    kind, factor, *index = spec
    if kind == "parameter":
        return factor * theta[index[0]]
    if kind == "feature":
        return factor * row[index[0]]
    return factor * float(np.prod([np.pi - row[i] for i in index]))


def qmltrain(case: dict) -> Step:
    from own_kernel import repeated

    return repeated(case, *values(case))


def qmltrain_new_angles(case: dict) -> Step:
    from own_kernel import renewed

    return renewed(case, *values(case))


def lightning(case: dict) -> Step:
    """PennyLane lightning.qubit, complex64, its C++ adjoint on one tape per sample."""
    import pennylane as qml
    from pennylane.devices import ExecutionConfig

    theta, x, w = values(case)
    device = qml.device("lightning.qubit", wires=case["qubits"], c_dtype=np.complex64)
    observable = qml.Hamiltonian([float(v) for v in w], [qml.PauliZ(j) for j in range(len(w))])
    config = ExecutionConfig(
        gradient_method="adjoint", use_device_gradient=True, use_device_jacobian_product=False, grad_on_execution=True
    )
    operations = {
        "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "rzz": qml.IsingZZ, "cz": qml.CZ, "cx": qml.CNOT, "h": qml.Hadamard
    }  # fmt: skip
    trainable, columns, factors, position = [], [], [], 0
    for _, _, specs in case["gates"]:
        for spec in specs:
            if spec[0] == "parameter":
                trainable.append(position)
                factors.append(spec[1])
                columns.append(spec[2])
            position += 1

    def step() -> tuple[float, np.ndarray]:
        tapes = []
        for row in x:
            body = [operations[n](*(angle(s, theta, row) for s in specs), wires=q) for n, q, specs in case["gates"]]
            tapes.append(qml.tape.QuantumScript(body, [qml.expval(observable)], trainable_params=trainable))
        results, jacobians = device.execute_and_compute_derivatives(tuple(tapes), config)
        total = sum(np.asarray(j, float).reshape(-1) for j in jacobians) / len(x)
        return float(np.mean(results)), np.bincount(columns, np.array(factors) * total, minlength=len(theta))

    return step


def period(gates: list) -> tuple[int, int]:
    """(prefix, length): after `prefix` gates the rest repeats with `length` gates, as far as names and qubits go."""
    shape = [(name, tuple(qubits)) for name, qubits, _ in gates]
    for length in range(1, len(shape) // 2 + 1):
        for prefix in range(len(shape) % length, len(shape) - 2 * length + 1, length):
            if all(shape[k] == shape[k + length] for k in range(prefix, len(shape) - length)):
                return prefix, length
    return len(gates), 1


def tensorcircuit(case: dict) -> Step:
    """TensorCircuit-NG on JAX, complex64: vmap over samples, scan over layers that are alike, jit."""
    import jax
    import jax.numpy as jnp
    import tensorcircuit as tc

    n, gates = case["qubits"], case["gates"]
    tc.set_backend("jax")
    tc.set_dtype("complex64")
    theta, x, w = values(case)
    index = np.arange(2**n)  # qubit 0 is the most significant bit there
    diagonal = jnp.asarray(sum(w[j] * (1 - 2 * (index >> (n - 1 - j) & 1)) for j in range(len(w))), jnp.float32)

    # Angles that all samples share are gathered once, outside vmap; those of features for each sample.
    specs = [angles[0] if angles else ["parameter", 0.0, 0] for _, _, angles in gates]
    of_sample = np.array([spec[0] != "parameter" for spec in specs])
    shared_index = np.array([0 if own else spec[2] for spec, own in zip(specs, of_sample, strict=True)])
    factors = np.array([spec[1] for spec in specs], dtype=np.float32)

    def angle_of_sample(spec, row):  # noqa: ANN001, ANN202
        kind, factor, *index = spec
        if kind == "feature":
            return factor * row[index[0]]
        return factor * jnp.prod(jnp.stack([np.pi - row[i] for i in index]))

    def apply(circuit, first, last, shared, own):  # noqa: ANN001, ANN202
        """Gates `first` to `last`; `shared` and `own` hold the angles of the segment that starts at `first`."""
        for k, (name, qubits, angles) in enumerate(gates[first:last]):
            theta_of = own if of_sample[first + k] else shared
            getattr(circuit, name)(*qubits, **({"theta": theta_of[k]} if angles else {}))
        return circuit.state()

    prefix, length = period(gates)
    if prefix + length > 300:
        raise NotImplementedError(f"{prefix + length} gates that are not alike take XLA many minutes to compile")
    own_in_body = bool(of_sample[prefix:].any())

    def expectation(angles, row):  # noqa: ANN001, ANN202
        shared = factors * angles[shared_index]
        own = [angle_of_sample(s, row) if o else 0.0 for s, o in zip(specs, of_sample, strict=True)]
        state = apply(tc.Circuit(n), 0, prefix, shared, own)
        if prefix < len(gates):

            def layer(state, of_layer):  # noqa: ANN001, ANN202
                return apply(tc.Circuit(n, inputs=state), prefix, prefix + length, *of_layer), None

            rows = jnp.stack(own[prefix:]).reshape(-1, length) if own_in_body else None
            state, _ = jax.lax.scan(layer, state, (shared[prefix:].reshape(-1, length), rows))
        return jnp.sum(diagonal * (jnp.real(state) ** 2 + jnp.imag(state) ** 2))

    batched = jax.vmap(expectation, in_axes=(None, 0))
    function = jax.jit(jax.value_and_grad(lambda angles, rows: jnp.mean(batched(angles, rows))))
    angles, rows = jnp.asarray(theta, jnp.float32), jnp.asarray(x, jnp.float32)

    def step() -> tuple[float, np.ndarray]:
        value, gradient = function(angles, rows)
        return float(value), np.asarray(gradient, float)

    return step


def qulacs(case: dict) -> Step:
    """Qulacs, complex128: a reverse sweep from a given bra, one sample at a time; its rotations turn the other way."""
    from qulacs import Observable, ParametricQuantumCircuit, QuantumState

    n = case["qubits"]
    theta, x, w = values(case)
    circuit = ParametricQuantumCircuit(n)
    specs = []
    for name, qubits, angles in case["gates"]:
        if name == "rzz":
            circuit.add_parametric_multi_Pauli_rotation_gate(qubits, [3, 3], 0.0)
        elif angles:
            getattr(circuit, f"add_parametric_{name.upper()}_gate")(qubits[0], 0.0)
        elif name == "h":
            circuit.add_H_gate(qubits[0])
        else:
            (circuit.add_CZ_gate if name == "cz" else circuit.add_CNOT_gate)(*qubits)
        specs.extend(angles)
    observable = Observable(n)
    for j, weight in enumerate(w):
        observable.add_operator(float(weight), f"Z {j}")
    state, bra, work = QuantumState(n), QuantumState(n), QuantumState(n)
    trained = [k for k, s in enumerate(specs) if s[0] == "parameter"]
    columns = [specs[k][2] for k in trained]
    factors = np.array([specs[k][1] for k in trained])

    def step() -> tuple[float, np.ndarray]:
        loss, total = 0.0, np.zeros(len(trained))
        for row in x:
            for k, spec in enumerate(specs):
                circuit.set_parameter(k, -angle(spec, theta, row))
            state.set_zero_state()
            circuit.update_quantum_state(state)
            bra.set_zero_state()
            observable.apply_to_state(work, state, bra)
            total -= 2 * np.asarray(circuit.backprop_inner_product(bra))[trained]
            loss += observable.get_expectation_value(state)
        return loss / len(x), np.bincount(columns, factors * total, minlength=len(theta)) / len(x)

    return step


def prism(case: dict) -> Step:
    """prism-q, complex128 in Rust, adjoint: one circuit per sample, built beforehand (that is not in its times)."""
    import prism_q

    theta, x, w = values(case)
    observable = prism_q.PauliObservable([(float(weight), [(j, "Z")]) for j, weight in enumerate(w)])
    trained = [(k, s) for k, (_, _, specs) in enumerate(case["gates"]) for s in specs if s[0] == "parameter"]
    links = [(k, slot) for slot, (k, _) in enumerate(trained)]
    factors, columns = np.array([s[1] for _, s in trained]), np.array([s[2] for _, s in trained])

    def circuit(row: np.ndarray):  # noqa: ANN202
        builder = prism_q.CircuitBuilder(case["qubits"])
        for name, qubits, specs in case["gates"]:
            builder = getattr(builder, name)(*(float(angle(spec, theta, row)) for spec in specs), *qubits)
        return builder.build()

    circuits = [circuit(row) for row in x]

    def step() -> tuple[float, np.ndarray]:
        loss, total = 0.0, np.zeros(len(trained))
        for built in circuits:
            value, gradient = prism_q.simulate(built).expectation_gradient(observable, links)
            loss, total = loss + value, total + gradient
        return loss / len(x), np.bincount(columns, factors * total, minlength=len(theta)) / len(x)

    return step


def hea_angles(case: dict, theta: np.ndarray) -> np.ndarray:
    """(layers, n, 3) of compare.py's hardware-efficient ansatz; what is written for it alone refuses other cases."""
    if not case["name"].startswith("hea "):
        raise NotImplementedError("written for the hardware-efficient ansatz alone")
    return theta.reshape(-1, case["qubits"], 3)


def jax(case: dict) -> Step:
    """JAX by hand, complex64 (peers/hea_in_jax.py): of its forms the fastest."""
    import time

    import jax
    import jax.numpy as jnp
    from peers.hea_in_jax import Form, forms, signs_of_z

    theta, x, w = values(case)
    angles = jnp.asarray(hea_angles(case, theta), jnp.float32)
    rows = jnp.asarray(x, jnp.float32)
    measured = jnp.asarray(w, jnp.float32)[None] @ signs_of_z(case["qubits"])[: len(w)]

    def compiled(form: Form) -> Step:
        function = jax.jit(jax.value_and_grad(lambda angles, rows: jnp.mean(form(angles, rows))))

        def step() -> tuple[float, np.ndarray]:
            value, gradient = function(angles, rows)
            return float(value), np.asarray(gradient, float).ravel()

        return step

    def seconds(step: Step) -> float:
        step()
        begun = time.perf_counter()
        for _ in range(3):
            step()
        return time.perf_counter() - begun

    return min((compiled(form) for form in forms(case["qubits"], measured).values()), key=seconds)


def catalyst(case: dict) -> Step:
    """PennyLane Catalyst on lightning.qubit, complex64: the adjoint gradient, samples in a loop, compiled by qjit."""
    import jax.numpy as jnp
    from catalyst import for_loop, qjit, value_and_grad
    from peers.catalyst import weighted_z

    theta, x, w = values(case)
    angles = jnp.asarray(hea_angles(case, theta))
    node, rows = weighted_z(case["qubits"], len(angles)), jnp.asarray(x)
    weights = jnp.asarray(np.concatenate([w, np.zeros(case["qubits"] - len(w))]))

    @qjit
    def function(angles, rows, weights):  # noqa: ANN001, ANN202
        @for_loop(0, len(x), 1)
        def add(b, value, gradient):  # noqa: ANN001, ANN202
            of_sample, gradient_of_sample = value_and_grad(node, argnums=0)(angles, rows[b], weights)
            return value + of_sample, gradient + gradient_of_sample

        return add(jnp.zeros(()), jnp.zeros_like(angles))

    def step() -> tuple[float, np.ndarray]:
        value, gradient = function(angles, rows, weights)
        return float(value) / len(x), np.asarray(gradient).ravel() / len(x)

    return step


TOOLS = {f.__name__: f for f in (qmltrain, qmltrain_new_angles, lightning, tensorcircuit, qulacs, catalyst, prism, jax)}


def main() -> None:
    make = TOOLS[sys.argv[1]]
    step: Step | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "qubits" in request:
                step = make(request)
                loss, gradient = step()
                step()  # caches and compilers are warm now
                answer = {"loss": loss, "gradient": gradient.tolist()}
            else:
                assert step is not None
                times = []
                while not times or (sum(times) < request["seconds"] and len(times) < 2000):
                    start = time.perf_counter()
                    step()
                    times.append(time.perf_counter() - start)
                answer = {"times": times}
        except NotImplementedError as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
