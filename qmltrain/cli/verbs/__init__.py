"""The verbs: one module each, with what it takes, its flags and its help. The work is in `qmltrain/verbs`."""
