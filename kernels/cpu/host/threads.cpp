// Team: threads that wait for jobs, spinning first.
#include "threads.hpp"

#include <sched.h>
#include <unistd.h>

#include "denormals.hpp"

namespace qmltrain {

namespace {

// Spin briefly, then give the core away: on a busy machine a spinning thread keeps its own partner from running.
void relax(int k) {
#if defined(__x86_64__)
  if (k < 1000) {
    __builtin_ia32_pause();
    return;
  }
#endif
  (void)k;
  sched_yield();
}

constexpr int kSpins = 4000;

}  // namespace

void Team::do_jobs(int count, const std::function<void(int, int)>& job) {
  if (alone() || count == 1) {
    for (int i = 0; i < count; i++) job(i, 0);
    return;
  }
  if (!workers_.empty() && owner_ != int(getpid())) {  // after fork() the threads are gone
    for (std::thread& w : workers_) w.detach();
    workers_.clear();
  }
  if (workers_.empty()) {
    owner_ = int(getpid());
    ticket_ = 0, inside_ = 0;
    for (int t = 1; t < threads_; t++) workers_.emplace_back([this, t] { work(t); });
  }
  job_ = &job, error_ = nullptr;
  for (int t = 0; t < threads_; t++) {
    jobs_of_[std::size_t(t)].next.store(int(std::int64_t(count) * t / threads_), std::memory_order_relaxed);
    jobs_of_[std::size_t(t)].end = int(std::int64_t(count) * (t + 1) / threads_);
  }
  open_.store(true);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ticket_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  take(0);
  // All jobs are taken. Threads that are at one are waited for; one that has not woken up finds the round closed. (It
  // counts itself in before it looks whether the round is open, this thread closes before it counts: one sees the
  // other.)
  open_.store(false);
  for (int k = 0; inside_.load(); k++) relax(k);
  if (error_) std::rethrow_exception(error_);
}

void Team::take(int thread) {
  try {
    for (int k = 0; k < threads_; k++) {  // its own jobs, then what others have left
      Jobs& jobs = jobs_of_[std::size_t((thread + k) % threads_)];
      for (int i; (i = jobs.next.fetch_add(1, std::memory_order_relaxed)) < jobs.end;) (*job_)(i, thread);
    }
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
    for (Jobs& jobs : jobs_of_) jobs.next.store(jobs.end, std::memory_order_relaxed);
  }
}

void Team::work(int thread) {
  const FlushDenormals flush;
  int seen = 0;
  for (;;) {
    for (int k = 0; ticket_.load(std::memory_order_acquire) == seen && k < kSpins; k++) relax(k);
    if (ticket_.load(std::memory_order_acquire) == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return ticket_.load(std::memory_order_acquire) != seen; });
    }
    seen = ticket_.load(std::memory_order_acquire);
    if (quit_) return;
    inside_.fetch_add(1);
    if (open_.load()) take(thread);
    inside_.fetch_sub(1);
  }
}

void Team::stop() {
  if (workers_.empty()) return;
  if (owner_ != int(getpid())) {
    for (std::thread& w : workers_) w.detach();
    return;
  }
  quit_ = true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ticket_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& w : workers_) w.join();
}

}  // namespace qmltrain
