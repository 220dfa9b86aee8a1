"""Circuits of Sim et al. as the gates of their drawings, written here by hand."""

from __future__ import annotations

from tests.circuit.library.ansatz_alone import lines


def test_sim_circuits() -> None:
    rx_rz = ["rx 0 t0", "rx 1 t1", "rx 2 t2", "rz 0 t3", "rz 1 t4", "rz 2 t5"]
    assert lines(3, "sim_2") == [*rx_rz, "cx 2 1", "cx 1 0"]
    assert lines(3, "sim_19") == [*rx_rz, "crx 2 0 t6", "crx 1 2 t7", "crx 0 1 t8"]
    for name, gate in (("sim_13", "crz"), ("sim_14", "crx")):
        assert lines(3, name) == [
            *["ry 0 t0", "ry 1 t1", "ry 2 t2", f"{gate} 2 0 t3", f"{gate} 1 2 t4", f"{gate} 0 1 t5"],
            *["ry 0 t6", "ry 1 t7", "ry 2 t8", f"{gate} 2 1 t9", f"{gate} 0 2 t10", f"{gate} 1 0 t11"],
        ]
    assert lines(3, "sim_15") == [
        *["ry 0 t0", "ry 1 t1", "ry 2 t2", "cx 2 0", "cx 1 2", "cx 0 1"],
        *["ry 0 t3", "ry 1 t4", "ry 2 t5", "cx 2 1", "cx 0 2", "cx 1 0"],
    ]
