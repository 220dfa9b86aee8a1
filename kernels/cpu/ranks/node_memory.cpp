// NodeMemory: see node_memory.hpp.
#include "node_memory.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace qmltrain {

namespace {

using Clock = std::chrono::steady_clock;

// Ranks of short steps meet within microseconds. Where there are more of them than cores, a core that is given away is
// one that the others need; after that, what is waited for takes its time.
constexpr int kSpins = 4000;
constexpr std::chrono::milliseconds kYielding{2}, kAskEvery{50};
constexpr std::chrono::microseconds kNap{100};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void NodeMemory::meet() {
  own().turn.store(turn_, std::memory_order_release);
  for (int rank = 0; rank < ranks_; rank++) {
    const std::atomic<std::uint64_t>& turn = places_[rank].turn;
    int spins = 0;
    Clock::time_point since, asked;
    while (turn.load(std::memory_order_acquire) < turn_) {
      if (spins < kSpins) {
        if (++spins == kSpins) since = asked = Clock::now();
        pause();
        continue;
      }
      const Clock::time_point now = Clock::now();
      if (now - asked >= kAskEvery) asked = now, waiting_();
      if (now - since < kYielding) sched_yield();
      else std::this_thread::sleep_for(kNap);
    }
  }
}

int NodeMemory::begin(const std::int64_t* words) {
  const int side = int(++turn_ & 1);
  if (words) std::copy_n(words, kWords, own().words[side]);
  return side;
}

void NodeMemory::fetch_words(int side, std::int64_t* all) const {
  for (int rank = 0; rank < ranks_; rank++) all = std::copy_n(places_[rank].words[side], kWords, all);
}

void NodeMemory::words(const std::int64_t* from, std::int64_t* all) {
  const int side = begin(from);
  meet();
  fetch_words(side, all);
}

void NodeMemory::leave(int side, const double* numbers, const std::vector<std::int64_t>& counts, std::int64_t first) {
  for (int rank = 0; rank < rank_; rank++) numbers += counts[std::size_t(rank)];
  std::copy_n(numbers + first, std::clamp<std::int64_t>(counts[std::size_t(rank_)] - first, 0, kNumbers),
              own().numbers[side]);
}

void NodeMemory::fetch(int side, double* numbers, const std::vector<std::int64_t>& counts, std::int64_t first) const {
  for (int rank = 0; rank < ranks_; numbers += counts[std::size_t(rank++)])
    if (rank != rank_)
      std::copy_n(places_[rank].numbers[side], std::clamp<std::int64_t>(counts[std::size_t(rank)] - first, 0, kNumbers),
                  numbers + first);
}

void NodeMemory::numbers(double* numbers, const std::vector<std::int64_t>& counts) {
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  for (std::int64_t first = 0; first < most; first += kNumbers) {
    const int side = begin(nullptr);
    leave(side, numbers, counts, first);
    meet();
    fetch(side, numbers, counts, first);
  }
}

void NodeMemory::gather(const std::int64_t* from, std::int64_t* all, double* numbers,
                        const std::vector<std::int64_t>& counts,
                        const std::function<bool(const std::int64_t*)>& wanted) {
  if (*std::max_element(counts.begin(), counts.end()) > kNumbers) {
    words(from, all);
    if (wanted(all)) this->numbers(numbers, counts);
    return;
  }
  const int side = begin(from);
  leave(side, numbers, counts, 0);
  meet();
  fetch_words(side, all);
  if (wanted(all)) fetch(side, numbers, counts, 0);
}

}  // namespace qmltrain
