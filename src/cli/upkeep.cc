// Commands for whoever runs a server: its keys, its data, its health.

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <cstdio>

#include "cli/server_call.h"
#include "server/server.h"

namespace belfry::cli {
namespace {

constexpr std::uint64_t kFreeBytesMin = 512ull * 1024 * 1024;

// What went wrong with a file, in its own words.
int tell_file(const Error& error) {
  std::fprintf(stderr, "belfry: %s\n", error.detail.empty() ? error.text().c_str() : error.detail.c_str());
  return exit_failed;
}

// One line of the doctor's, and its memory of whether all is well.
class Report {
 public:
  void good(const std::string& what) { std::printf("ok    %s\n", what.c_str()); }
  void bad(const std::string& what, const std::string& hint) {
    std::printf("FAIL  %s\n      %s\n", what.c_str(), hint.c_str());
    healthy_ = false;
  }
  bool healthy() const { return healthy_; }

 private:
  bool healthy_ = true;
};

void examine_server(const ServerChoice& server, Report& report) {
  net::ClientRequest request;
  request.url = server.url + "/readyz";
  request.ca_file = ca_file_of(server);
  const auto ready = net::fetch(request);
  if (!ready)
    return report.bad(server.url + ": " + ready.error().text(), std::string(ready.error().hint()));
  if (ready.value().status != 200)
    return report.bad(server.url + " answers, but is not ready.", "Look into its log.");
  report.good(server.url + " is ready");
  const auto feed = call(server, "GET", "/v1/feed?limit=0&user=belfry-doctor", {});
  if (!feed) return report.bad("credentials: " + feed.error().text(), std::string(feed.error().hint()));
  if (feed.value().status == 401)
    return report.bad("The server does not know this key.", "Make one with 'belfry key create'.");
  report.good("the key is accepted");
}

void examine_data(const std::string& data_dir, Report& report) {
  DatabaseSummary summary;
  const auto problems = check_data(data_dir, summary);
  if (!problems) return report.bad(data_dir + ": " + problems.error().detail, "Name it with --data.");
  for (const auto& problem : problems.value())
    report.bad(data_dir + ": " + problem, "Restore a backup: 'belfry restore FILE'.");
  if (problems.value().empty())
    report.good(data_dir + " is whole: " + std::to_string(summary.events) + " events, head " +
                std::to_string(summary.head));
  struct statvfs disk{};
  if (::statvfs(data_dir.c_str(), &disk) != 0) return;
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const std::string mebibytes = std::to_string(free / (1024 * 1024)) + " MiB free";
  free < kFreeBytesMin ? report.bad(mebibytes, "Below 512 MiB; a full disk refuses publishers.")
                       : report.good(mebibytes);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit < std::size(units) - 1; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

void show_growth(const std::string& data_dir) {
  const auto found = growth_of_data(data_dir);
  if (!found) return;  // said by examine_data
  const DatabaseGrowth& growth = found.value();
  std::printf("      belfry.db %s, of which %s are free for new rows; belfry.db-wal %s\n",
              bytes_text(growth.file_bytes).c_str(), bytes_text(growth.free_bytes).c_str(),
              bytes_text(growth.wal_bytes).c_str());
  std::printf("      %-15s %12s %12s  %s\n", "what grows", "rows", "size", "rows go");
  for (const TableGrowth& row : growth.tables) {
    const std::string name = row.part.empty() ? row.table : row.table + ", " + row.part;
    std::printf("      %-15s %12s %12s  %s\n", name.c_str(),
                row.rows ? std::to_string(*row.rows).c_str() : "-",
                row.bytes ? bytes_text(*row.bytes).c_str() : "-", row.ends.c_str());
  }
}

}  // namespace

int run_key_create(const KeyCommand& command) {
  if (auto made = make_data_dir(command.data); !made) return tell_file(made.error());
  KeyFile file(command.data);
  const auto key = file.create(command.name);
  if (!key) return tell_file(key.error());
  // This is the only copy: a key that nobody has got is none.
  if (std::printf("%s\n", key.value().c_str()) < 0 || std::fflush(stdout) != 0) {
    const Error unsaid = file_error("Cannot write", "the key to the output");
    const std::string id(backend_key_id(key.value()));
    const auto gone = file.revoke(id, KeyFile::Scheduling::kept, SystemClock().wall());
    if (!gone) return tell_file(gone.error());
    return tell_file(unsaid);
  }
  std::fprintf(stderr, "It is shown once; only its hash is kept. A running server knows it within 2 s.\n");
  return exit_ok;
}

int run_key_revoke(const KeyCommand& command) {
  using Scheduling = KeyFile::Scheduling;
  const auto scheduling = command.keep_scheduled ? Scheduling::kept
                          : command.configured   ? Scheduling::dropped_of_any
                                                 : Scheduling::dropped;
  const auto gone = KeyFile(command.data).revoke(command.name, scheduling, SystemClock().wall());
  if (!gone) return tell_file(gone.error());
  if (!gone.value()) {
    std::fprintf(stderr, "belfry: there is no key %s in %s\n", command.name.c_str(), command.data.c_str());
    return exit_failed;
  }
  std::fprintf(stderr,
               "Revoked. A running server refuses it and ends its streams within 2 s; what it scheduled "
               "%s.\n",
               command.keep_scheduled ? "stays" : "is not published");
  return exit_ok;
}

int run_backup(const DataCommand& command) {
  if (auto done = backup_data(command.data, command.file); !done) return tell_file(done.error());
  DatabaseSummary summary;
  const auto problems = check_database(command.file, summary);
  if (!problems) return tell_file(problems.error());
  for (const auto& problem : problems.value()) std::fprintf(stderr, "belfry: %s\n", problem.c_str());
  std::printf("%s: %llu events, head %llu\n", command.file.c_str(),
              static_cast<unsigned long long>(summary.events),
              static_cast<unsigned long long>(summary.head));
  return problems.value().empty() ? exit_ok : exit_failed;
}

int run_restore(const DataCommand& command) {
  const auto kept = restore_data(command.file, command.data);
  if (!kept) return tell_file(kept.error());
  std::printf("%s is in place.\n", command.file.c_str());
  if (!kept.value().empty()) std::printf("What was there is kept as %s.\n", kept.value().c_str());
  std::printf("Clients that were ahead of it are told so (reset, reason rewound) when they come back.\n");
  return exit_ok;
}

int run_check(const DataCommand& command) {
  DatabaseSummary summary;
  const auto problems = check_data(command.data, summary);
  if (!problems) return tell_file(problems.error());
  for (const auto& problem : problems.value()) std::printf("%s\n", problem.c_str());
  std::printf(
      "%llu events of %llu topics, head %llu, %llu users who follow, opened %llu times: %s\n",
      static_cast<unsigned long long>(summary.events), static_cast<unsigned long long>(summary.topics),
      static_cast<unsigned long long>(summary.head), static_cast<unsigned long long>(summary.users),
      static_cast<unsigned long long>(summary.epochs), problems.value().empty() ? "whole" : "NOT whole");
  return problems.value().empty() ? exit_ok : exit_failed;
}

int run_doctor(const DoctorCommand& command) {
  Report report;
  examine_server(command.server, report);
  examine_data(command.server.data, report);
  show_growth(command.server.data);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string files = std::to_string(limit.rlim_max) + " open files allowed";
  limit.rlim_max < 4096 ? report.bad(files, "Raise the limit: a connection is a file (LimitNOFILE=).")
                        : report.good(files);
  if (!command.config.empty()) {
    const LoadedConfig loaded = load_config({command.config, process_environment(), {}});
    for (const auto& problem : loaded.problems) report.bad(problem.where, problem.text);
    if (loaded.problems.empty()) report.good(command.config + " is valid");
  }
  return report.healthy() ? exit_ok : exit_failed;
}

}  // namespace belfry::cli
