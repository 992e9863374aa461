// Plays files, and folders of files, through one target: what CI does with the corpus.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fuzz.h"

int main(int argc, char** argv) {
  std::size_t played = 0;
  const auto play = [&played](const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    const std::string bytes = text.str();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++played;
  };
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      play(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) play(entry.path());
  }
  std::printf("%zu inputs\n", played);
  return played > 0 ? 0 : 1;
}
