// The Python module qmltrain.engines._cpu: checks shapes, releases the GIL, hands pointers to the engine.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include "../ranks/binding_node_memory.hpp"
#include "binding_program.hpp"
#include "metric_lines.hpp"
#include "shuffle.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace qmltrain;

// numbers of a vector
int lanes(const std::string& set_name, const std::string& precision) {
  const InstructionSet& set = instruction_set(set_name);
  return is_dual(precision) ? set.dual->lanes : set.single->lanes;
}

// columns as written by qmltrain.engines.cpu.plan_arrays
PlanData plan_data(int n_qubits, bool amplitude_encoded, bool real, int n_shared, int n_per_sample, bool sample_angles,
                   Ints gate_runs, Ints angle_ints, Numbers angle_numbers, Ints passes, Ints basis, Ints operations,
                   Ints rotations, Ints term_ints, Numbers term_numbers, Ints strings, Ints start) {
  const bool columns = gate_runs.shape(1) == 4 && angle_ints.shape(1) == 3 && angle_numbers.shape(1) == 2 &&
                       passes.shape(1) == 4 && basis.shape(1) == 1 && operations.shape(1) == 5 &&
                       rotations.shape(1) == 4 && term_ints.shape(1) == 4 && term_numbers.shape(1) == 2 &&
                       strings.shape(1) == 4 && start.shape(1) == 7;
  expect(columns, "plan arrays have the wrong number of columns");
  PlanData p;
  p.n_qubits = n_qubits, p.amplitude_encoded = amplitude_encoded, p.real = real;
  p.n_shared = n_shared, p.n_per_sample = n_per_sample, p.sample_angles = sample_angles;
  for (std::size_t i = 0; i < gate_runs.shape(0); i++) {
    const auto at = [&](std::size_t column) { return gate_runs(i, column); };
    p.gate_runs.push_back({at(0) != 0, at(1) != 0, int(at(2)), int(at(3))});
  }
  for (std::size_t i = 0; i < angle_ints.shape(0); i++)
    p.angles.push_back({int(angle_ints(i, 0)), int(angle_ints(i, 1)), angle_numbers(i, 0), angle_numbers(i, 1),
                        angle_ints(i, 2) != 0});
  for (std::size_t i = 0; i < passes.shape(0); i++) {
    PassData pass{{}, int(passes(i, 2)), int(passes(i, 3))};
    for (std::int64_t j = passes(i, 0); j < passes(i, 0) + passes(i, 1); j++)
      pass.basis.push_back(Mask(basis(std::size_t(j), 0)));
    p.passes.push_back(std::move(pass));
  }
  for (std::size_t i = 0; i < operations.shape(0); i++) {
    const auto at = [&](std::size_t column) { return int(operations(i, column)); };
    p.operations.push_back({at(0) != 0, at(1), at(2), at(3), at(4)});
  }
  for (std::size_t i = 0; i < rotations.shape(0); i++) {
    const auto at = [&](std::size_t column) { return rotations(i, column); };
    p.rotations.push_back({int(at(0)), Mask(at(1)), Mask(at(2)), at(3) != 0});
  }
  for (std::size_t i = 0; i < term_ints.shape(0); i++) {
    const auto at = [&](std::size_t column) { return term_ints(i, column); };
    p.terms.push_back(
        {Mask(at(0)), int(at(1)), int(at(2)), int(at(3)), term_numbers(i, 0), term_numbers(i, 1)});
  }
  for (std::size_t i = 0; i < strings.shape(0); i++) {
    const auto at = [&](std::size_t column) { return strings(i, column); };
    p.strings.push_back({Mask(at(0)), Mask(at(1)), int(at(2)), int(at(3))});
  }
  for (std::size_t i = 0; i < start.shape(0); i++) {
    const auto at = [&](std::size_t column) { return int(start(i, column)); };
    p.start.push_back({at(0), at(1), at(2) != 0, at(3), at(4), at(5), at(6)});
  }
  return p;
}

bool all_finite(nb::ndarray<const double, nb::c_contig, nb::device::cpu> values) {
  return finite(values.data(), values.size());
}

// generator: state and increment, upper halves first
void shuffle_rows(const std::vector<std::uint64_t>& generator,
                  nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> rows) {
  expect(generator.size() == 4, "shuffle: state and increment of a generator, two numbers of 64 bits each");
  expect(rows.size() <= std::size_t(1) << 32, "shuffle: at most 2^32 rows");
  const nb::gil_scoped_release released;
  shuffle({{generator[0], generator[1]}, {generator[2], generator[3]}}, rows.data(), rows.size());
}

#if defined(QMLTRAIN_TO_CHARS)
nb::bytes lines_of_columns(const std::vector<std::string>& before,
                           const std::vector<nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>>& arrays) {
  expect(!arrays.empty() && before.size() == arrays.size(), "metric_lines: one text before each of the columns");
  const std::size_t rows = arrays[0].shape(0);
  std::vector<LineColumn> columns;
  for (const auto& array : arrays) {
    expect(array.shape(0) == rows, "metric_lines: columns of one length");
    const bool integers = array.dtype() == nb::dtype<std::int64_t>();
    expect(integers || array.dtype() == nb::dtype<double>(), "metric_lines: columns of int64 or float64");
    columns.push_back({integers ? static_cast<const std::int64_t*>(array.data()) : nullptr,
                       integers ? nullptr : static_cast<const double*>(array.data())});
  }
  const std::string lines = metric_lines(before, columns, rows);
  return nb::bytes(lines.data(), lines.size());
}
#endif

}  // namespace

NB_MODULE(_cpu, m) {
  m.doc() = "The fused CPU engine: executes Plans forward and backward.";
  m.attr("interface") = 21;  // raise it, and INTERFACE in extension.py, whenever what passes between them changes
  m.attr("block") = kBlock;
  nb::class_<PlanData>(m, "PlanData");
  m.def("plan_data", &plan_data);
  m.def("instruction_sets", &instruction_sets);
  m.attr("intel") = is_intel();
  m.def("lanes", &lanes, "instruction_set"_a, "precision"_a);
  m.def("all_finite", &all_finite);
  m.def("shuffle", &shuffle_rows, "generator"_a, "rows"_a.noconvert());
  nb::class_<StepHandle>(m, "Step");
  nb::class_<TapeHandle>(m, "Tape");
  nb::class_<StepsProgram>(m, "StepsProgram");
  nb::class_<Program, StepsProgram>(m, "Program")
      .def(nb::init<PlanData, const std::string&, const std::string&, const std::string&, int, int, bool, int,
                    std::size_t, bool>(),
           "plan"_a, nb::kw_only(), "instruction_set"_a, "precision"_a, "mode"_a, "interval"_a, "threads"_a,
           "fusion"_a, "share_row_bits"_a, "table_bytes"_a, "own_matrix"_a)
      .def("add_shape", &Program::add_shape, "plan"_a, "lane_bits"_a)
      .def("set_blocks", &Program::set_blocks, "plan"_a, "ranges"_a)
      .def("use_shape", &Program::use_shape, "samples"_a, "lane_bits"_a)
      .def_prop_ro("n_raw", &Program::n_raw)
      .def("begin_step", &Program::begin_step, "shared"_a)
      .def("forward", &Program::forward, "step"_a, "per_sample"_a, "initial"_a.none(), "expectations"_a)
      .def("evaluate", &Program::evaluate, "step"_a, "per_sample"_a, "initial"_a.none(), "expectations"_a)
      .def("states", &Program::states, "step"_a, "per_sample"_a, "initial"_a.none(), "start"_a, "masks"_a, "states"_a)
      .def("backward", &Program::backward, "tape"_a, "cotangents"_a, "block_sums"_a, "per_sample"_a, "drift"_a,
           "shared"_a.none(), "initial"_a.none())
      .def("expectation_gradient", &Program::expectation_gradient, "step"_a, "per_sample"_a, "initial"_a.none(),
           "cotangents"_a, "expectations"_a, "gradient"_a, "per_sample_out"_a.none())
      .def("slot_gradient", &Program::slot_gradient, "step"_a, "total"_a, "gradient"_a);
  bind_joint(m);
  bind_steps(m);
  bind_node_memory(m);
#if defined(QMLTRAIN_TO_CHARS)
  m.def("metric_lines", &lines_of_columns, "before"_a, "columns"_a);
#endif
}
