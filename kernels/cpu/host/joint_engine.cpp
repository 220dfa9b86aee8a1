// JointEngine: see joint_engine.hpp.
#include "joint_engine.hpp"

#include <algorithm>
#include <cmath>

#include "step_kernels.hpp"

namespace qmltrain {

namespace {

// What the engine of a part asks now and then while it runs; as it was afterwards.
struct Asked {
  Asked(EngineBase& of, const std::function<bool()>& with) : engine(of), before(std::move(of.interrupted)) {
    engine.interrupted = with;
  }
  ~Asked() { engine.interrupted = std::move(before); }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  EngineBase& engine;
  std::function<bool()> before;
};

}  // namespace

JointEngine::JointEngine(std::vector<JointPart> parts, int n_per_sample, int n_strings, int threads, int blocks_at_once)
    : n_per_sample_(n_per_sample), n_strings_(n_strings), blocks_at_once_(blocks_at_once), team_(threads) {
  for (JointPart& part : parts) {
    Member member{};
    member.part = std::move(part);
    member.first_raw = n_raw_;
    for (auto& angles : member.angles) {
      angles = std::make_shared<StepAngles>();
      angles->shared.resize(member.part.shared.size());
    }
    member.slots.resize(member.part.shared.size());
    n_raw_ += member.part.engine->n_raw();
    members_.push_back(std::move(member));
  }
}

void JointEngine::work_alone(bool alone) {
  team_.work_alone(alone);
  for (Member& member : members_) member.part.engine->work_alone(alone);
}

void JointEngine::one_bundle_at_a_time(bool one) {
  for (Member& member : members_) member.part.engine->one_bundle_at_a_time(one);
}

int JointEngine::threads() const { return std::max(team_.threads(), members_[0].part.engine->threads()); }

// job(member) for all, on the threads of the team. The calling thread asks whether to go on, in longer parts too.
template <class Job> void JointEngine::each_member(Job job) {
  team_.do_jobs(int(members_.size()), [&](int i, int thread) {
    static const std::function<bool()> nothing;
    const Asked asked(*members_[std::size_t(i)].part.engine, thread == 0 ? interrupted : nothing);
    job(members_[std::size_t(i)]);
  });
  const auto now = std::chrono::steady_clock::now();  // (of short parts no engine asks)
  if (!interrupted || now - asked_ < std::chrono::milliseconds(50)) return;
  asked_ = now;
  if (interrupted()) throw Interrupted();
}

void JointEngine::gather(const std::shared_ptr<const StepAngles>& angles) {
  if (gathered_ == angles) return;
  gathered_ = angles, turn_ = 1 - turn_;
  for (Member& member : members_) {
    double* to = member.angles[turn_]->shared.data();
    for (const int slot : member.part.shared) *to++ = angles->shared[std::size_t(slot)];
  }
}

void JointEngine::forward(Member& member, int count) {
  const std::size_t n_slots = member.part.per_sample.size(), n_strings = member.part.strings.size();
  member.per_sample.resize(std::size_t(count) * n_slots);
  member.strings.resize(std::size_t(count) * n_strings);
  double* to = member.per_sample.data();
  for (int i = 0; i < count; i++) {
    const double* of_sample = per_sample_.data() + std::size_t(i) * std::size_t(n_per_sample_);
    for (const int slot : member.part.per_sample) *to++ = of_sample[slot];
  }
  member.tape.reset();  // its memory is taken again
  member.tape = member.part.engine->forward({count, member.angles[turn_], member.per_sample.data(), nullptr},
                                            member.strings.data());
}

void JointEngine::backward(Member& member, int count, bool sample_gradients) {
  double* to = member.strings.data();  // cotangents now, by rows
  for (int i = 0; i < count; i++) {
    const double* of_block = cotangents_.as<double>() + std::size_t(i / kBlock) * std::size_t(n_strings_) * kSideBySide;
    for (const int m : member.part.strings) *to++ = of_block[std::size_t(m) * kSideBySide + std::size_t(i % kBlock)];
  }
  const std::size_t blocks = std::size_t((count + kBlock - 1) / kBlock);
  member.sums.resize(blocks * std::size_t(member.part.engine->n_raw()));
  member.drift.resize(std::size_t(count));
  Gradients out;
  out.block_sums = member.sums.data(), out.drift = member.drift.data();
  if (sample_gradients) {
    member.gradients.resize(std::size_t(count) * member.part.per_sample.size());
    out.per_sample = member.gradients.data();
  }
  member.part.engine->backward(*member.tape, member.strings.data(), out);
  member.tape.reset();
  member.largest_drift = -1;
  for (const double drift : member.drift) member.largest_drift = std::fmax(member.largest_drift, drift);
}

// A few blocks, all the way.
double JointEngine::chunk(int first, int count, const SampleChain& chain, double* block_sums) {
  static_assert(kSideBySide == kBlock, "a block's samples stand side by side");
  const std::size_t slots = std::size_t(n_per_sample_), M = std::size_t(n_strings_);
  const std::size_t blocks = std::size_t((count + kBlock - 1) / kBlock), R = std::size_t(n_raw_), n = R + chain.n_sums();
  const bool encoding = chain.wants_sample_gradients();
  per_sample_.resize(std::size_t(count) * slots);
  chain.inputs(first, count, per_sample_.data(), nullptr, scratch_);
  each_member([&](Member& member) { forward(member, count); });
  strings_.reserve(blocks * M * kSideBySide * sizeof(double));
  cotangents_.reserve(blocks * M * kSideBySide * sizeof(double));
  double *strings = strings_.as<double>(), *cotangents = cotangents_.as<double>();
  std::fill_n(strings, blocks * M * kSideBySide, 0.0);
  for (const Member& member : members_) {
    const double* from = member.strings.data();
    for (int i = 0; i < count; i++) {
      double* of_block = strings + std::size_t(i / kBlock) * M * kSideBySide;
      for (const int m : member.part.strings) of_block[std::size_t(m) * kSideBySide + std::size_t(i % kBlock)] = *from++;
    }
  }
  for (std::size_t block = 0; block < blocks; block++) {
    const int begin = int(block) * kBlock, of_block = std::min(kBlock, count - begin);
    std::fill_n(block_sums + block * n, n, 0.0);
    chain.outputs(first + begin, of_block, strings + block * M * kSideBySide,
                  cotangents + block * M * kSideBySide, block_sums + block * n + R, scratch_);
  }
  each_member([&](Member& member) { backward(member, count, encoding); });
  double largest_drift = -1;
  if (encoding) gradients_.assign(std::size_t(count) * slots, 0.0);
  for (const Member& member : members_) {
    largest_drift = std::max(largest_drift, member.largest_drift);
    const std::size_t of_part = std::size_t(member.part.engine->n_raw());
    for (std::size_t block = 0; block < blocks; block++)
      std::copy_n(member.sums.data() + block * of_part, of_part, block_sums + block * n + std::size_t(member.first_raw));
    if (!encoding) continue;
    const double* from = member.gradients.data();
    for (int i = 0; i < count; i++)
      for (const int slot : member.part.per_sample) gradients_[std::size_t(i) * slots + std::size_t(slot)] += *from++;
  }
  for (std::size_t block = 0; encoding && block < blocks; block++) {
    const int begin = int(block) * kBlock, of_block = std::min(kBlock, count - begin);
    chain.sample_gradients(first + begin, of_block, gradients_.data() + std::size_t(begin) * slots, nullptr,
                           block_sums + block * n + R, scratch_);
  }
  return largest_drift;
}

double JointEngine::step(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                         const SampleChain& chain, double* block_sums, bool add) {
  gather(angles);
  asked_ = std::chrono::steady_clock::now();
  const std::size_t n = std::size_t(n_raw_) + chain.n_sums();
  double largest_drift = -1;
  for (int begin = 0; begin < count; begin += blocks_at_once_ * kBlock) {
    const int here = std::min(blocks_at_once_ * kBlock, count - begin);
    largest_drift = std::max(largest_drift, chunk(first + begin, here, chain, block_sums + n * std::size_t(begin / kBlock)));
  }
  if (add) tree_sum(block_sums, (count + kBlock - 1) / kBlock, n, n);
  return largest_drift;
}

void JointEngine::slot_gradient(const double* total, const std::shared_ptr<const StepAngles>& angles,
                                double* gradient) {
  gather(angles);
  each_member([&](Member& member) {
    std::fill(member.slots.begin(), member.slots.end(), 0.0);
    member.part.engine->slot_gradient(total + member.first_raw, member.angles[turn_], member.slots.data());
  });
  for (const Member& member : members_)
    for (std::size_t k = 0; k < member.slots.size(); k++)
      gradient[std::size_t(member.part.shared[k])] += member.slots[k];
}

}  // namespace qmltrain
