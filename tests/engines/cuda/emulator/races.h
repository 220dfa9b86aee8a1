// races.h - finds accesses of two CUDA threads to one word, one of them a write, with no barrier between.
//
// Compile (do not link) with -fsanitize=thread: the compiler then calls __tsan_read4(address) and so on, and this file
// provides these functions. A word remembers its last writer and readers with their epochs: block barriers count one
// epoch of the block, warp-wide operations one of the warp. Threads of different blocks are never ordered.
#pragma once
#include "fibers.h"

#include <cstdint>
#include <cstdio>
#include <unordered_map>

namespace emulator {

struct Position {  // who accesses, and when
  uint32_t block, thread, warp, block_epoch, warp_epoch;
  const char* stack;
};
bool current_position(Position& position);  // false outside of kernels; defined in machine.h

#ifdef EMULATOR_RACES

struct Touch {
  uint32_t launch = 0, block = 0, thread = 0, block_epoch = 0, warp_epoch = 0;
};
struct Word {
  Touch writer, reader;
  bool readers_of_two_warps = false, atomic = false;
};

inline std::unordered_map<uintptr_t, Word>* words = nullptr;
inline uint32_t launch_number = 0;
inline unsigned long long race_count = 0;
inline bool inside_check = false;
constexpr unsigned REPORTED = 5;

UNWATCHED inline bool unordered(const Touch& touch, const Position& me) {
  if (touch.launch != launch_number) return false;
  if (touch.block == me.block && touch.thread == me.thread) return false;
  if (touch.block != me.block) return true;
  if (touch.block_epoch != me.block_epoch) return false;
  return touch.thread / 32 != me.warp || touch.warp_epoch == me.warp_epoch;
}

UNWATCHED inline void check_access(const void* address, size_t bytes, bool write, bool atomic, const void* code) {
  Position me;
  if (inside_check || !current_position(me)) return;
  const char* first = (const char*)address;
  if (first >= me.stack && first < me.stack + STACK_BYTES) return;  // a local variable
  inside_check = true;
  if (!words) words = new std::unordered_map<uintptr_t, Word>;
  for (uintptr_t a = (uintptr_t)address & ~(uintptr_t)3; a < (uintptr_t)address + bytes; a += 4) {
    Word& word = (*words)[a];
    const bool both_atomic = atomic && word.atomic;
    const char* kind = nullptr;
    if (!both_atomic && unordered(word.writer, me))
      kind = write ? "write after write" : "read after write";
    else if (write && !both_atomic) {
      const bool same_epoch = word.reader.launch == launch_number && word.reader.block == me.block &&
                              word.reader.block_epoch == me.block_epoch;
      if (unordered(word.reader, me) || (word.readers_of_two_warps && same_epoch)) kind = "write after read";
    }
    if (kind && race_count++ < REPORTED)
      fprintf(stderr, "emulator: RACE %s at %p: block %u thread %u, code %p\n", kind, (void*)a, me.block, me.thread,
              code);
    const Touch touch{launch_number, me.block, me.thread, me.block_epoch, me.warp_epoch};
    if (write) {
      word.writer = touch;
      word.atomic = atomic;
    } else {
      const Touch& last = word.reader;
      const bool same_epoch =
          last.launch == launch_number && last.block == me.block && last.block_epoch == me.block_epoch;
      if (!same_epoch)
        word.readers_of_two_warps = false;
      else if (last.thread / 32 != me.warp)
        word.readers_of_two_warps = true;
      word.reader = touch;
    }
  }
  inside_check = false;
}

UNWATCHED inline void forget_words(const void* address, size_t bytes) {  // fresh memory has no history
  if (!words) return;
  for (uintptr_t a = (uintptr_t)address & ~(uintptr_t)3; a < (uintptr_t)address + bytes; a += 4) words->erase(a);
}

#define EMULATOR_WATCH(size)                                                              \
  extern "C" UNWATCHED __attribute__((weak)) void __tsan_read##size(void* p) {            \
    ::emulator::check_access(p, size, false, false, __builtin_return_address(0));         \
  }                                                                                       \
  extern "C" UNWATCHED __attribute__((weak)) void __tsan_write##size(void* p) {           \
    ::emulator::check_access(p, size, true, false, __builtin_return_address(0));          \
  }                                                                                       \
  extern "C" UNWATCHED __attribute__((weak)) void __tsan_unaligned_read##size(void* p) {  \
    ::emulator::check_access(p, size, false, false, __builtin_return_address(0));         \
  }                                                                                       \
  extern "C" UNWATCHED __attribute__((weak)) void __tsan_unaligned_write##size(void* p) { \
    ::emulator::check_access(p, size, true, false, __builtin_return_address(0));          \
  }

#else
inline void forget_words(const void*, size_t) {}
inline void check_access(const void*, size_t, bool, bool, const void*) {}
#endif

}  // namespace emulator

#ifdef EMULATOR_RACES
EMULATOR_WATCH(1)
EMULATOR_WATCH(2)
EMULATOR_WATCH(4)
EMULATOR_WATCH(8)
EMULATOR_WATCH(16)
extern "C" UNWATCHED __attribute__((weak)) void __tsan_read_range(void* p, size_t n) {
  ::emulator::check_access(p, n, false, false, __builtin_return_address(0));
}
extern "C" UNWATCHED __attribute__((weak)) void __tsan_write_range(void* p, size_t n) {
  ::emulator::check_access(p, n, true, false, __builtin_return_address(0));
}
extern "C" __attribute__((weak)) void __tsan_func_entry(void*) {}
extern "C" __attribute__((weak)) void __tsan_func_exit() {}
extern "C" __attribute__((weak)) void __tsan_init() {}
extern "C" __attribute__((weak)) void __tsan_vptr_update(void**, void*) {}
extern "C" __attribute__((weak)) void __tsan_vptr_read(void**) {}
#endif
