"""Expectation values and gradients of PennyLane's and Qiskit's own templates, for `test_references.py`.

    pip install pennylane qiskit && python -m tests.field.make_references

writes `references.json` beside this file. The script knows nothing of qmltrain: it builds each circuit with the
library's template, wire i standing for qubit i, and stores what an entry of our registries must reproduce: its name and
options, features, parameters in our order, three Pauli observables, their values and the gradient of a fixed
combination of them. Parameters are rounded to four digits so that the file holds them exactly.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from tests.field.pennylane_references import pennylane_ansaetze, pennylane_encodings
from tests.field.qiskit_references import qiskit_ansaetze, qiskit_encodings
from tests.field.reference_cases import COTANGENT, cases


def main() -> None:
    warnings.simplefilter("ignore")
    for part in (pennylane_ansaetze, pennylane_encodings, qiskit_ansaetze, qiskit_encodings):
        part()
        print(f"{part.__name__}: {len(cases)} cases", file=sys.stderr)
    result = {
        "made_by": "tests/field/make_references.py",
        "versions": {name: version(name) for name in ("pennylane", "qiskit", "numpy")},
        "cotangent": COTANGENT,
        "cases": cases,
    }
    lines = json.dumps({**result, "cases": []}, indent=1)[: -len("[]\n}")]
    body = ",\n".join("  " + json.dumps(case) for case in cases)
    Path(__file__).with_name("references.json").write_text(f"{lines}[\n{body}\n ]\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
