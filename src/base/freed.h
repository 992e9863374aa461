#pragma once
// The deleter of what a C library frees with a function of its own: std::unique_ptr<BIO, Freed<BIO_free>>.

namespace belfry {

template <auto function>
struct Freed {
  template <class Type>
  void operator()(Type* object) const {
    function(object);
  }
};

}  // namespace belfry
