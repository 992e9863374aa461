#include "compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "load.h"

namespace belfry::bench {
namespace {

constexpr double kAgreement = 1.35;

Figures mean(const Figures& a, const Figures& b) {
  Figures out;
  for (const auto member : {&Figures::cpu_us, &Figures::user_us, &Figures::rate, &Figures::p50_ms,
                            &Figures::p99_ms, &Figures::user_bytes, &Figures::kernel_bytes})
    out.*member = (a.*member + b.*member) / 2;
  return out;
}

bool agree(const Figures& a, const Figures& b) {
  return std::max(a.cpu_us, b.cpu_us) <= kAgreement * std::min(a.cpu_us, b.cpu_us);
}

std::vector<double> of(const Compared& one, double Figures::* member) {
  std::vector<double> out;
  for (const Figures& run : one.runs) out.push_back(run.*member);
  return out;
}

std::vector<double> ratios(const Compared& one, double Figures::* member) {
  std::vector<double> out;
  for (const auto& [limit, server] : one.pairs) out.push_back(server.*member / limit.*member);
  std::erase_if(out, [](double ratio) { return !std::isfinite(ratio); });  // a figure that it has not got
  std::sort(out.begin(), out.end());
  return out;
}

std::string ratio_text(const Compared& one, double Figures::* member) {
  if (one.server == "limit") return "1";
  const auto all = ratios(one, member);
  if (all.empty()) return "no two limit runs agreed";
  char text[80];
  std::snprintf(text, sizeof text, "%.2f (%.2f to %.2f, %zu)", median(all), all.front(), all.back(),
                all.size());
  return text;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Null if no file was asked for, or it cannot be written.
std::unique_ptr<std::FILE, CloseFile> json_file(const Options& options) {
  return std::unique_ptr<std::FILE, CloseFile>(
      options.json.empty() ? nullptr : std::fopen(options.json.c_str(), "a"));
}

void write_json(const Options& options, const char* workload, const Compared& one) {
  const auto file = json_file(options);
  if (!file) return;
  const auto cpu = ratios(one, &Figures::cpu_us), p99 = ratios(one, &Figures::p99_ms);
  std::fprintf(
      file.get(),
      "{\"workload\":\"%s\",\"server\":\"%s\",\"cpu_us\":%.4f,\"user_us\":%.4f,\"rate\":%.1f,"
      "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"user_bytes\":%.1f,\"kernel_bytes\":%.1f,"
      "\"ratio\":%.4f,\"p99_ratio\":%.4f,\"pairs\":%zu}\n",
      workload, one.server.c_str(), median(of(one, &Figures::cpu_us)), median(of(one, &Figures::user_us)),
      median(of(one, &Figures::rate)), median(of(one, &Figures::p50_ms)), median(of(one, &Figures::p99_ms)),
      median(of(one, &Figures::user_bytes)), median(of(one, &Figures::kernel_bytes)),
      one.server == "limit" ? 1 : median(cpu), one.server == "limit" ? 1 : median(p99), one.pairs.size());
}

void print_row(const Compared& one, Columns columns) {
  const auto at = [&](double Figures::* member) { return median(of(one, member)); };
  if (columns == Columns::cost)
    std::printf("| %s | %.2f | %.2f | %s | %.0f |\n", one.server.c_str(), at(&Figures::cpu_us),
                at(&Figures::user_us), ratio_text(one, &Figures::cpu_us).c_str(), at(&Figures::rate));
  if (columns == Columns::latency)
    std::printf("| %s | %.2f | %.2f | %s | %.2f |\n", one.server.c_str(), at(&Figures::p50_ms),
                at(&Figures::p99_ms), ratio_text(one, &Figures::p99_ms).c_str(), at(&Figures::cpu_us));
  if (columns == Columns::memory)
    std::printf("| %s | %.0f | %.0f | %.1f | %s |\n", one.server.c_str(), at(&Figures::user_bytes),
                at(&Figures::kernel_bytes), at(&Figures::cpu_us),
                ratio_text(one, &Figures::cpu_us).c_str());
}

}  // namespace

std::vector<Description> chosen_servers(const Options& options) {
  const std::string folder = std::string(BELFRY_SOURCE_DIR) + "/bench/servers/";
  std::vector<Description> out;
  for (const std::string& name : options.servers) {
    out.push_back(read_description(folder + name + ".json"));
    const Description& last = out.back();
    const std::string program = filled(last.needs.empty() ? last.command.at(0) : last.needs,
                                       {{"peers", std::string(BELFRY_SOURCE_DIR) + "/build/peers"}});
    if (program.starts_with('/') && !std::filesystem::exists(program)) {
      std::fprintf(stderr, "bench: %s is not installed here and is left out\n", name.c_str());
      out.pop_back();
    }
  }
  return out;
}

std::vector<Compared> compare(const Options& options, const std::vector<Description>& servers, int pairs,
                              const Measure& measure, bool fresh) {
  std::vector<std::unique_ptr<Target>> running(servers.size());
  std::vector<Compared> out(servers.size());
  const auto run = [&](std::size_t i) {
    if (!running[i]) running[i] = std::make_unique<Target>(servers[i], options.bin);
    const Figures figures = measure(*running[i]);
    if (fresh) running[i].reset();
    out[i].runs.push_back(figures);
    return figures;
  };
  const auto attempt = [&](std::size_t i) -> std::optional<Figures> {
    try {
      return run(i);
    } catch (const Unanswered& error) {
      if (servers[i].name == "belfry") throw;
      std::fprintf(stderr, "\nbench: %s\n", error.what());
      out[i].left_out = error.what();
      running[i].reset();
      return {};
    }
  };
  if (servers.size() < 2) return {};  // nobody else can do this
  for (std::size_t i = 0; i < servers.size(); ++i)
    out[i].server = servers[i].name, out[i].title = servers[i].title;
  Figures before = run(0);
  for (int round = 0; round < pairs * 2; ++round) {
    bool enough = true;
    for (std::size_t i = 1; i < servers.size(); ++i) {
      if (static_cast<int>(out[i].pairs.size()) >= pairs || !out[i].left_out.empty()) continue;
      const auto middle = attempt(i);
      const Figures after = run(0);
      if (middle && agree(before, after)) out[i].pairs.emplace_back(mean(before, after), *middle);
      before = after;
      enough &= static_cast<int>(out[i].pairs.size()) >= pairs || !middle;
      std::fprintf(stderr, "\r%s: %zu of %d pairs      ", out[i].server.c_str(), out[i].pairs.size(),
                   pairs);
    }
    if (enough) break;
  }
  std::fprintf(stderr, "\r                                        \r");
  return out;
}

void add_json(const Options& options, const std::string& line) {
  if (const auto file = json_file(options)) std::fprintf(file.get(), "%s\n", line.c_str());
}

void write_point(const Options& options, const char* workload, double x, double y) {
  const auto file = json_file(options);
  if (!file) return;
  std::fprintf(file.get(), "{\"workload\":\"%s\",\"server\":\"belfry\",\"x\":%.0f,\"y\":%.6g}\n", workload,
               x, y);
}

std::uint64_t print_compared(const Options& options, const char* workload, const char* what,
                             const std::vector<Compared>& all, Columns columns) {
  if (all.empty()) return 0;
  std::printf("\n%s\n\n", what);
  if (columns == Columns::cost)
    std::printf("| server | CPU µs | of it user | CPU, ratio to limit (range, pairs) | a second |\n");
  if (columns == Columns::latency)
    std::printf("| server | p50 ms | p99 ms | p99, ratio to limit (range, pairs) | CPU µs |\n");
  if (columns == Columns::memory)
    std::printf("| server | user bytes | kernel bytes, both ends | connect CPU µs | ratio to limit |\n");
  std::printf("|---|---|---|---|---|\n");
  std::uint64_t violations = 0;
  std::string notes;
  for (const Compared& one : all) {
    if (!one.left_out.empty()) {
      notes += "\nLeft out: " + one.left_out + ".\n";
      continue;
    }
    print_row(one, columns);
    write_json(options, workload, one);
    std::uint64_t seen = 0;
    for (const Figures& run : one.runs) seen += run.violations;
    if (seen > 0) notes += "\n" + one.server + " lost or doubled " + std::to_string(seen) + ".\n";
    if (one.server == "belfry") violations += seen;
  }
  std::printf("%s", notes.c_str());
  std::fflush(stdout);
  return violations;
}

}  // namespace belfry::bench
