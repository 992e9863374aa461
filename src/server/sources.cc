#include "server/sources.h"

#include <algorithm>

namespace belfry {

Result<void> Sources::prepare(const std::vector<ingest::SourceConfig>& configs) {
  for (const ingest::SourceConfig& config : configs) {
    const ingest::SourceKind* kind = ingest::find_kind(config.kind);
    CHECK(kind != nullptr);
    const auto named = [&config](Error error) {
      error.detail = "source." + config.name + ": " + error.detail;
      return error;
    };
    if (kind->webhook) {
      auto webhook = ingest::Webhook::open(config, clock_);
      if (!webhook) return named(webhook.error());
      webhooks_.push_back(std::move(webhook).value());
      continue;
    }
    const auto module = ingest::load_module(kind->module);
    if (!module) return named(module.error());
    auto mapping = ingest::mapping_of(config);
    if (!mapping) return named(mapping.error());
    prepared_.push_back({config, std::move(mapping).value(), module.value()->run});
  }
  return {};
}

// The thread may ask before its runner is in the list: then the answer waits for the lock.
ingest::SourceContext::Submit Sources::submit_for(std::size_t index) {
  return [this, index](PublishRequest request) {
    const std::uint64_t ticket = ++last_ticket_;
    {
      const std::lock_guard lock(mutex_);
      waiting_.emplace(ticket, index);
    }
    if (submit_(std::move(request), ticket)) return true;
    const std::lock_guard lock(mutex_);
    waiting_.erase(ticket);
    return false;
  };
}

void Sources::start(const std::vector<Position>& positions) {
  const std::lock_guard lock(mutex_);
  for (Prepared& one : prepared_) {
    std::vector<Position> own;
    std::copy_if(positions.begin(), positions.end(), std::back_inserter(own),
                 [&one](const Position& p) { return p.source == one.config.name; });
    runners_.push_back(std::make_unique<ingest::SourceRunner>(std::move(one.config), std::move(one.mapping),
                                                              std::move(own), clock_,
                                                              submit_for(runners_.size()), one.drive));
  }
  prepared_.clear();
}

void Sources::stop() {
  std::vector<std::unique_ptr<ingest::SourceRunner>*> all;
  {
    const std::lock_guard lock(mutex_);
    for (auto& runner : runners_) all.push_back(&runner);
  }
  for (auto* runner : all) (*runner)->end();
}

void Sources::answer(std::vector<PublishedTicket> answers) {
  for (auto& [ticket, outcome] : answers) {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) continue;
    runners_[found->second]->answer(std::move(outcome));
    waiting_.erase(found);
  }
}

Result<Sources::Secrets> Sources::read_secrets(const std::vector<ingest::SourceConfig>& configs) const {
  Secrets out;
  for (const auto& webhook : webhooks_) {
    const auto named = std::find_if(configs.begin(), configs.end(), [&](const ingest::SourceConfig& config) {
      return config.name == webhook->config().name && config.kind == webhook->config().kind;
    });
    out.push_back(named == configs.end() ? std::vector<std::string>{}
                                         : TRY(ingest::Webhook::read_secrets(*named)));
  }
  return out;
}

void Sources::take_secrets(Secrets secrets) {
  for (std::size_t i = 0; i < webhooks_.size(); ++i) webhooks_[i]->take_secrets(std::move(secrets[i]));
}

std::vector<ingest::SourceStatus> Sources::status() const {
  std::vector<ingest::SourceStatus> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& runner : runners_) out.push_back(runner->status());
  }
  for (const auto& webhook : webhooks_) out.push_back(webhook->status());
  return out;
}

const ingest::Webhook* Sources::webhook(std::string_view name) const {
  for (const auto& webhook : webhooks_)
    if (webhook->config().name == name) return webhook.get();
  return nullptr;
}

Result<void> Sources::reset(std::string_view name) {
  const std::lock_guard lock(mutex_);
  for (const auto& runner : runners_) {
    if (runner->status().name != name) continue;
    log_warn("the source begins anew", {{"source", std::string(name)}});
    runner->reset();
    return {};
  }
  return fail(Code::not_found);
}

void Sources::report() {
  for (const ingest::SourceStatus& now : status()) {
    Told& told = told_[now.name];
    const auto count = [&](std::string_view name, std::string_view help, std::uint64_t is,
                           std::uint64_t was) {
      add(metrics_.counter(name, help, "source", now.name), static_cast<double>(is - was));
    };
    count("belfry_source_records_total", "Records read.", now.records, told.status.records);
    count("belfry_source_events_total", "Events made of them.", now.events, told.status.events);
    count("belfry_source_dead_letters_total", "Records that could not become an event.", now.dead_letters,
          told.status.dead_letters);
    count("belfry_source_failures_total", "Times it failed and was tried again; of webhooks: refused.",
          now.failures, told.status.failures);
    const auto show = [&](std::string_view name, std::string_view help, double is, double& was) {
      change(metrics_.gauge(name, help, "source", now.name), is - std::exchange(was, is));
    };
    show("belfry_source_up", "1 while it is read.", now.state == ingest::SourceState::running ? 1 : 0,
         told.up);
    show("belfry_source_alarm", "1 once it lost something, until a reset.", now.alarm ? 1 : 0, told.alarm);
    show("belfry_source_lag", "How far behind it is, in its own unit: ms, bytes or records.",
         static_cast<double>(now.lag.value_or(0)), told.lag);
    told.status = now;
  }
}

}  // namespace belfry
