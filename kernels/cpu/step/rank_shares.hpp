// Ranks: processes that make each step together. Every rank takes consecutive blocks of the batch; which nodes of the
// fixed tree (tree_sums.hpp) these make follows from their numbers, so that ranks exchange bare rows.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace qmltrain {

// What a rank says of its part of a step; all ranks hear all words, joined by OR.
enum RankWord {
  kRankNotFinite = 1,  // it met a number that is NaN or infinite
  kRankStop = 2,       // it was asked to stop, after this step
  kRankEnd = 4,        // its span ends with this step
  kRankAbandoned = 8,  // it was asked to stop in the middle of its part, which is not there
};

struct Ranks {
  int rank = 0, size = 1;
  // Brings this rank's word and its part of `numbers`, that of rank r being counts[r] long and behind that of rank r - 1;
  // gives all words, and unless one is kRankAbandoned all parts. Throws Interrupted where the exchange failed.
  std::function<int(int word, double* numbers, const std::vector<std::int64_t>& counts)> gather;
};

struct TreeNode { std::size_t first, size; };  // of blocks: `size` is a power of two that divides `first`

// The largest nodes, of at most `most` blocks (a power of two; 0: any number), that blocks first .. end - 1 make.
inline std::vector<TreeNode> tree_nodes(std::size_t first, std::size_t end, std::size_t most = 0) {
  std::vector<TreeNode> nodes;
  while (first < end) {
    std::size_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= end && (!most || 2 * size <= most)) size *= 2;
    nodes.push_back({first, size});
    first += size;
  }
  return nodes;
}

// The first block of a rank, of so many blocks; rank = ranks: their end.
inline std::size_t first_block_of(int rank, int ranks, std::size_t blocks) {
  return blocks * std::size_t(rank) / std::size_t(ranks);
}

}  // namespace qmltrain
