"""Circuits of other programs: OpenQASM in and out, PennyLane and Qiskit out. Nothing but `ansatz=qasm` and the verb
`export` needs it."""
