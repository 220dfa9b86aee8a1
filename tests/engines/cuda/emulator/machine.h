// machine.h - runs the blocks of a launch one after another, the threads of a block as fibers.
//
// Every warp runs as far as it can, up to the next block barrier, before the next warp starts: the largest skew a GPU
// can show. The order of warps, lanes and blocks is forward, reverse or random; a right kernel gives the same bits in
// all of them. Shared memory starts as NaN. Threads that wait at different barriers, exit before one, or name lanes
// outside of their mask stop the program with the place.
#pragma once
#include "fibers.h"
#include "races.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};

namespace emulator {

enum class Order { forward, reverse, random };
enum class Waits { nothing, block, warp, ended };

struct Thread : Fiber {
  uint3 index{};
  unsigned number = 0, lane = 0, warp = 0;
  Waits waits = Waits::nothing;
  const char* place = nullptr;
  unsigned mask = 0;
  int operation = 0;
  unsigned warp_epoch = 0, exchanges = 0;
};

struct WarpValues {
  uint64_t value[2][32];
};  // two in turn: a lane may be one operation ahead

struct Machine {
  dim3 grid{}, block{};
  uint3 block_index{};
  unsigned block_number = 0, block_epoch = 0;
  std::vector<Thread> threads;
  std::vector<WarpValues> warps;
  char* shared = nullptr;
  Thread* current = nullptr;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
};
inline Machine machine;
inline Order order = Order::forward;
inline uint64_t seed = 1;

UNWATCHED inline bool current_position(Position& position) {
  const Thread* t = machine.current;
  if (!t) return false;
  position = {machine.block_number, t->number, t->warp, machine.block_epoch, t->warp_epoch, t->stack};
  return true;
}

[[noreturn]] UNWATCHED inline void fail(const std::string& message) {
  fprintf(stderr, "emulator: ERROR %s\n", message.c_str());
  fflush(stderr);
  abort();
}

UNWATCHED inline void wait_here(Waits what, const char* place) {
  Thread* t = machine.current;
  t->waits = what;
  t->place = place;
  switch_back(*t, false);
}

// All lanes of `mask` meet; each gives a value and may read everyone's.
UNWATCHED inline const uint64_t* meet(unsigned mask, uint64_t value, const char* place, int operation) {
  Thread* t = machine.current;
  if (!(mask >> t->lane & 1)) fail(std::string("a lane outside of its mask at ") + place);
  uint64_t* values = machine.warps[t->warp].value[t->exchanges++ & 1];
  values[t->lane] = value;
  t->mask = mask;
  t->operation = operation;
  wait_here(Waits::warp, place);
  return values;
}

UNWATCHED inline void thread_body() {
  fiber_entered();
  machine.body(machine.argument);
  machine.current->waits = Waits::ended;
  switch_back(*machine.current, true);
  abort();
}

// Let go the lanes of one warp whose meeting is complete; false if there were none.
UNWATCHED inline bool release_warp(unsigned warp) {
  const unsigned first = warp * 32, lanes = std::min<unsigned>(32, (unsigned)machine.threads.size() - first);
  unsigned waiting = 0, alive = 0;
  for (unsigned i = 0; i < lanes; ++i) {
    waiting |= unsigned(machine.threads[first + i].waits == Waits::warp) << i;
    alive |= unsigned(machine.threads[first + i].waits != Waits::ended) << i;
  }
  bool released = false;
  for (unsigned left = waiting; left;) {
    Thread& leader = machine.threads[first + __builtin_ctz(left)];
    if (leader.mask & ~alive) fail(std::string("lanes that ended or never were, at ") + leader.place);
    left &= ~leader.mask;
    if ((waiting & leader.mask) != leader.mask) continue;
    for (unsigned i = 0; i < lanes; ++i)
      if (leader.mask >> i & 1) {
        Thread& t = machine.threads[first + i];
        if (t.operation != leader.operation || t.mask != leader.mask)
          fail(std::string("different warp operations: ") + t.place + " and " + leader.place);
        t.waits = Waits::nothing;
        ++t.warp_epoch;
      }
    released = true;
  }
  return released;
}

// All threads wait at one barrier: go on.
UNWATCHED inline bool release_block() {
  const char* place = nullptr;
  unsigned waiting = 0, ended = 0;
  for (Thread& t : machine.threads) {
    if (t.waits == Waits::ended) ++ended;
    if (t.waits != Waits::block) continue;
    ++waiting;
    if (place && strcmp(place, t.place))
      fail(std::string("threads of a block at different barriers: ") + place + " and " + t.place);
    place = t.place;
  }
  if (!waiting || waiting + ended != machine.threads.size()) return false;
  if (ended) fail(std::string("threads ended before the barrier at ") + place);
  for (Thread& t : machine.threads) {
    t.waits = Waits::nothing;
    ++t.warp_epoch;
  }
  ++machine.block_epoch;
  return true;
}

UNWATCHED inline void run_block(std::mt19937_64& random) {
  std::vector<unsigned> warps(machine.warps.size());
  for (unsigned w = 0; w < warps.size(); ++w) warps[w] = w;
  if (order == Order::reverse) std::reverse(warps.begin(), warps.end());
  size_t ended = 0;
  while (ended < machine.threads.size()) {
    if (order == Order::random) std::shuffle(warps.begin(), warps.end(), random);
    bool progress = false;
    for (unsigned warp : warps) {
      const unsigned first = warp * 32, lanes = std::min<unsigned>(32, (unsigned)machine.threads.size() - first);
      do {
        const unsigned turn = order == Order::random ? (unsigned)(random() % lanes) : 0;
        for (unsigned k = 0; k < lanes; ++k) {
          Thread& t = machine.threads[first + (order == Order::reverse ? lanes - 1 - k : (k + turn) % lanes)];
          if (t.waits != Waits::nothing) continue;
          machine.current = &t;
          switch_to(t);
          machine.current = nullptr;
          progress = true;
          ended += t.waits == Waits::ended;
        }
      } while (release_warp(warp));
    }
    if (!release_block() && !progress) {
      std::string message = "deadlock:";
      for (Thread& t : machine.threads)
        if (t.waits != Waits::ended && message.size() < 300)
          message += " [thread " + std::to_string(t.number) + " at " + t.place + "]";
      fail(message);
    }
  }
}

template <class Body> UNWATCHED void launch(dim3 grid, dim3 block, size_t shared_bytes, Body&& body) {
  const unsigned threads = block.x * block.y * block.z;
  if (!threads || threads > 1024) fail("a block of " + std::to_string(threads) + " threads");
  if (!grid.x || grid.y > 65535 || grid.z > 65535) fail("a grid that CUDA refuses");
#ifdef EMULATOR_RACES
  ++launch_number;
#endif
  machine.grid = grid;
  machine.block = block;
  machine.body = [](void* p) { (*(std::remove_reference_t<Body>*)p)(); };
  machine.argument = (void*)&body;
  machine.threads.clear();
  machine.threads.resize(threads);
  machine.warps.assign((threads + 31) / 32, WarpValues{});
  std::mt19937_64 random(seed);
  std::vector<unsigned long long> blocks((unsigned long long)grid.x * grid.y * grid.z);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = order == Order::reverse ? blocks.size() - 1 - i : i;
  if (order == Order::random) std::shuffle(blocks.begin(), blocks.end(), random);
  for (unsigned long long number : blocks) {
    machine.block_number = (unsigned)number;
    machine.block_index = {(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
                           (unsigned)(number / grid.x / grid.y)};
    machine.block_epoch = 0;
    if (shared_bytes) {  // exactly sized, so that the address sanitizer sees an overflow
      void* memory = nullptr;
      if (posix_memalign(&memory, 128, shared_bytes)) abort();
      memset(memory, 0xFF, shared_bytes);
      forget_words(memory, shared_bytes);
      machine.shared = (char*)memory;
    }
    for (unsigned i = 0; i < threads; ++i) {
      Thread& t = machine.threads[i];
      t.index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
      t.number = i;
      t.lane = i % 32;
      t.warp = i / 32;
      t.waits = Waits::nothing;
      t.warp_epoch = t.exchanges = 0;
      make_ready(t, thread_body);
    }
    run_block(random);
    free(machine.shared);
    machine.shared = nullptr;
  }
  for (Thread& t : machine.threads) stack_pool.give_back(t.stack);
}

// As cuLaunchKernel: arguments[i] points at argument i.
template <class... P, size_t... I>
UNWATCHED void launch_pointers(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, void** arguments,
                               std::index_sequence<I...>) {
  (void)arguments;
  launch(grid, block, shared_bytes, [&]() { kernel(*(std::remove_cv_t<P>*)arguments[I]...); });
}
template <class... P>
void launch_pointers(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, void** arguments) {
  launch_pointers(kernel, grid, block, shared_bytes, arguments, std::make_index_sequence<sizeof...(P)>());
}

}  // namespace emulator
