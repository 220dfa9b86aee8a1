"""Operations that the answer does not need: found in a circuit by the planner, left out by the engines. A wing."""
