// The Python module qmltrain.engines._cpu: checks shapes, releases the GIL, hands pointers to the engine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "engine.hpp"
#include "metric_lines.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace qmltrain;

using Ints = nb::ndarray<const std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Vector1 = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<double, nb::c_contig, nb::device::cpu>;

std::vector<const InstructionSet*> available() {
  std::vector<const InstructionSet*> sets;
#if defined(QMLTRAIN_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    sets.push_back(&kAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back(&kAvx2);
#endif
  sets.push_back(&kBaseline);
  return sets;
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet* s : available()) names.emplace_back(s->name);
  return names;
}

void expect(bool right, const char* what) {
  if (!right) throw nb::value_error(what);
}

const InstructionSet& instruction_set(const std::string& name) {
  for (const InstructionSet* set : available())
    if (name == set->name) return *set;
  throw nb::value_error("instruction set is not available");
}

bool is_dual(const std::string& precision) {
  expect(precision == "complex64" || precision == "complex128", "precision is complex64 or complex128");
  return precision == "complex128";
}

// numbers of a vector
int lanes(const std::string& set_name, const std::string& precision) {
  const InstructionSet& set = instruction_set(set_name);
  return is_dual(precision) ? set.dual->lanes : set.single->lanes;
}

Mode mode_of(const std::string& name) {
  if (name == "keep") return Mode::kKeep;
  if (name == "reversible") return Mode::kReversible;
  expect(name == "checkpoint", "mode is keep, reversible or checkpoint");
  return Mode::kCheckpoint;
}

// columns as written by qmltrain.engines.cpu.plan_arrays
PlanData plan_data(int n_qubits, bool amplitude_encoded, int n_shared, int n_per_sample, Ints gate_runs,
                   Ints angle_ints, Numbers angle_numbers, Ints passes, Ints basis, Ints operations, Ints rotations,
                   Ints term_ints, Numbers term_numbers, Ints strings) {
  const bool columns = gate_runs.shape(1) == 4 && angle_ints.shape(1) == 2 && angle_numbers.shape(1) == 2 &&
                       passes.shape(1) == 4 && basis.shape(1) == 1 && operations.shape(1) == 5 &&
                       rotations.shape(1) == 4 && term_ints.shape(1) == 4 && term_numbers.shape(1) == 2 &&
                       strings.shape(1) == 4;
  expect(columns, "plan arrays have the wrong number of columns");
  PlanData p;
  p.n_qubits = n_qubits, p.amplitude_encoded = amplitude_encoded, p.n_shared = n_shared, p.n_per_sample = n_per_sample;
  for (std::size_t i = 0; i < gate_runs.shape(0); i++) {
    const auto at = [&](std::size_t column) { return gate_runs(i, column); };
    p.gate_runs.push_back({at(0) != 0, at(1) != 0, int(at(2)), int(at(3))});
  }
  for (std::size_t i = 0; i < angle_ints.shape(0); i++)
    p.angles.push_back({int(angle_ints(i, 0)), int(angle_ints(i, 1)), angle_numbers(i, 0), angle_numbers(i, 1)});
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
  return p;
}

// Whether every number is finite, by its bits: no compiler flag can optimise this away.
bool finite(const double* p, std::size_t n) {
  std::uint64_t bad = 0;
  for (std::size_t i = 0; i < n; i++) {
    std::uint64_t bits;
    std::memcpy(&bits, p + i, 8);
    bad |= (bits & 0x7ff0000000000000u) + 0x0010000000000000u;  // an exponent of all ones carries into the sign
  }
  return !(bad >> 63);
}

bool all_finite(nb::ndarray<const double, nb::c_contig, nb::device::cpu> values) {
  return finite(values.data(), values.size());
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

struct StepHandle {
  std::shared_ptr<const StepAngles> angles;
};

struct TapeHandle {
  std::unique_ptr<Tape> tape;
};

class Program {
 public:
  Program(PlanData plan, const std::string& set_name, const std::string& precision, const std::string& mode,
          int interval, int threads, bool fusion, int share_row_bits, std::size_t table_bytes)
      : n_shared_(plan.n_shared), n_per_sample_(plan.n_per_sample), n_strings_(int(plan.strings.size())),
        n_qubits_(plan.n_qubits), amplitude_encoded_(plan.amplitude_encoded), dual_(is_dual(precision)) {
    Settings settings;
    settings.mode = mode_of(mode);
    settings.interval = interval;
    settings.threads = threads;
    settings.fusion = fusion;
    settings.share_row_bits = share_row_bits;
    settings.table_bytes = table_bytes;
    expect(share_row_bits >= kLowBits, "share_row_bits is too small");
    engine_ = make_engine(plan, instruction_set(set_name), dual_, settings);
    engine_->interrupted = [] {
      nb::gil_scoped_acquire held;
      return PyErr_CheckSignals() != 0;
    };
  }

  void add_shape(const PlanData& plan, int lane_bits) {
    nb::gil_scoped_release free;
    engine_->add_shape(plan, lane_bits);
  }
  void use_shape(int samples, int lane_bits) {
    expect(samples >= 1 && samples <= kBlock, "a block has 1 to 16 samples");
    engine_->use_shape(samples, lane_bits);
  }
  int n_raw() const { return engine_->n_raw(); }

  StepHandle begin_step(Vector1 shared) const {
    expect(shared.size() == std::size_t(n_shared_), "shared slots have the wrong length");
    return {std::make_shared<const StepAngles>(StepAngles{{shared.data(), shared.data() + shared.size()}})};
  }

  TapeHandle* forward(const StepHandle& step, Numbers per_sample, std::optional<Numbers> initial, Out expectations) {
    const Inputs in = inputs(step, per_sample, initial);
    expect(expectations.size() == std::size_t(in.batch) * n_strings_, "expectations have the wrong shape");
    auto handle = std::make_unique<TapeHandle>();
    guarded([&] { handle->tape = engine_->forward(in, expectations.data()); });
    return handle.release();
  }

  void evaluate(const StepHandle& step, Numbers per_sample, std::optional<Numbers> initial, Out expectations) {
    const Inputs in = inputs(step, per_sample, initial);
    expect(expectations.size() == std::size_t(in.batch) * n_strings_, "expectations have the wrong shape");
    guarded([&] { engine_->evaluate(in, expectations.data()); });
  }

  void backward(TapeHandle& tape, Numbers cotangents, Out block_sums, Out per_sample, Out drift,
                std::optional<Out> shared, nb::object initial) {
    expect(bool(tape.tape), "backward was called already");
    const int batch = tape.tape->inputs.batch;
    expect(cotangents.shape(0) == std::size_t(batch) && cotangents.shape(1) == std::size_t(n_strings_),
           "cotangents have the wrong shape");
    Gradients out = gradients(batch, block_sums, per_sample);
    expect(drift.size() == std::size_t(batch), "drift has the wrong shape");
    out.drift = drift.data();
    if (shared) {
      expect(shared->size() == std::size_t(batch) * n_shared_, "shared gradients have the wrong shape");
      out.shared = shared->data();
    }
    if (!initial.is_none()) {
      auto array = nb::cast<nb::ndarray<nb::c_contig, nb::device::cpu>>(initial);
      expect(array.size() == std::size_t(batch) << n_qubits_ && array.itemsize() == (dual_ ? 16u : 8u),
             "initial has the wrong shape");
      out.initial = array.data();
    }
    guarded([&] { engine_->backward(*tape.tape, cotangents.data(), out); });
    tape.tape.reset();
  }

  bool expectation_gradient(const StepHandle& step, Numbers per_sample, std::optional<Numbers> initial,
                            Numbers cotangents, Out expectations, Out gradient, std::optional<Out> per_sample_out) {
    const Inputs in = inputs(step, per_sample, initial);
    const bool per_row = cotangents.shape(0) == std::size_t(in.batch);
    expect((per_row || cotangents.shape(0) == 1) && cotangents.shape(1) == std::size_t(n_strings_),
           "cotangents have the wrong shape");
    expect(expectations.size() == std::size_t(in.batch) * n_strings_, "expectations have the wrong shape");
    expect(gradient.size() == std::size_t(n_shared_), "gradient has the wrong shape");
    Gradients out;
    if (per_sample_out) {
      expect(per_sample_out->size() == std::size_t(in.batch) * n_per_sample_,
             "per-sample gradients have the wrong shape");
      out.per_sample = per_sample_out->data();
    }
    // a diagonal's angles become integers, which cannot hold NaN
    if (!finite(in.per_sample, per_sample.size())) return false;
    guarded([&] {
      engine_->expectation_gradient(in, cotangents.data(), per_row, expectations.data(), out, gradient.data());
    });
    return finite(expectations.data(), expectations.size()) && finite(gradient.data(), gradient.size()) &&
           (!per_sample_out || finite(per_sample_out->data(), per_sample_out->size()));
  }

  void slot_gradient(const StepHandle& step, Vector1 total, Out gradient) {
    expect(total.size() == std::size_t(engine_->n_raw()) && step.angles->shared.size() == std::size_t(n_shared_) &&
               gradient.size() == std::size_t(n_shared_), "slot_gradient: wrong shapes");
    std::fill(gradient.data(), gradient.data() + n_shared_, 0.0);
    engine_->slot_gradient(total.data(), step.angles, gradient.data());
  }

 private:
  Inputs inputs(const StepHandle& step, Numbers& per_sample, std::optional<Numbers>& initial) const {
    const std::size_t batch = per_sample.shape(0);
    expect(step.angles->shared.size() == std::size_t(n_shared_), "the step belongs to another program");
    expect(batch > 0 && per_sample.shape(1) == std::size_t(n_per_sample_), "per-sample slots have the wrong shape");
    expect(bool(initial) == amplitude_encoded_,
           "initial states go with amplitude-encoded circuits, and only with them");
    if (initial)
      expect(initial->shape(0) == batch && initial->shape(1) == std::size_t(1) << n_qubits_,
             "initial states have the wrong shape");
    return {int(batch), step.angles, per_sample.data(), initial ? initial->data() : nullptr};
  }
  Gradients gradients(int batch, Out& block_sums, Out& per_sample) const {
    const std::size_t blocks = std::size_t((batch + kBlock - 1) / kBlock);
    expect(block_sums.size() == blocks * std::size_t(engine_->n_raw()), "block sums have the wrong shape");
    expect(per_sample.size() == std::size_t(batch) * n_per_sample_, "per-sample gradients have the wrong shape");
    Gradients out;
    out.block_sums = block_sums.data(), out.per_sample = per_sample.data();
    return out;
  }
  template <class Work> void guarded(Work work) {
    try {
      nb::gil_scoped_release free;
      work();
    } catch (const Interrupted&) {
      if (PyErr_Occurred()) throw nb::python_error();
      throw;
    }
  }

  std::unique_ptr<EngineBase> engine_;
  int n_shared_, n_per_sample_, n_strings_, n_qubits_;
  bool amplitude_encoded_, dual_;
};

}  // namespace

NB_MODULE(_cpu, m) {
  m.doc() = "The fused CPU engine: executes Plans forward and backward.";
  m.attr("interface") = 7;  // raise it, and INTERFACE in extension.py, whenever what passes between them changes
  m.attr("block") = kBlock;
  nb::class_<PlanData>(m, "PlanData");
  m.def("plan_data", &plan_data);
  m.def("instruction_sets", &instruction_sets);
  m.def("lanes", &lanes, "instruction_set"_a, "precision"_a);
  m.def("all_finite", &all_finite);
#if defined(QMLTRAIN_TO_CHARS)
  m.def("metric_lines", &lines_of_columns, "before"_a, "columns"_a);
#endif
  nb::class_<StepHandle>(m, "Step");
  nb::class_<TapeHandle>(m, "Tape");
  nb::class_<Program>(m, "Program")
      .def(nb::init<PlanData, const std::string&, const std::string&, const std::string&, int, int, bool, int,
                    std::size_t>(),
           "plan"_a, nb::kw_only(), "instruction_set"_a, "precision"_a, "mode"_a, "interval"_a, "threads"_a,
           "fusion"_a, "share_row_bits"_a, "table_bytes"_a)
      .def("add_shape", &Program::add_shape, "plan"_a, "lane_bits"_a)
      .def("use_shape", &Program::use_shape, "samples"_a, "lane_bits"_a)
      .def_prop_ro("n_raw", &Program::n_raw)
      .def("begin_step", &Program::begin_step, "shared"_a)
      .def("forward", &Program::forward, "step"_a, "per_sample"_a, "initial"_a.none(), "expectations"_a)
      .def("evaluate", &Program::evaluate, "step"_a, "per_sample"_a, "initial"_a.none(), "expectations"_a)
      .def("backward", &Program::backward, "tape"_a, "cotangents"_a, "block_sums"_a, "per_sample"_a, "drift"_a,
           "shared"_a.none(), "initial"_a.none())
      .def("expectation_gradient", &Program::expectation_gradient, "step"_a, "per_sample"_a, "initial"_a.none(),
           "cotangents"_a, "expectations"_a, "gradient"_a, "per_sample_out"_a.none())
      .def("slot_gradient", &Program::slot_gradient, "step"_a, "total"_a, "gradient"_a);
}
