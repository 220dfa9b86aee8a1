"""A trained model around its circuit, from raw samples to predictions, as source of plain NumPy."""
