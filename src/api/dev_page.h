#pragma once
// The page at `/` in dev mode: plain HTML, made from dev_page.html at build time.

#include <string_view>

namespace belfry {

std::string_view dev_page();

}  // namespace belfry
