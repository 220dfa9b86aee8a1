// fibers.h - one stack for each CUDA thread and the switch between them and the scheduler.
// brings: Fiber, StackPool, switch_to, switch_back, make_ready
#pragma once
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define EMULATOR_ASAN 1
#endif

// code of the emulator itself is not watched for races
#define UNWATCHED __attribute__((no_sanitize("thread")))

namespace emulator {

constexpr size_t STACK_BYTES = 256 * 1024;

struct Fiber {
  char* stack = nullptr;
  void* fake_stack = nullptr;  // of the address sanitizer
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
};

struct Scheduler {  // where a fiber goes when it waits
  const void* stack = nullptr;
  size_t stack_size = 0;
  void* fake_stack = nullptr;
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
};
inline Scheduler scheduler;

#if defined(__x86_64__)
// Save the callee-saved registers on this stack, load another stack pointer, restore from there.
extern "C" void emulator_switch(void** save, void* load);
asm(R"(
.text
.weak emulator_switch
.type emulator_switch,@function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch,.-emulator_switch
)");
#endif

UNWATCHED inline void switch_to(Fiber& fiber) {
#ifdef EMULATOR_ASAN
  __sanitizer_start_switch_fiber(&scheduler.fake_stack, fiber.stack, STACK_BYTES);
#endif
#if defined(__x86_64__)
  emulator_switch(&scheduler.stack_pointer, fiber.stack_pointer);
#else
  swapcontext(&scheduler.context, &fiber.context);
#endif
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(scheduler.fake_stack, nullptr, nullptr);
#endif
}

UNWATCHED inline void switch_back(Fiber& fiber, bool for_good) {
#ifdef EMULATOR_ASAN
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber.fake_stack, scheduler.stack, scheduler.stack_size);
#endif
  (void)for_good;
#if defined(__x86_64__)
  emulator_switch(&fiber.stack_pointer, scheduler.stack_pointer);
#else
  swapcontext(&fiber.context, &scheduler.context);
#endif
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
}

UNWATCHED inline void fiber_entered() {
#ifdef EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &scheduler.stack, &scheduler.stack_size);
#endif
}

struct StackPool {
  std::vector<char*> unused;
  UNWATCHED char* take() {
    if (!unused.empty()) {
      char* stack = unused.back();
      unused.pop_back();
      return stack;
    }
    constexpr size_t GUARD = 4096;
    void* memory =
        mmap(nullptr, STACK_BYTES + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      perror("emulator: no memory for a stack");
      abort();
    }
    mprotect(memory, GUARD, PROT_NONE);
    return (char*)memory + GUARD;
  }
  UNWATCHED void give_back(char* stack) { unused.push_back(stack); }
};
inline StackPool stack_pool;

// The fiber will start in `entry` on its own stack when it is switched to.
UNWATCHED inline void make_ready(Fiber& fiber, void (*entry)()) {
  if (!fiber.stack) fiber.stack = stack_pool.take();
#if defined(__x86_64__)
  void** top = (void**)((uintptr_t)(fiber.stack + STACK_BYTES) & ~(uintptr_t)15);
  *--top = nullptr;       // at a function's entry the stack pointer is 8 modulo 16
  *--top = (void*)entry;  // what emulator_switch returns to
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = STACK_BYTES;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
#endif
}

}  // namespace emulator
