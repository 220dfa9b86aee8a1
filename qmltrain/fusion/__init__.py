"""From Circuit to Plan: lowering, moments, passes, cost. Pure: no arrays, no values, deterministic."""
