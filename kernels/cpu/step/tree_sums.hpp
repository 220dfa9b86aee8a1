// TreeSums: the fixed tree over blocks (qmltrain/training/reduction.py) where blocks come some at a time. Nodes are
// rows of n sums; a node of 2^l blocks depends on these blocks alone, so that ranks may make them and exchange them.
#pragma once
#include <utility>
#include <vector>

namespace qmltrain {

class TreeSums {
 public:
  void clear(std::size_t n) { n_ = n, nodes_.clear(); }
  // The sum (n) of the next `size` blocks, a power of two that divides how many there were before; the last of all may
  // be any number.
  void add(const double* sum, std::size_t size) {
    std::vector<double> row(sum, sum + n_);
    while (!nodes_.empty() && nodes_.back().first == size) {
      const std::vector<double>& left = nodes_.back().second;
      for (std::size_t i = 0; i < n_; i++) row[i] = left[i] + row[i];
      nodes_.pop_back();
      size *= 2;
    }
    nodes_.emplace_back(size, std::move(row));
  }
  // Of all blocks.
  void total(double* sum) const {
    for (std::size_t i = 0; i < n_; i++) {
      double tail = nodes_.back().second[i];
      for (std::size_t k = nodes_.size() - 1; k-- > 0;) tail = nodes_[k].second[i] + tail;
      sum[i] = tail;
    }
  }

 private:
  std::size_t n_ = 0;
  std::vector<std::pair<std::size_t, std::vector<double>>> nodes_;
};

}  // namespace qmltrain
