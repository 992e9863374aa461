#pragma once
// An answer without end over HTTP: server-sent events (WHATWG HTML section 9.2) or one JSON object a line.
// The two differ only in their dialect. Private to delivery.

#include "delivery/stream.h"

namespace belfry {

// How one of them says things.
struct Dialect {
  std::string_view media_type;
  const std::string& (*frame)(const Entry& entry);
  std::string (*begin)(const wire::Welcome& welcome);
  std::string (*reset)(ResetReason reason, std::string_view cursor);
  std::string (*heartbeat)(std::string_view cursor, std::uint64_t written);
  std::string (*end)(const Error& error);
};

extern const Dialect sse_dialect;
extern const Dialect sse_message_dialect;
extern const Dialect json_lines_dialect;
extern const Dialect cloud_sse_dialect;
extern const Dialect cloud_lines_dialect;

class HttpStream final : public Stream {
 public:
  HttpStream(Streams& owner, net::Exchange& exchange, Seat seat, const Dialect& dialect)
      : Stream(owner, exchange, std::move(seat)), dialect_(dialect) {}

  void start(Attach attach, const std::vector<net::Field>& headers);

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset& reset) override;
  OutletState caught_up(Offset) override { return OutletState::open; }
  OutletState heartbeat(Offset position, std::uint64_t written) override;
  void end(Code code) override;

 private:
  const Dialect& dialect_;
};

}  // namespace belfry
