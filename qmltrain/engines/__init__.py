"""How it is computed: one protocol, several engines (`reference`, `interpreter`, `cpu`, `cuda`)."""
