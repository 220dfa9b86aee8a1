// Buffer: memory of the host code. 64-byte aligned, huge pages where large, not initialised.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace qmltrain {

class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(data_); }
  Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr, other.size_ = 0; }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // At least so many bytes; what it held is lost where it grows.
  void reserve(std::size_t bytes) {
    if (bytes <= size_) return;
    std::free(data_);
    data_ = nullptr, size_ = 0;
    const std::size_t page = bytes > (1u << 21) ? std::size_t(1) << 21 : 64;
    const std::size_t rounded = (bytes + page - 1) / page * page;
    data_ = static_cast<char*>(std::aligned_alloc(page, rounded));
    if (!data_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (page > 64) madvise(data_, rounded, MADV_HUGEPAGE);
#endif
    size_ = rounded;
  }
  char* get() const { return data_; }
  template <class T> T* as() const { return reinterpret_cast<T*>(data_); }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace qmltrain
