// NodeMemory: exchanges between ranks of one node, through memory that all of them map. A rank leaves what it brings in
// its own place and counts its turns; who has seen the turns of all others reads their places. Microseconds, where a
// message takes tens.
//
// Places are there twice, for turns of even and odd number: nobody begins turn k + 2, and with it writes over turn k,
// before all have come to turn k + 1, and so have read turn k.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace qmltrain {

class NodeMemory {
 public:
  static constexpr int kWords = 3;
  static std::size_t bytes(int ranks) { return std::size_t(ranks) * sizeof(Place); }

  // memory: bytes(ranks), zeros at first, on a line of the cache; it must stay. `waiting` is called every 50 ms while a
  // rank waits, and may throw.
  NodeMemory(void* memory, int rank, int ranks, std::function<void()> waiting)
      : places_(static_cast<Place*>(memory)), rank_(rank), ranks_(ranks), waiting_(std::move(waiting)) {}
  int rank() const { return rank_; }
  int ranks() const { return ranks_; }

  // own (kWords) -> all (ranks, kWords)
  void words(const std::int64_t* own, std::int64_t* all);
  // Fills the parts of the other ranks: that of rank r is counts[r] long, and behind that of rank r - 1.
  void numbers(double* numbers, const std::vector<std::int64_t>& counts);
  // Both, in one turn where the numbers are few; where `wanted` does not take the words of all, the words alone.
  void gather(const std::int64_t* own, std::int64_t* all, double* numbers, const std::vector<std::int64_t>& counts,
              const std::function<bool(const std::int64_t*)>& wanted);

 private:
  static constexpr std::int64_t kNumbers = 1 << 14;  // of a rank in a turn; more take several

  struct alignas(64) Place {
    std::atomic<std::uint64_t> turn;
    std::int64_t words[2][kWords];  // on the line of the turn
    alignas(64) double numbers[2][kNumbers];
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "processes share it");

  Place& own() { return places_[rank_]; }
  // Leaves the words of a new turn, where it has any; gives where its words and numbers are.
  int begin(const std::int64_t* words);
  void meet();                              // tells of this turn, and waits for that of all others
  void fetch_words(int side, std::int64_t* all) const;
  // Numbers counts[r] - first of rank r, at most kNumbers, to its place, and from the places of the others.
  void leave(int side, const double* numbers, const std::vector<std::int64_t>& counts, std::int64_t first);
  void fetch(int side, double* numbers, const std::vector<std::int64_t>& counts, std::int64_t first) const;

  Place* places_;
  int rank_, ranks_;
  std::function<void()> waiting_;
  std::uint64_t turn_ = 0;
};

}  // namespace qmltrain
