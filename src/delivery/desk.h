#pragma once
// Where requests to the log-writer wait for their outcome: an HTTP request, or a message on a WebSocket.
//
// Owner: the shard thread. Thread: its loop's. Bound: the log-writer's mailbox.
// Always: an outcome reaches its receiver once, or nobody if the receiver was forgotten.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "delivery/admission.h"
#include "log/log.h"

namespace belfry {

class OutcomeReceiver {
 public:
  virtual ~OutcomeReceiver() = default;
  virtual void on_outcome(std::uint64_t ticket, PublishOutcome outcome) = 0;
};

// What an idempotency key is remembered with: the first half of the body's SHA-256.
BodyHash hash_of_body(std::string_view body);
// {"events":[…]}: what a publisher is answered.
std::string answer_of(const Published& published);

class Desk {
 public:
  // Takes a request to the log-writer; false: no room.
  using Submit = std::function<bool(PublishRequest&& request, std::uint64_t ticket)>;

  // Both outlive the desk.
  Desk(Submit submit, const Log& log, const Admission& admission)
      : submit_(std::move(submit)), log_(log), admission_(admission) {}

  // Whether it may be published at this load: the last to be refused are the backends, because what they
  // tell is what everybody waits for. Code::overloaded, with the time after which to come back.
  Result<void> check_load(const Principal& principal, const std::vector<Event>& events) const;

  // Code::overloaded if there is no room. The ticket is never 0.
  Result<std::uint64_t> submit(PublishRequest request, OutcomeReceiver& receiver) {
    const std::uint64_t ticket = ++last_ticket_;
    if (!submit_(std::move(request), ticket)) return fail(Code::overloaded);
    waiting_.emplace(ticket, &receiver);
    return ticket;
  }
  // Nobody waits for what comes of it; without room it is left undone.
  void send(PublishRequest request) { (void)submit_(std::move(request), ++last_ticket_); }
  // The receiver goes; the commit goes on without an answer.
  void forget(std::uint64_t ticket) { waiting_.erase(ticket); }
  void on_outcome(std::uint64_t ticket, PublishOutcome outcome) {
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) return;
    OutcomeReceiver* receiver = found->second;
    waiting_.erase(found);
    receiver->on_outcome(ticket, std::move(outcome));
  }

 private:
  const Submit submit_;
  const Log& log_;
  const Admission& admission_;
  std::uint64_t last_ticket_ = 0;
  std::unordered_map<std::uint64_t, OutcomeReceiver*> waiting_;
};

}  // namespace belfry
