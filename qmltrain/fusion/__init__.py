"""From Circuit to Plan: lowering, runs, steps, passes, cost. Pure: no arrays, no values, deterministic."""
