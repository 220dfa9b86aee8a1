// Engine: blocks, units and bundles of a chunk, who works on which, and the order in which their sums are added.
#include "engine.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string>

#include "execution.hpp"
#include "execution_backward.hpp"
#include "execution_calls.hpp"
#include "execution_forward.hpp"
#include "execution_gradients.hpp"
#include "execution_observe.hpp"
#include "execution_product.hpp"
#include "execution_shares.hpp"
#include "execution_samples.hpp"
#include "execution_start.hpp"
#include "execution_states.hpp"
#include "prepared_calls.hpp"
#include "prepared_shape.hpp"
#include "prepared_tables.hpp"
#include "prepared_values.hpp"
#include "shared_blocks.hpp"
#include "shared_blocks_matrices.hpp"
#include "shared_matrix.hpp"

namespace qmltrain {

namespace {

// Units go through the kernels together while their states are no longer than this.
constexpr std::size_t kBundleBytes = 8 << 10;

const RealKernelSet& real_kernels(const std::string& name) {
  const RealKernelSet* sets[] = {
#if defined(QMLTRAIN_X86)
      &kRealAvx512, &kRealAvx2,
#endif
      &kRealBaseline};
  for (const RealKernelSet* set : sets)
    if (name == set->name) return *set;
  throw std::invalid_argument("no instruction set is called " + name);
}

template <class Real> const Kernels<Real>& kernels_of(const InstructionSet& set, bool real) {
  if (real) {
    if constexpr (sizeof(Real) == 4) return *real_kernels(set.name).single;
    else return *real_kernels(set.name).dual;
  }
  if constexpr (sizeof(Real) == 4) return *set.single;
  else return *set.dual;
}
template <class Real> const MatrixKernels<Real>& matrix_kernels_of(const StepKernelSet& set) {
  if constexpr (sizeof(Real) == 4) return *set.single;
  else return *set.dual;
}

template <class Real> const BlockKernels<Real>& block_kernels_of(const StepKernelSet& set) {
  if constexpr (sizeof(Real) == 4) return *set.single_blocks;
  else return *set.dual_blocks;
}

}  // namespace

const StepKernelSet& step_kernels(const std::string& name) {
  const StepKernelSet* sets[] = {
#if defined(QMLTRAIN_X86)
      &kStepKernelsAvx512, &kStepKernelsAvx2,
#endif
      &kStepKernelsBaseline};
  for (const StepKernelSet* set : sets)
    if (name == set->name) return *set;
  throw std::invalid_argument("no instruction set is called " + name);
}

void tree_sum(double* rows, int count, std::size_t n, std::size_t stride) {
  while (count > 1) {
    for (int i = 0; i < count / 2; i++) {
      double* to = rows + std::size_t(i) * stride;
      const double *a = rows + std::size_t(2 * i) * stride, *b = a + stride;
      for (std::size_t k = 0; k < n; k++) to[k] = a[k] + b[k];
    }
    const double* last = rows + std::size_t(count - 1) * stride;
    if (count % 2) std::copy(last, last + n, rows + std::size_t(count / 2) * stride);
    count = (count + 1) / 2;
  }
}

template <class Real> class Engine final : public EngineBase {
 public:
  Engine(const PlanData& plan, const InstructionSet& set, const Settings& settings)
      : plan_(plan), settings_(settings), gate_runs_(plan_, *set.arithmetic), team_(settings.threads),
        workers_(std::size_t(team_.threads())),
        context_{plan_, kernels_of<Real>(set, plan.real), *set.arithmetic, settings_, gate_runs_, team_, workers_,
                 std::size_t(kernels_of<Real>(set, plan.real).lanes), plan.real ? 1 : 2,
                 std::size_t(kernels_of<Real>(set, plan.real).lanes) * sizeof(Real) * (plan.real ? 1 : 2)},
        matrix_(context_, matrix_kernels_of<Real>(step_kernels(set.name))),
        blocks_(context_, block_kernels_of<Real>(step_kernels(set.name))),
        check_([this](bool calling) { check(calling); }) {
    shapes_.resize(kMaxLaneBits + 1);
    lane_bits_of_.fill(-1);
  }

  int n_raw() const override { return gate_runs_.n_raw(); }
  void add_shape(const PlanData& plan, int lane_bits) override {
    shapes_[std::size_t(lane_bits)] = std::make_unique<PreparedShape<Real>>(context_, plan, lane_bits);
    prepared_.reset();
  }

  void set_blocks(const PlanData& plan, const std::vector<std::pair<int, int>>& ranges) override {
    std::vector<OperationRange> operations;
    for (const auto& [first, last] : ranges) operations.push_back({first, last});
    blocks_.set(plan, operations);
    prepared_.reset();
  }
  void use_shape(int samples, int lane_bits) override { lane_bits_of_[std::size_t(samples)] = lane_bits; }

  std::unique_ptr<Tape> forward(const Inputs& in, double* expectations) override {
    prepare(in.angles);
    auto tape = std::make_unique<Tape>(pool_);
    tape->inputs = in;
    tape->per_sample.assign(in.per_sample, in.per_sample + std::size_t(in.batch) * plan_.n_per_sample);
    if (in.initial) tape->initial.assign(in.initial, in.initial + (std::size_t(in.batch) << plan_.n_qubits));
    tape->inputs.per_sample = tape->per_sample.data();
    tape->inputs.initial = in.initial ? tape->initial.data() : nullptr;
    const std::vector<Bundle> bundles = make_bundles(in.batch);
    tape->states.resize(bundles.size());
    for (Buffer& of_bundle : tape->states) {
      if (pool_->empty()) break;
      of_bundle = std::move(pool_->back());
      pool_->pop_back();
    }
    each_bundle(bundles, [&](const Bundle& bundle, int thread, bool one_thread) {
      const PreparedShape<Real>& shape = *shapes_[std::size_t(bundle.lane_bits)];
      Buffer& states = tape->states[std::size_t(bundle.index)];
      states.reserve(shape.unit_bytes() * std::size_t(bundle.count));
      Worker& worker = workers_[std::size_t(thread)];
      Execution<Real> execution{context_, shape, bundle, tape->inputs, worker, one_thread, states.get(), check_};
      execution.forward();
      execution.observe({}, StringValues::rows(expectations, plan_.strings.size()));
    });
    return tape;
  }

  void evaluate(const Inputs& in, double* expectations) override {
    each_final(in, [&](Execution<Real>& execution) {
      execution.observe({}, StringValues::rows(expectations, plan_.strings.size()));
    });
  }
  void states(const Inputs& in, const Readout& readout, void* states) override {
    each_final(in, [&](Execution<Real>& execution) {
      execution.read_states(readout, static_cast<std::complex<Real>*>(states));
    });
  }

  void backward(Tape& tape, const double* cotangents, const Gradients& out) override {
    prepare(tape.inputs.angles);
    execute_backward(tape.inputs, &tape, cotangents, true, nullptr, out);
  }

  void expectation_gradient(const Inputs& in, const double* cotangents, bool per_row, double* expectations,
                            const Gradients& out, double* gradient) override {
    prepare(in.angles);
    const int blocks = (in.batch + kBlock - 1) / kBlock;
    block_sums_.resize(std::size_t(blocks) * std::size_t(n_raw()));
    Gradients with_blocks = out;
    with_blocks.block_sums = block_sums_.data();
    execute_backward(in, nullptr, cotangents, per_row, expectations, with_blocks);
    tree_sum(block_sums_.data(), blocks, std::size_t(n_raw()), std::size_t(n_raw()));
    std::fill(gradient, gradient + plan_.n_shared, 0.0);
    gate_runs_.slot_gradient(block_sums_.data(), gradient);
  }

  void slot_gradient(const double* total, const std::shared_ptr<const StepAngles>& angles, double* gradient) override {
    prepare(angles);
    gate_runs_.slot_gradient(total, gradient);
  }

  // engine_step.hpp
  double step(const std::shared_ptr<const StepAngles>& angles, int first, int count, const SampleChain& chain,
              double* block_sums, bool add) override;
  bool as_matrix(int batch, bool sample_gradients) override;
  void work_alone(bool alone) override { team_.work_alone(alone); }
  void one_bundle_at_a_time(bool one) override { one_bundle_ = one; }
  int threads() const override { return team_.threads(); }

 private:
  // Memory of earlier tapes lent to the workers: long states lie there once, not once more for an evaluation.
  struct Lent {
    Lent(std::vector<Worker>& to, StatePool& from) : workers(to), pool(from) {
      for (Worker& worker : workers) {
        if (pool.empty()) break;
        worker.states = std::move(pool.back());
        pool.pop_back();
      }
    }
    ~Lent() {
      for (Worker& worker : workers)
        if (worker.states.get()) pool.push_back(std::move(worker.states));
    }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    std::vector<Worker>& workers;
    StatePool& pool;
  };

  // Angles are worked out once per step; shapes follow when a block needs them.
  void prepare(const std::shared_ptr<const StepAngles>& angles) {
    if (prepared_ == angles) return;
    gate_runs_.prepare(angles->shared.data());
    for (auto& shape : shapes_)
      if (shape) shape->forget();
    blocks_.forget();
    prepared_ = angles;
  }

  std::vector<Bundle> make_bundles(int batch) {
    std::vector<Bundle> bundles;
    int n_units = 0;
    for (int first = 0; first < batch; first += kBlock) {
      const int in_block = std::min(kBlock, batch - first), b = lane_bits_of_[std::size_t(in_block)];
      PreparedShape<Real>* prepared = b < 0 ? nullptr : shapes_[std::size_t(b)].get();
      if (!prepared) throw std::logic_error("no shape for a block of " + std::to_string(in_block) + " samples");
      const int per_unit = int(context_.lanes) >> b;
      if (!prepared->prepared()) prepared->prepare(prepared_->shared.data());
      const Shape& shape = prepared->shape;
      const bool simple =
          shape.resident && !shape.share_bits && settings_.interval <= 0 && settings_.mode != Mode::kCheckpoint;
      const std::size_t fitting = kBundleBytes / prepared->state_bytes();
      const int most = simple ? int(std::clamp<std::size_t>(fitting, 1, kMostBundled)) : 1;
      for (int f = first; f < first + in_block; f += per_unit) {
        if (bundles.empty() || bundles.back().lane_bits != b || bundles.back().count >= most)
          bundles.push_back({int(bundles.size()), b, 0, {}});
        const int count = std::min(per_unit, first + in_block - f);
        bundles.back().unit[bundles.back().count++] = {n_units++, first / kBlock, f, count};
      }
    }
    return bundles;
  }

  // job(bundle, thread, whether others are worked on at the same time: else its tiles may use the whole team)
  template <class Job> void each_bundle(const std::vector<Bundle>& bundles, Job job) { each_bundle(bundles, 0, job); }

  // from bundle `first` on
  template <class Job> void each_bundle(const std::vector<Bundle>& bundles, std::size_t first, Job job) {
    const int threads = team_.threads(), n = int(bundles.size() - first);
    if (!n) return;
    bool tiled = false;
    for (std::size_t i = first; i < bundles.size(); i++) {
      const Shape& shape = shapes_[std::size_t(bundles[i].lane_bits)]->shape;
      tiled = tiled || !shape.resident || shape.share_bits;
    }
    begin_jobs();
    if (team_.alone() || one_bundle_ || (tiled && n < 2 * threads && n % threads) || n == 1) {
      for (std::size_t i = first; i < bundles.size(); i++) {
        job(bundles[i], 0, false);
        check(true);
      }
    } else {
      team_.do_jobs(n, [&](int i, int thread) {
        job(bundles[first + std::size_t(i)], thread, true);
        check(thread == 0);
      });
    }
  }

  // look(execution) at the final states of every bundle; nothing is kept of them.
  template <class Look> void each_final(const Inputs& in, Look look) {
    prepare(in.angles);
    if (blocks_.on()) return each_final_of_blocks(in, look);
    const Lent lent(workers_, *pool_);
    each_bundle(make_bundles(in.batch), [&](const Bundle& bundle, int thread, bool one_thread) {
      const PreparedShape<Real>& shape = *shapes_[std::size_t(bundle.lane_bits)];
      Worker& worker = workers_[std::size_t(thread)];
      worker.states.reserve(shape.unit_bytes() * std::size_t(bundle.count));
      Execution<Real> execution{context_, shape, bundle, in, worker, one_thread, worker.states.get(), check_};
      execution.forward();
      look(execution);
    });
  }

  void begin_jobs() {
    cancelled_ = false;
    last_check_ = std::chrono::steady_clock::now();
  }

  void check(bool calling_thread) {
    if (cancelled_) throw Interrupted();
    if (!calling_thread || !interrupted) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_check_ < std::chrono::milliseconds(50)) return;
    last_check_ = now;
    if (interrupted()) {
      cancelled_ = true;
      throw Interrupted();
    }
  }

  // Where the sums (n each) of units go, set to 0: units are added in the order of their samples, in place where no
  // block is shared by two bundles, else afterwards, by `add_sums`.
  double* place_sums(std::vector<Bundle>& bundles, std::size_t n, double* block_sums) {
    std::size_t n_rows = 0;
    bool in_place = true;
    for (std::size_t i = 0; i < bundles.size(); i++) {
      n_rows += std::size_t(bundles[i].count);
      if (i == 0) continue;
      const Bundle& before = bundles[i - 1];
      in_place = in_place && before.unit[before.count - 1].block != bundles[i].unit[0].block;
    }
    if (in_place) {
      const Bundle& last = bundles.back();
      n_rows = std::size_t(last.unit[last.count - 1].block) + 1;
      for (Bundle& bundle : bundles)
        for (int u = 0; u < bundle.count; u++) bundle.unit[u].index = bundle.unit[u].block;
    } else {
      unit_sums_.resize(n_rows * n);
    }
    double* sums = in_place ? block_sums : unit_sums_.data();
    std::fill(sums, sums + n_rows * n, 0.0);
    return sums;
  }

  static void add_sums(const std::vector<Bundle>& bundles, std::size_t n, const double* sums, double* block_sums) {
    if (sums == block_sums) return;
    const Bundle& last = bundles.back();
    std::fill(block_sums, block_sums + n * (std::size_t(last.unit[last.count - 1].block) + 1), 0.0);
    for (const Bundle& bundle : bundles)
      for (int u = 0; u < bundle.count; u++) {
        double* row = block_sums + n * std::size_t(bundle.unit[u].block);
        const double* from = sums + n * std::size_t(bundle.unit[u].index);
        for (std::size_t i = 0; i < n; i++) row[i] += from[i];
      }
  }

  // The set of sums that a bundle is added to where the circuit is one matrix, and whether it is the first there.
  struct MatrixShare { int set; bool first; };

  // What a training step has of a bundle's samples, `count` from `from` on: angles, their gradients, states and bras
  // (nullptr: none); values of strings and their cotangents, n_values of a unit.
  struct OfSamples {
    int from, count;
    std::size_t n_angles, n_values;
    double *angles, *gradients, *states, *bras, *strings, *cotangents;
    // Where `backward` puts gradients of samples, set to 0, and bras.
    void wanted(Gradients& out) const {
      std::fill_n(gradients, n_angles, 0.0);
      out.per_sample = gradients, out.initial_real = bras;
    }
  };

  // engine_blocks.hpp
  void step_with_blocks(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                        const SampleChain& chain, double* block_sums);
  template <class Look> void each_final_of_blocks(const Inputs& in, Look look);

  // engine_step.hpp
  OfSamples inputs_of(const Bundle& bundle, Worker& worker, int first, const SampleChain& chain);
  void outputs_of(Execution<Real>& execution, const OfSamples& of, int first, const SampleChain& chain, double* sums,
                  std::size_t n_sums);
  void give_sample_gradients(const Bundle& bundle, Worker& worker, const OfSamples& of, int first,
                             const SampleChain& chain, double* sums, std::size_t n_sums);
  std::size_t bundles_with_matrix(const std::vector<Bundle>& bundles);
  void step_with_matrix(const std::vector<Bundle>& bundles, std::size_t count,
                        const std::shared_ptr<const StepAngles>& angles, int first, const SampleChain& chain,
                        double* sums, std::size_t n_sums);
  double step_bundle(const Bundle& bundle, Worker& worker, bool one_thread,
                     const std::shared_ptr<const StepAngles>& angles, int first, const SampleChain& chain,
                     double* sums, std::size_t n_sums, const MatrixShare* matrix);

  void execute_backward(const Inputs& in, Tape* tape, const double* cotangents, bool per_row, double* expectations,
                    const Gradients& out) {
    std::vector<Bundle> bundles = make_bundles(in.batch);
    const std::size_t R = std::size_t(n_raw()), M = plan_.strings.size();
    double* sums = place_sums(bundles, R, out.block_sums);
    if (out.per_sample) std::fill(out.per_sample, out.per_sample + std::size_t(in.batch) * plan_.n_per_sample, 0.0);
    std::vector<double> raw;
    if (out.shared) raw.assign(std::size_t(in.batch) * R, 0.0);
    const StringValues weights = per_row ? StringValues::rows(cotangents, M) : StringValues::for_all(cotangents);
    each_bundle(bundles, [&](const Bundle& bundle, int thread, bool one_thread) {
      const PreparedShape<Real>& shape = *shapes_[std::size_t(bundle.lane_bits)];
      Worker& worker = workers_[std::size_t(thread)];
      if (!tape) worker.states.reserve(shape.unit_bytes() * std::size_t(bundle.count));
      char* states = tape ? tape->states[std::size_t(bundle.index)].get() : worker.states.get();
      Execution<Real> execution{context_, shape, bundle, in, worker, one_thread, states, check_};
      if (tape) execution.load_angles();
      else execution.forward();
      execution.observe(weights, StringValues::rows(expectations, M));
      execution.backward(out, sums, R, out.shared ? raw.data() : nullptr);
    });
    add_sums(bundles, R, sums, out.block_sums);
    if (out.shared)
      for (int i = 0; i < in.batch; i++) {
        double* gradient = out.shared + std::size_t(i) * plan_.n_shared;
        std::fill(gradient, gradient + plan_.n_shared, 0.0);
        gate_runs_.slot_gradient(raw.data() + R * std::size_t(i), gradient);
      }
  }

  std::shared_ptr<StatePool> pool_ = std::make_shared<StatePool>();
  PlanData plan_;
  Settings settings_;
  GateRuns gate_runs_;
  Team team_;
  std::vector<Worker> workers_;
  Context<Real> context_;
  SharedMatrix<Real> matrix_;
  SharedBlocks<Real> blocks_;
  std::function<void(bool)> check_;
  std::vector<std::unique_ptr<PreparedShape<Real>>> shapes_;  // by lane qubits
  std::array<int, kBlock + 1> lane_bits_of_;                  // of blocks of so many samples; -1: not known
  std::shared_ptr<const StepAngles> prepared_;  // what everything is prepared for
  std::vector<double> unit_sums_, block_sums_, drifts_;
  std::atomic<bool> cancelled_{false};
  std::chrono::steady_clock::time_point last_check_;
  bool one_bundle_ = false;
};

}  // namespace qmltrain

#include "engine_blocks.hpp"
#include "engine_step.hpp"

namespace qmltrain {

std::unique_ptr<EngineBase> make_engine(const PlanData& plan, const InstructionSet& set, bool dual,
                                        const Settings& settings) {
  if (dual) return std::make_unique<Engine<double>>(plan, set, settings);
  return std::make_unique<Engine<float>>(plan, set, settings);
}

}  // namespace qmltrain
