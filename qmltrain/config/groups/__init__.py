"""One module a config group: its keys with type, default, rule and comment, once; and what its values must satisfy
together."""
