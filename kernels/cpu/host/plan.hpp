// A Plan as it comes from Python: flat arrays, see qmltrain/engines/cpu for the columns.
#pragma once
#include <cstdint>
#include <vector>

namespace qmltrain {

using Mask = std::uint64_t;

inline int parity_of(Mask m) { return __builtin_parityll(m); }

struct RunData { bool per_sample, real; int first, count; };
struct AngleData { int axis, slot; double coefficient, offset; };          // slot -1: constant
struct RotationData { int run; Mask pair, parity; bool flip; };
enum Source { kConstant, kSlot, kAlpha, kGamma, kSampleSlot };
struct TermData { Mask mask; int sign; int source, index; double coefficient, offset; };
struct OperationData { bool diagonal; int layer, first, count, sample_first, sample_count; };
struct PassData { std::vector<Mask> basis; int first, count; };
struct StringData { Mask x, z; int sign, n_y; };

struct PlanData {
  int n_qubits = 0;
  bool amplitude_encoded = false;
  int n_shared = 0, n_per_sample = 0;
  std::vector<RunData> runs;
  std::vector<AngleData> angles;
  std::vector<PassData> passes;
  std::vector<OperationData> operations;
  std::vector<RotationData> rotations;
  std::vector<TermData> terms;
  std::vector<StringData> strings;
};

}  // namespace qmltrain
