// tile_pass_two.cu - the way forward of passes as in tile_pass_lean.cu, two samples in each thread. See tile_pass.cuh.
#include "tile_pass.cuh"

KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_forward(const PassArguments arguments) {
  tile_pass<false, true, true>(arguments);
}
EXPORT_KERNEL(tile_pass_forward)
