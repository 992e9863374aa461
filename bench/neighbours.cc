// One client does its worst while others publish and listen. The baseline: the same client does the same to
// a second Belfry on the same core.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "attacks.h"
#include "compare.h"
#include "load.h"

namespace belfry::bench {
namespace {

constexpr double kGoal = 3;  // times the baseline, of both p99
constexpr double kPerSecond = 100;
constexpr std::size_t kListeners = 50, kPublishers = 16;
constexpr double kPatience = 10;  // what has not come by then counts as late as that
constexpr const char* kTopic = "neighbours/1";

// What the neighbours had, and what the attacker was answered a second meanwhile.
struct Run {
  double publish_p50 = 0, publish_p99 = 0, delivery_p99 = 0;  // ms
  double answered = 0, refused = 0, rounds = 0, broken = 0, mebibytes = 0;
};

struct Row {
  std::vector<Run> baseline, attacked;
  std::uint64_t refused = 0, missing = 0, violations = 0;

  double publish_ratio() const { return ratio(&Run::publish_p99); }
  double delivery_ratio() const { return ratio(&Run::delivery_p99); }
  bool good() const {
    return refused == 0 && missing == 0 && publish_ratio() <= kGoal && delivery_ratio() <= kGoal;
  }
  static double middle(const std::vector<Run>& runs, double Run::* member) {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(run.*member);
    return median(std::move(values));
  }

 private:
  double ratio(double Run::* member) const {
    const double without = middle(baseline, member);
    return without > 0 ? middle(attacked, member) / without : 0;
  }
};

Load::Plan plan_of(std::uint64_t first, double length_s) {
  Load::Plan plan;
  plan.count = plan.window = static_cast<std::size_t>(kPerSecond * length_s);
  plan.fanout = kListeners;
  plan.per_second = kPerSecond;
  plan.topic = [](std::uint64_t) { return kTopic; };
  plan.number = [first](std::uint64_t i) { return first + i; };
  return plan;
}

// Waits until what an attack has left is done: the server uses less than a twentieth of its core. False: it
// takes too long.
bool wait_until_quiet(const Target& target) {
  constexpr double kLook = 0.1;
  for (int looks = 0; looks < 80; ++looks) {
    const Cpu before = target.cpu();
    ::usleep(static_cast<useconds_t>(kLook * 1e6));
    if ((target.cpu() - before).total() < kLook / 20) return true;
  }
  return false;
}

// The server of the neighbours, and the other one; both hold the same.
struct Servers {
  AttackedServer home, beside;
  Servers(const Options& options, const Attack& attack)
      : home(options, attack.settings), beside(options, attack.settings) {
    if (attack.prepare == nullptr) return;
    attack.prepare(home);
    attack.prepare(beside);
  }
  bool wait_until_quiet() const {
    return bench::wait_until_quiet(home.target()) && bench::wait_until_quiet(beside.target());
  }
};

// With what never came.
Histogram whole(Histogram delays, std::uint64_t count) {
  while (delays.count() < count) delays.add(kPatience);
  return delays;
}

Run measure(AttackedServer& home, AttackedServer& victim, const Attack& attack, bool quick, Row& row) {
  Load load(home.target());  // also pins this thread, and so the attacker's
  load.set_patience(kPatience);
  load.accept_any_order(true);
  load.open(kListeners / 2, Transport::sse, kTopic);
  load.open(kListeners - kListeners / 2, Transport::websocket, kTopic);
  load.connect_publishers(kPublishers);
  const Attacker attacker(victim.target().port(), attack.scripts(victim));
  const Load::Plan warm_up = plan_of(0, quick ? 0.5 : 1), plan = plan_of(warm_up.count, quick ? 2 : 6);
  load.play(warm_up);
  load.forget_latencies();
  const std::uint64_t delivered = load.deliveries(), refused = load.refused();
  const AttackFigures before = attacker.figures();
  const double took = load.play(plan);
  const AttackFigures after = attacker.figures();
  row.refused += load.refused();
  const std::uint64_t expected = (plan.count - (load.refused() - refused)) * kListeners;
  row.missing += expected - std::min(expected, load.deliveries() - delivered);
  row.violations += load.violations().total();
  const auto rate = [&](std::uint64_t AttackFigures::* member) {
    return static_cast<double>(after.*member - before.*member) / took;
  };
  const Histogram answers = whole(load.answer_latencies(), plan.count);
  return {answers.quantile_ms(0.5),
          answers.quantile_ms(0.99),
          whole(load.latencies(), expected).quantile_ms(0.99),
          rate(&AttackFigures::answered),
          rate(&AttackFigures::refused),
          rate(&AttackFigures::rounds),
          rate(&AttackFigures::broken),
          rate(&AttackFigures::bytes) / 1048576};
}

Row measure_row(const Options& options, const Attack& attack) {
  const int pairs = options.pairs_chosen ? options.pairs : options.quick ? 1 : 3;
  std::unique_ptr<Servers> servers;
  Row row;
  for (int i = 0; i < 2 * pairs; ++i) {
    std::fprintf(stderr, "\r%s: run %d of %d      ", attack.name, i + 1, 2 * pairs);
    // Whoever has not done with the attack before would be in the way of this one.
    if (!servers || !servers->wait_until_quiet()) {
      servers.reset();
      servers = std::make_unique<Servers>(options, attack);
      servers->wait_until_quiet();
    }
    const bool attacked = i % 4 == 1 || i % 4 == 2;  // each comes first in every other pair
    (attacked ? row.attacked : row.baseline)
        .push_back(measure(servers->home, attacked ? servers->home : servers->beside, attack,
                           options.quick, row));
  }
  std::fprintf(stderr, "\r                                        \r");
  return row;
}

std::string both(const Row& row, double Run::* member, const char* format) {
  char text[80];
  std::snprintf(text, sizeof text, format, Row::middle(row.baseline, member),
                Row::middle(row.attacked, member));
  return text;
}

// What the attacker was given a second: answers, streams that it read to their end, connections that the
// server ended.
std::string attack_text(const Row& row) {
  std::string out;
  const auto add = [&](double Run::* member, const char* what, double least = 0) {
    const double sum = Row::middle(row.baseline, member) + Row::middle(row.attacked, member);
    if (sum > least)
      out += (out.empty() ? "" : "; ") + both(row, member, sum < 20 ? "%.1f, %.1f " : "%.0f, %.0f ") + what;
  };
  add(&Run::answered, "answers");
  add(&Run::refused, "refusals");
  add(&Run::rounds, "streams");
  add(&Run::broken, "ended");
  add(&Run::mebibytes, "MiB read", 1);
  return out.empty() ? "nothing" : out;
}

void print_row(const Options& options, const Attack& attack, const Row& row) {
  std::string verdict = row.good() ? "ok" : "missed";
  if (row.refused > 0) verdict += ", " + std::to_string(row.refused) + " refused";
  if (row.missing > 0) verdict += ", " + std::to_string(row.missing) + " missing";
  const std::string p50 = both(row, &Run::publish_p50, "%.1f, %.1f"),
                    p99 = both(row, &Run::publish_p99, "%.1f, %.1f"),
                    delivery = both(row, &Run::delivery_p99, "%.1f, %.1f");
  std::printf("| %s | %s | %s | %.2f | %s | %.2f | %s | %s |\n", attack.name, p50.c_str(), p99.c_str(),
              row.publish_ratio(), delivery.c_str(), row.delivery_ratio(), attack_text(row).c_str(),
              verdict.c_str());
  char line[600];
  std::snprintf(line, sizeof line,
                R"({"workload":"neighbours-%s","server":"belfry","publish_p50_ms":[%s],)"
                R"("publish_p99_ms":[%s],"delivery_p99_ms":[%s],"publish_ratio":%.3f,)"
                R"("delivery_ratio":%.3f,"attack":[%s],"refused":%llu,"missing":%llu,"good":%s})",
                attack.name, p50.c_str(), p99.c_str(), delivery.c_str(), row.publish_ratio(),
                row.delivery_ratio(), both(row, &Run::answered, "%.1f, %.1f").c_str(),
                static_cast<unsigned long long>(row.refused), static_cast<unsigned long long>(row.missing),
                row.good() ? "true" : "false");
  add_json(options, line);
}

}  // namespace

std::uint64_t run_neighbours(const Options& options) {
  for (const auto& name : options.rows) {
    const bool known =
        std::any_of(attacks().begin(), attacks().end(), [&](const Attack& one) { return one.name == name; });
    if (known) continue;
    std::fprintf(stderr, "bench: neighbours has no row %s\n", name.c_str());
    std::exit(1);
  }
  std::printf(
      "%zu sessions listen to %.0f events a second while one client does its worst: to a second Belfry "
      "beside theirs (the first figure), to theirs (the second). Milliseconds, from when an event was due "
      "to its answer or arrival; medians of the runs. Goal: each p99 at most %.0f times the baseline, and "
      "nothing refused or missing.\n\n"
      "| attack | publish p50 | publish p99 | ratio | delivery p99 | ratio | of the attack, a second | |\n"
      "|---|---|---|---|---|---|---|---|\n",
      kListeners, kPerSecond, kGoal);
  std::uint64_t violations = 0;
  std::string titles;
  for (const Attack& attack : attacks()) {
    const auto& rows = options.rows;
    if (!rows.empty() && std::find(rows.begin(), rows.end(), attack.name) == rows.end()) continue;
    const Row row = measure_row(options, attack);
    print_row(options, attack, row);
    violations += row.violations;
    titles += std::string("- ") + attack.name + ": " + attack.title + "\n";
  }
  std::printf("\n%s", titles.c_str());
  return violations;
}

}  // namespace belfry::bench
