#pragma once
// Counters and gauges for /metrics (Prometheus text format). Names end in their unit; no label ever holds a
// topic, a user or anything else from outside.
//
// Thread: any. The hot path counts in plain integers and adds them here once a turn.

#include <memory>
#include <string>
#include <string_view>

namespace prometheus {
class Counter;
class Gauge;
class Registry;
}  // namespace prometheus

namespace belfry {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // References live as long as Metrics. The same name and label give the same counter.
  prometheus::Counter& counter(std::string_view name, std::string_view help, std::string_view label = {},
                               std::string_view value = {});
  prometheus::Gauge& gauge(std::string_view name, std::string_view help, std::string_view label = {},
                           std::string_view value = {});
  std::string text() const;

 private:
  std::unique_ptr<prometheus::Registry> registry_;
};

void add(prometheus::Counter& counter, double amount);
void change(prometheus::Gauge& gauge, double by);

}  // namespace belfry
