// A Plan as it comes from Python: flat arrays. qmltrain/engines/cpu/plan_arrays.py writes the same columns; what the
// terms mean is in qmltrain/fusion/plan.py.
#pragma once
#include <cstdint>
#include <vector>

namespace qmltrain {

using Mask = std::uint64_t;  // a set of qubits or address bits

inline int parity_of(Mask m) { return __builtin_parityll(m); }

// Where the angle of a term comes from (TermData::source).
enum AngleSource {
  kConstant,    // offset alone
  kSlot,        // a shared slot
  kAlpha,       // alpha of a gate run, U = RZ(gamma) RY(beta) RZ(alpha)
  kGamma,       // its gamma
  kSampleSlot,  // a per-sample slot
};

// `first`, `count`: a range of another array. Angles are coefficient * slot + offset.
struct AngleData { int axis, slot; double coefficient, offset; bool per_sample; };  // slot -1: constant
struct GateRunData { bool per_sample, real; int first, count; };                    // of angles; real: axes are all y
struct RotationData { int gate_run; Mask pair, parity; bool flip; };
struct TermData { Mask mask; int sign, source, index; double coefficient, offset; };  // index: slot or gate run
struct OperationData { bool diagonal; int first, count, sample_first, sample_count; };  // of rotations, or of terms
struct PassData { std::vector<Mask> basis; int first, count; };                     // of operations
struct StringData { Mask x, z; int sign, n_y; };
// A rotation of the product start, of one address bit, and the phases of the bit up to its next one: ranges of terms.
struct StartData { int bit, gate_run; bool flip; int first, count, sample_first, sample_count; };

struct PlanData {
  int n_qubits = 0;
  bool amplitude_encoded = false;
  bool real = false;  // states stay real: gate runs of y, diagonals of signs
  int n_shared = 0, n_per_sample = 0;
  bool sample_angles = false;  // as in plan.py: what is faster and rounds differently may be taken
  std::vector<GateRunData> gate_runs;
  std::vector<AngleData> angles;
  std::vector<PassData> passes;
  std::vector<OperationData> operations;
  std::vector<RotationData> rotations;
  std::vector<TermData> terms;
  std::vector<StringData> strings;
  std::vector<StartData> start;  // in time order for each bit; not empty: all before the passes
  // Of a passage of a circuit, whose operations are those of its passes alone (shared_blocks.hpp): whether another one
  // follows, and shared slot terms of the operations before it.
  bool is_passage = false, followed = false;
  int terms_before = 0;
};

}  // namespace qmltrain
