// tile_pass_lean.cu - passes without per-sample rotations, general diagonals and sums of w. See tile_pass.cuh.
#include "tile_pass.cuh"

KERNEL __launch_bounds__(THREADS, LEAN_FORWARD_BLOCKS) tile_pass_forward(const PassArguments arguments) {
  tile_pass<false, true, false>(arguments);
}
KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_backward(const PassArguments arguments) {
  tile_pass<true, true, true>(arguments);
}
EXPORT_KERNEL(tile_pass_forward)
EXPORT_KERNEL(tile_pass_backward)
