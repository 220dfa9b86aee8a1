// tile_pass.cu - passes of any records. See tile_pass.cuh.
#include "tile_pass.cuh"

KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_forward(const PassArguments arguments) {
  tile_pass<false, false, false>(arguments);
}
KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_backward(const PassArguments arguments) {
  tile_pass<true, false, true>(arguments);
}
EXPORT_KERNEL(tile_pass_forward)
EXPORT_KERNEL(tile_pass_backward)
