#include "delivery/http_stream.h"

#include "delivery/streams_make.h"

namespace belfry {
namespace {

Dialect with_frame(Dialect dialect, const std::string& (*frame)(const Entry& entry)) {
  dialect.frame = frame;
  return dialect;
}

std::string json_line_of(std::string text) { return std::move(text) + '\n'; }

}  // namespace

const Dialect sse_dialect{
    "text/event-stream",
    [](const Entry& entry) -> const std::string& { return entry.frame(Format::sse, wire::sse_frame); },
    wire::sse_begin,
    wire::sse_reset,
    wire::sse_heartbeat,
    wire::sse_end};

const Dialect sse_message_dialect = with_frame(sse_dialect, [](const Entry& entry) -> const std::string& {
  return entry.frame(Format::sse_message, wire::sse_message_frame);
});

const Dialect json_lines_dialect{
    "application/x-ndjson",
    [](const Entry& entry) -> const std::string& {
      return entry.frame(Format::json_line, wire::json_line);
    },
    [](const wire::Welcome& welcome) { return json_line_of(wire::control_connected(welcome)); },
    [](ResetReason reason, std::string_view cursor) {
      return json_line_of(wire::control_reset(reason, cursor));
    },
    [](std::string_view cursor, std::uint64_t written) {
      return json_line_of(wire::control_heartbeat(cursor, written));
    },
    [](const Error& error) { return json_line_of(wire::control_error(error)); }};

// The same with CloudEvents in place of our own envelope.
const Dialect cloud_sse_dialect = with_frame(sse_dialect, [](const Entry& entry) -> const std::string& {
  return entry.frame(Format::cloud_sse, wire::cloud_sse_frame);
});

const Dialect cloud_lines_dialect =
    with_frame(json_lines_dialect, [](const Entry& entry) -> const std::string& {
      return entry.frame(Format::cloud_line, wire::cloud_line);
    });

void HttpStream::start(Attach attach, const std::vector<net::Field>& headers) {
  std::vector<net::Field> all{{"Content-Type", std::string(dialect_.media_type)},
                              {"Cache-Control", "no-store, no-transform"},
                              {"X-Accel-Buffering", "no"}};
  all.insert(all.end(), headers.begin(), headers.end());
  exchange().begin(200, all, *this);
  write_kept(dialect_.begin(welcome(attach)));
  Stream::attach(std::move(attach));
}

Written HttpStream::write(std::span<const Entry* const> entries, Offset) {
  return write_frames(entries, dialect_.frame);
}

Written HttpStream::reset(const Reset& reset) {
  return write_kept(dialect_.reset(reset.reason, parts().epochs.text(reset.position)));
}

OutletState HttpStream::heartbeat(Offset position, std::uint64_t written) {
  return write_one(dialect_.heartbeat(parts().epochs.text(position), written));
}

void HttpStream::end(Code code) {
  detach();
  exchange().write_control(dialect_.end(parts().admission.with_retry(fail(code))));
  exchange().close();
}

void Streams::open_sse(net::Exchange& exchange, Seat seat, Attach attach, SseNames names,
                       const std::vector<net::Field>& headers) {
  const Dialect& dialect = names == SseNames::message_only   ? sse_message_dialect
                           : names == SseNames::cloud_events ? cloud_sse_dialect
                                                             : sse_dialect;
  make<HttpStream>(exchange, std::move(seat), dialect).start(std::move(attach), headers);
}

void Streams::open_json_lines(net::Exchange& exchange, Seat seat, Attach attach, bool cloud_events,
                              const std::vector<net::Field>& headers) {
  const Dialect& dialect = cloud_events ? cloud_lines_dialect : json_lines_dialect;
  make<HttpStream>(exchange, std::move(seat), dialect).start(std::move(attach), headers);
}

void Streams::refuse_sse(net::Exchange& exchange, const Error& error,
                         const std::vector<net::Field>& headers) {
  net::Response response{200, headers, wire::sse_end(parts_.admission.with_retry(error))};
  response.headers.emplace_back("Content-Type", "text/event-stream");
  response.headers.emplace_back("Cache-Control", "no-store");
  exchange.respond(std::move(response));
}

}  // namespace belfry
