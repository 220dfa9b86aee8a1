"""qmltrain: exact batch training of parametrised quantum circuits, fused forward and backward."""

__version__ = "0.1.0"
