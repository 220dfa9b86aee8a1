// A team of threads that shares out numbered jobs. Which thread does a job never changes what it computes.
#pragma once
#include <atomic>
#include <cstdint>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qmltrain {

class Team {
 public:
  explicit Team(int threads) : threads_(threads < 1 ? 1 : threads), jobs_of_(std::size_t(threads_)) {}
  ~Team() { stop(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }
  // Whether the calling thread does all jobs itself; jobs that are short are done sooner so.
  void work_alone(bool alone) { alone_ = alone; }
  bool alone() const { return alone_ || threads_ == 1; }

  // job(index, thread) for index 0 .. count - 1; the calling thread is thread 0. Rethrows the first exception.
  void do_jobs(int count, const std::function<void(int, int)>& job);

 private:
  void work(int thread);
  void take(int thread);
  void stop();

  // Every thread starts with the same job numbers each time: what a job works on is likely to be in its
  // cache.
  struct alignas(64) Jobs {
    std::atomic<int> next{0};
    int end = 0;
  };

  const int threads_;
  bool alone_ = false;
  std::vector<Jobs> jobs_of_;
  std::vector<std::thread> workers_;
  const std::function<void(int, int)>* job_ = nullptr;
  std::atomic<int> inside_{0}, ticket_{0};
  std::atomic<bool> open_{false}, quit_{false};
  std::exception_ptr error_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int owner_ = 0;
};

}  // namespace qmltrain
