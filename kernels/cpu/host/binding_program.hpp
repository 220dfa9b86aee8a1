// Program: the engine as Python sees it: checks shapes, releases the GIL, hands pointers over.
#pragma once
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binding_arrays.hpp"
#include "denormals.hpp"
#include "engine.hpp"

namespace qmltrain {

// Of this processor, the best first.
inline std::vector<const InstructionSet*> available() {
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

// Whether Intel made this processor.
inline bool is_intel() {
#if defined(QMLTRAIN_X86)
  __builtin_cpu_init();
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

inline std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet* s : available()) names.emplace_back(s->name);
  return names;
}

inline const InstructionSet& instruction_set(const std::string& name) {
  for (const InstructionSet* set : available())
    if (name == set->name) return *set;
  throw nb::value_error("instruction set is not available");
}

inline bool is_dual(const std::string& precision) {
  expect(precision == "complex64" || precision == "complex128", "precision is complex64 or complex128");
  return precision == "complex128";
}

inline Mode mode_of(const std::string& name) {
  if (name == "keep") return Mode::kKeep;
  if (name == "reversible") return Mode::kReversible;
  expect(name == "checkpoint", "mode is keep, reversible or checkpoint");
  return Mode::kCheckpoint;
}

// Whether none of its angles is a sample's.
inline bool is_shared(const PlanData& plan, const OperationData& operation) {
  if (operation.diagonal) return operation.sample_count == 0;
  for (int i = operation.first; i < operation.first + operation.count; i++)
    if (plan.gate_runs[std::size_t(plan.rotations[std::size_t(i)].gate_run)].per_sample) return false;
  return true;
}

inline bool finite(const double* p, std::size_t n) { return kStepKernelsBaseline.kernels->all_finite(p, n); }

struct StepHandle {
  std::shared_ptr<const StepAngles> angles;
};

struct TapeHandle {
  std::unique_ptr<Tape> tape;
};

// What work() calls of Python holds the GIL, and computes as Python does.
struct InPython {
  WithDenormals denormals;
  nb::gil_scoped_acquire held;
};

// work() without the GIL.
template <class Work> void guarded(Work work) {
  try {
    nb::gil_scoped_release free;
    const FlushDenormals flush;
    work();
  } catch (const Interrupted&) {
    if (PyErr_Occurred()) throw nb::python_error();
    throw;
  }
}

// What a training step is made for: a circuit on one engine, or on several (binding_joint.cpp).
class StepsProgram {
 public:
  virtual ~StepsProgram() = default;
  virtual StepEngine& engine() = 0;
  const std::string& set_name() const { return set_name_; }
  int n_shared() const { return n_shared_; }
  int n_per_sample() const { return n_per_sample_; }
  int n_strings() const { return n_strings_; }
  int n_qubits() const { return n_qubits_; }
  bool amplitude_encoded() const { return amplitude_encoded_; }

 protected:
  StepsProgram(int n_shared, int n_per_sample, int n_strings, int n_qubits, bool amplitude_encoded, std::string set_name)
      : n_shared_(n_shared), n_per_sample_(n_per_sample), n_strings_(n_strings), n_qubits_(n_qubits),
        amplitude_encoded_(amplitude_encoded), set_name_(std::move(set_name)) {}
  const int n_shared_, n_per_sample_, n_strings_, n_qubits_;
  const bool amplitude_encoded_;
  const std::string set_name_;
};

class Program final : public StepsProgram {
 public:
  Program(PlanData plan, const std::string& set_name, const std::string& precision, const std::string& mode,
          int interval, int threads, bool fusion, int share_row_bits, std::size_t table_bytes, bool own_matrix)
      : StepsProgram(plan.n_shared, plan.n_per_sample, int(plan.strings.size()), plan.n_qubits, plan.amplitude_encoded,
                     set_name),
        dual_(is_dual(precision)) {
    Settings settings;
    settings.mode = mode_of(mode);
    settings.interval = interval;
    settings.threads = threads;
    settings.fusion = fusion;
    settings.share_row_bits = share_row_bits;
    settings.table_bytes = table_bytes;
    settings.own_matrix = own_matrix;
    expect(share_row_bits >= kLowBits, "share_row_bits is too small");
    engine_ = make_engine(plan, instruction_set(set_name), dual_, settings);
    engine_->interrupted = [] {
      const InPython held;
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
  void set_blocks(const PlanData& plan, const std::vector<std::pair<int, int>>& ranges) {
    expect(plan.passes.size() == 1 && plan.n_qubits == n_qubits_ && !ranges.empty(), "blocks are of a plan in one pass");
    int last = 0;
    for (const auto& [first, end] : ranges) {
      expect(first >= last && end > first && end <= plan.passes[0].count, "blocks are ranges of operations in order");
      for (int o = first; o < end; o++) expect(is_shared(plan, plan.operations[std::size_t(o)]), "a block is shared");
      last = end;
    }
    nb::gil_scoped_release free;
    engine_->set_blocks(plan, ranges);
  }
  int n_raw() const { return engine_->n_raw(); }
  EngineBase& engine() override { return *engine_; }

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

  // masks, start: qmltrain.fusion.plan.Readout.
  void states(const StepHandle& step, Numbers per_sample, std::optional<Numbers> initial, Mask start,
              const std::vector<Mask>& masks, nb::ndarray<nb::c_contig, nb::device::cpu> states) {
    const Inputs in = inputs(step, per_sample, initial);
    expect(n_strings_ == 0, "states are of programs compiled without strings");
    expect(states.size() == std::size_t(in.batch) << n_qubits_ && states.itemsize() == (dual_ ? 16u : 8u),
           "states have the wrong shape");
    Readout readout{start, masks};
    expect(masks.size() == std::size_t(n_qubits_), "a readout has a mask for each qubit");
    for (Mask mask : masks) start |= mask;
    expect(start >> n_qubits_ == 0, "a readout is of addresses");
    guarded([&] { engine_->states(in, readout, states.data()); });
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
  std::unique_ptr<EngineBase> engine_;
  const bool dual_;
};

void bind_joint(nb::module_& module);  // binding_joint.cpp
void bind_steps(nb::module_& module);  // step/binding_steps.cpp

}  // namespace qmltrain
