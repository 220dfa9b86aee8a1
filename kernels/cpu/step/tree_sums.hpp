// TreeSums: the fixed tree over blocks (qmltrain/training/reduction.py) where blocks come some at a time. Nodes are
// rows of n sums; a node of 2^l blocks depends on these blocks alone, so that ranks make them and exchange them.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

namespace qmltrain {

class TreeSums {
 public:
  // Blocks of `n` sums, from number `first` on.
  void clear(std::size_t n, std::size_t first = 0) { n_ = n, next_ = first, nodes_.clear(); }
  // The sum (n) of the next `size` blocks, a power of two that divides the number of the first; the last of all may be
  // any number.
  void add(const double* sum, std::size_t size) {
    std::vector<double> row(sum, sum + n_);
    next_ += size;
    while (!nodes_.empty() && nodes_.back().first == size && (next_ - 2 * size) % (2 * size) == 0) {
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
  // The nodes that are held, one row after another: those of `tree_nodes` (rank_shares.hpp).
  void rows(double* to) const {
    for (const auto& node : nodes_) to = std::copy_n(node.second.data(), n_, to);
  }

 private:
  std::size_t n_ = 0, next_ = 0;
  std::vector<std::pair<std::size_t, std::vector<double>>> nodes_;  // blocks, their sum
};

}  // namespace qmltrain
