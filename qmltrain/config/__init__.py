"""The config: its schema, what is refused, and how it is stored.

Hydra composes into the dataclasses of `schema` (see `qmltrain.cli.composing`), which refuse unknown keys and wrong
types; `validation` refuses values that cannot be. `docs/config.md` opens with the same keys, defaults and comments.
"""
