"""A plan as tile passes of a GPU: which tile is in fast memory when, and the records that its kernel executes."""
