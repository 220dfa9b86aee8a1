// NodeMemory for Python: shapes are checked; a rank that waits holds no lock of Python's, and hears signals.
#include "binding_node_memory.hpp"

#include <nanobind/stl/vector.h>

#include <numeric>

#include "../host/binding_program.hpp"

using namespace nanobind::literals;

namespace qmltrain {

namespace {

void hear_signals() {
  const InPython held;
  if (PyErr_CheckSignals() != 0) throw Interrupted();
}

void* checked(const NodeMemoryHandle::Memory& memory, int rank, int ranks) {
  expect(ranks >= 1 && rank >= 0 && rank < ranks, "ranks: no such rank");
  expect(memory.size() >= NodeMemory::bytes(ranks), "memory: too small for so many ranks");
  expect(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0, "memory: not on a line of the cache");
  return memory.data();
}

}  // namespace

NodeMemoryHandle::NodeMemoryHandle(Memory memory, int rank, int ranks)
    : memory_(std::move(memory)), places_(checked(memory_, rank, ranks), rank, ranks, hear_signals) {}

void NodeMemoryHandle::words(const Words& own, const AllWords& all) {
  expect(own.size() == NodeMemory::kWords && all.shape(1) == NodeMemory::kWords &&
             all.shape(0) == std::size_t(places_.ranks()), "words: wrong shapes");
  guarded([&] { places_.words(own.data(), all.data()); });
}

void NodeMemoryHandle::numbers(const Out& numbers, const std::vector<std::int64_t>& counts) {
  expect(counts.size() == std::size_t(places_.ranks()), "counts: one for each rank");
  for (const std::int64_t count : counts) expect(count >= 0, "counts: below zero");
  expect(std::accumulate(counts.begin(), counts.end(), std::int64_t(0)) == std::int64_t(numbers.size()),
         "numbers: not as many as counted");
  guarded([&] { places_.numbers(numbers.data(), counts); });
}

void bind_node_memory(nb::module_& m) {
  nb::class_<NodeMemoryHandle>(m, "NodeMemory")
      .def(nb::init<NodeMemoryHandle::Memory, int, int>(), "memory"_a, nb::kw_only(), "rank"_a, "ranks"_a)
      .def_static("bytes", &NodeMemory::bytes, "ranks"_a)
      .def("words", &NodeMemoryHandle::words, "own"_a, "all"_a)
      .def("numbers", &NodeMemoryHandle::numbers, "numbers"_a, "counts"_a);
}

}  // namespace qmltrain
