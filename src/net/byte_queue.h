#pragma once
// Bytes that wait, in order: appended behind, dropped from the front.
//
// Owner: whoever holds it. Thread: one.
// Bound: the owner's; size() is what counts against it. Its memory is a page, or four times that.
// Always: dropping costs in all what was appended, however small the steps: what is left is moved only when
// it is the smaller part.

#include <algorithm>
#include <string>
#include <string_view>

namespace belfry::net {

class ByteQueue {
 public:
  static constexpr std::size_t kept_bytes = 4096;

  void append(std::string_view bytes) { bytes_ += bytes; }
  // Valid until the next call that changes the queue.
  std::string_view view() const { return std::string_view(bytes_).substr(from_); }
  std::size_t size() const { return bytes_.size() - from_; }
  bool empty() const { return size() == 0; }
  // Bytes of memory.
  std::size_t capacity() const { return bytes_.capacity(); }
  // REQUIRES: count <= size().
  void drop(std::size_t count) {
    from_ += count;
    if (from_ * 2 < bytes_.size()) return;
    if (bytes_.capacity() > std::max(kept_bytes, 2 * size())) {
      std::string(view()).swap(bytes_);  // a move of a few bytes would keep the memory
    } else {
      bytes_.erase(0, from_);
    }
    from_ = 0;
  }
  // Its memory is twice what waits, or a few bytes.
  void fit() {
    if (bytes_.capacity() <= few_bytes + 2 * size()) return;
    std::string(view()).swap(bytes_);
    from_ = 0;
  }
  // Its memory too.
  void clear() {
    std::string().swap(bytes_);
    from_ = 0;
  }

 private:
  static constexpr std::size_t few_bytes = 256;

  std::string bytes_;
  std::size_t from_ = 0;
};

}  // namespace belfry::net
