// ThreadChoice: whether short steps are done by one thread or by all. Bits do not depend on it, so it is measured: now
// and then some steps are done the other way, and the faster way is kept.
#pragma once
#include <algorithm>

namespace qmltrain {

class ThreadChoice {
 public:
  explicit ThreadChoice(int threads) : threads_(threads) {}
  // Whether the next step is done alone.
  bool alone() const { return threads_ == 1 || (trying_ >= 0 ? trying_ == 1 : alone_); }
  // What it took.
  void took(double seconds) {
    if (threads_ == 1) return;
    if (trying_ < 0) {
      if (--until_trial_ <= 0) begin_trial();
      return;
    }
    if (seconds > kLong && trying_ == 0) {  // surely worth a team, and a trial would cost too much
      alone_ = false, trying_ = -1, until_trial_ = kBetween;
      return;
    }
    best_[trying_] = std::min(best_[trying_], seconds);
    if (++tried_ < kTried) return;
    tried_ = 0;
    if (++trying_ < 2) return;
    trying_ = -1, until_trial_ = kBetween;
    alone_ = best_[1] <= best_[0];
  }

 private:
  void begin_trial() { trying_ = 0, tried_ = 0, best_[0] = best_[1] = 1e300; }

  static constexpr double kLong = 2e-3;  // seconds of a step
  static constexpr int kTried = 8, kBetween = 2000;  // steps
  int threads_;
  int trying_ = 0, tried_ = 0, until_trial_ = 0;  // trying_: 0 all threads, 1 alone, -1 not now
  bool alone_ = false;
  double best_[2] = {1e300, 1e300};
};

}  // namespace qmltrain
