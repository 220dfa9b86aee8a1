"""`qmltrain train`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="train",
    takes=Takes.CONFIG,
    meaning="train a model (the default verb)",
    order=10,
    trains=True,
    ranks=True,
    default=True,
    examples=(
        "qmltrain experiment=digits",
        "qmltrain experiment=digits ansatz=strongly_entangling optimizer.learning_rate=0.02 run.seed=1",
        "qmltrain dataset=make_moons dataset.n_samples=500 preprocess=angles circuit.n_qubits=4 encoding.repeats=3",
        "qmltrain -m experiment=digits encoding.repeats=2,4,6 run.seed=0,1,2",
        "qmltrain --cfg job experiment=digits_amplitude",
    ),
)
