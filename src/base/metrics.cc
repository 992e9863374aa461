#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace belfry {
namespace {

prometheus::Labels labels_of(std::string_view label, std::string_view value) {
  prometheus::Labels labels;
  if (!label.empty()) labels.emplace(std::string(label), std::string(value));
  return labels;
}

}  // namespace

Metrics::Metrics() : registry_(std::make_unique<prometheus::Registry>()) {}
Metrics::~Metrics() = default;

prometheus::Counter& Metrics::counter(std::string_view name, std::string_view help, std::string_view label,
                                      std::string_view value) {
  auto& family =
      prometheus::BuildCounter().Name(std::string(name)).Help(std::string(help)).Register(*registry_);
  return family.Add(labels_of(label, value));
}

prometheus::Gauge& Metrics::gauge(std::string_view name, std::string_view help, std::string_view label,
                                  std::string_view value) {
  auto& family =
      prometheus::BuildGauge().Name(std::string(name)).Help(std::string(help)).Register(*registry_);
  return family.Add(labels_of(label, value));
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(registry_->Collect()); }

void add(prometheus::Counter& counter, double amount) { counter.Increment(amount); }
void change(prometheus::Gauge& gauge, double by) { gauge.Increment(by); }

}  // namespace belfry
