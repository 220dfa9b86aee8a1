// JointProgram: the programs of a circuit's parts as one, for training steps.
#include <nanobind/stl/vector.h>

#include "binding_program.hpp"
#include "joint_engine.hpp"

using namespace nanobind::literals;

namespace qmltrain {

namespace {

using Ints1 = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<int> below(const Ints1& numbers, int count, int end, const char* what) {
  expect(numbers.size() == std::size_t(count), what);
  std::vector<int> found;
  for (std::size_t i = 0; i < numbers.size(); i++) {
    expect(numbers(i) >= 0 && numbers(i) < end, what);
    found.push_back(int(numbers(i)));
  }
  return found;
}

class JointProgram final : public StepsProgram {
 public:
  JointProgram(const std::vector<Program*>& programs, const std::vector<Ints1>& shared,
               const std::vector<Ints1>& per_sample, const std::vector<Ints1>& strings, int n_shared, int n_per_sample,
               int n_strings, int threads, int blocks_at_once)
      : StepsProgram(n_shared, n_per_sample, n_strings, 0, false, set_of(programs)) {
    const std::size_t n = programs.size();
    expect(shared.size() == n && per_sample.size() == n && strings.size() == n, "parts: wrong shapes");
    expect(threads >= 1 && blocks_at_once >= 1, "threads, blocks_at_once: at least 1");
    std::vector<JointPart> parts;
    for (std::size_t i = 0; i < n; i++) {
      Program& program = *programs[i];
      expect(!program.amplitude_encoded() && program.set_name() == set_name(), "parts: not alike");
      parts.push_back({&program.engine(), below(shared[i], program.n_shared(), n_shared, "shared: no such slot"),
                       below(per_sample[i], program.n_per_sample(), n_per_sample, "per_sample: no such slot"),
                       below(strings[i], program.n_strings(), n_strings, "strings: no such string")});
    }
    engine_ = std::make_unique<JointEngine>(std::move(parts), n_per_sample, n_strings, threads, blocks_at_once);
  }

  StepEngine& engine() override { return *engine_; }

 private:
  static std::string set_of(const std::vector<Program*>& programs) {
    expect(!programs.empty(), "parts: none");
    for (const Program* program : programs) expect(program, "parts: one is missing");
    return programs[0]->set_name();
  }
  std::unique_ptr<JointEngine> engine_;
};

}  // namespace

// The caller keeps the programs alive.
void bind_joint(nb::module_& m) {
  nb::class_<JointProgram, StepsProgram>(m, "JointProgram")
      .def(nb::init<const std::vector<Program*>&, const std::vector<Ints1>&, const std::vector<Ints1>&,
                    const std::vector<Ints1>&, int, int, int, int, int>(),
           "programs"_a, nb::kw_only(), "shared"_a, "per_sample"_a, "strings"_a, "n_shared"_a, "n_per_sample"_a,
           "n_strings"_a, "threads"_a, "blocks_at_once"_a);
}

}  // namespace qmltrain
