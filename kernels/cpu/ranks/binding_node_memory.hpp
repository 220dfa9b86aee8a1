// NodeMemory as Python sees it.
#pragma once
#include <vector>

#include "../host/binding_arrays.hpp"
#include "node_memory.hpp"

namespace qmltrain {

class NodeMemoryHandle {
 public:
  using Memory = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  using Words = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  using AllWords = nb::ndarray<std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

  NodeMemoryHandle(Memory memory, int rank, int ranks);
  void words(const Words& own, const AllWords& all);
  void numbers(const Out& numbers, const std::vector<std::int64_t>& counts);
  NodeMemory& places() { return places_; }

 private:
  Memory memory_;  // keeps it mapped
  NodeMemory places_;
};

void bind_node_memory(nb::module_& m);

}  // namespace qmltrain
