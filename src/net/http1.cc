#include "net/http1.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>

#include "net/connection.h"
#include "net/websocket.h"

namespace belfry::net {

namespace {

// Bytes that a client may send while its last request is being answered.
constexpr std::size_t kAheadMax = 64 * 1024;

}  // namespace

void Http1::start() {
  reading_ = std::make_unique<Reading>(connection_.owner().options().budget);
  connection_.set_deadline(limits::header_time_max);
}

void Http1::take(std::string_view bytes) {
  switch (phase_) {
    case Phase::reading:
    case Phase::answering:
      if (!reading_->held.grow(bytes.size()))
        return phase_ == Phase::reading ? refuse(fail(Code::overloaded)) : connection_.die();
      reading_->input.append(bytes);
      return serve();
    case Phase::upgraded:
      // What came with the request goes first.
      if (!reading_) return events_->on_bytes(bytes);
      if (!reading_->held.grow(bytes.size())) return connection_.die();
      return reading_->input.append(bytes);
    case Phase::stream:
    case Phase::closing:
      return;  // nothing that comes now means anything
  }
}

bool Http1::wants_more() const {
  // A client that asks without reading is not read either.
  if (phase_ == Phase::upgraded) return !input_held_ && connection_.control_held() == 0;
  if (phase_ != Phase::reading && phase_ != Phase::answering) return true;
  return !connection_.blocked() && reading_->input.size() <= kAheadMax;
}

// Requests that have come whole are answered; others will not come.
void Http1::on_input_closed() {
  if (phase_ != Phase::reading && phase_ != Phase::answering) return;
  reading_->input_closed = true;
  serve();
}

bool Http1::can_serve() const {
  return phase_ == Phase::reading && !connection_.ended() && !connection_.blocked();
}

// Answers one request after the other as long as answers come at once, and the client takes them; not too
// many in one turn. What is left over has its turn already.
void Http1::serve() {
  if (serving_ || serve_posted_) return;
  serving_ = true;
  bool whole = true;  // there may be another whole request
  for (std::size_t served = 0; served < limits::requests_turn_max && can_serve(); ++served) {
    auto ready = parse_one();
    if (!ready) {
      refuse(ready.error());
      break;
    }
    whole = ready.value();
    if (!whole) break;
    phase_ = Phase::answering;
    connection_.clear_deadline();
    connection_.owner().request_ready(*this);
  }
  serving_ = false;
  if (!can_serve()) return;
  if (whole) return serve_later();
  if (reading_->input_closed) connection_.finish();
}

// In a later turn; what was not read meanwhile is read on.
void Http1::serve_later() {
  if (std::exchange(serve_posted_, true)) return;
  connection_.later([this] {
    serve_posted_ = false;
    serve();
    if (!connection_.ended() && wants_more()) connection_.wait_read();
  });
}

Result<bool> Http1::parse_one() {
  Reading& reading = *reading_;
  if (reading.input.empty()) return false;
  const auto before = reading.parser.progress();
  const std::size_t used = TRY(reading.parser.feed(reading.input.view()));
  reading.input.drop(used);
  const auto progress = reading.parser.progress();
  if (before == RequestParser::Progress::head && progress == RequestParser::Progress::body)
    connection_.set_deadline(limits::body_time_max);
  if (progress == RequestParser::Progress::body && reading.parser.expects_continue() &&
      !reading.continue_sent) {
    reading.continue_sent = true;
    connection_.send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (progress != RequestParser::Progress::done) return false;
  reading.keep_alive = reading.parser.keep_alive() && connection_.owner().accepting();
  reading.request = TRY(reading.parser.take());
  reading.head_only = reading.request.method == "HEAD";
  connection_.tell_client(reading.request);
  return true;
}

// A request that cannot be read is answered, and nothing after it is.
void Http1::refuse(const Error& error) {
  phase_ = Phase::answering;
  reading_->keep_alive = false;
  respond(error_response(error));
}

const Request& Http1::request() const { return reading_->request; }

std::string Http1::head_text(int status, const std::vector<Field>& headers) {
  const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nServer: belfry\r\nDate: {}\r\n", status,
                                std::string_view(reason.data(), reason.size()), connection_.owner().date());
  for (const auto* fields : {&headers, &connection_.owner().options().headers}) {
    for (const auto& [name, value] : *fields) {
      out += name;
      out += ": ";
      out += value;
      out += "\r\n";
    }
  }
  return out;
}

void Http1::respond(Response response) {
  events_ = nullptr;
  Reading& reading = *reading_;
  if (reading.input_closed && reading.input.empty()) reading.keep_alive = false;
  std::string text = head_text(response.status, response.headers);
  if (response.status != 304 && response.status != 204)
    text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += reading.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  if (!reading.head_only) text += response.body;
  (void)std::exchange(reading.request, {});  // with its memory
  reading.continue_sent = false;
  reading.parser = RequestParser();
  if (!reading.keep_alive) {
    reading.input.clear();
    reading.held.shrink_to(0);
    phase_ = Phase::closing;
    connection_.send(text);
    return connection_.finish();
  }
  reading.held.shrink_to(reading.input.size());
  phase_ = Phase::reading;
  connection_.set_deadline(limits::keep_alive_time_max);
  connection_.send(text);
  if (!reading.input.empty() && !serving_) serve_later();
  if (wants_more()) connection_.wait_read();
}

void Http1::become(Phase phase, StreamEvents& events) {
  phase_ = phase;
  events_ = &events;
  // The handler may still be looking at the request; it goes when the handler has returned.
  connection_.later([this] {
    const std::unique_ptr<Reading> reading = std::move(reading_);
    reading->held.shrink_to(0);  // whoever takes them counts them now
    if (phase_ == Phase::upgraded && !reading->input.empty()) events_->on_bytes(reading->input.view());
    if (!connection_.ended() && wants_more()) connection_.wait_read();
  });
  connection_.clear_deadline();
  connection_.limit_backlog();
}

void Http1::begin(int status, const std::vector<Field>& headers, StreamEvents& events) {
  // Ended by closing, not chunked: every client of a stream is sent the very same bytes.
  connection_.send(head_text(status, headers) + "Connection: close\r\n\r\n");
  become(Phase::stream, events);
}

void Http1::upgrade(const std::vector<Field>& headers, StreamEvents& events) {
  std::string text = head_text(101, headers);
  text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  text += websocket_accept(reading_->request.header("sec-websocket-key").value_or(""));
  connection_.send(text + "\r\n\r\n");
  become(Phase::upgraded, events);
}

Taken Http1::write(std::span<const std::string_view> pieces) {
  if (phase_ == Phase::closing) return {0, true};
  return connection_.write(pieces);
}

bool Http1::write_control(std::string_view bytes) {
  return phase_ != Phase::closing && connection_.send_control(bytes);
}

void Http1::take_input() {
  input_held_ = false;
  if (!connection_.ended() && wants_more()) connection_.wait_read();
}

bool Http1::keep(std::size_t bytes) {
  ConnectionBudget* budget = connection_.owner().options().budget;
  if (bytes == kept_ || budget == nullptr) return true;
  if (!budget->change(ConnectionBudget::Bytes::requests, kept_, bytes)) return false;
  kept_ = static_cast<std::uint32_t>(bytes);
  return true;
}

std::size_t Http1::holds_too_much() const {
  const ConnectionBudget* budget = connection_.owner().options().budget;
  if (reading_) return reading_->held.too_much();
  return kept_ > 0 && budget->is_too_much(ConnectionBudget::Bytes::requests, kept_) ? kept_ : 0;
}

void Http1::close() {
  if (phase_ == Phase::closing) return;
  phase_ = Phase::closing;
  connection_.finish();
}

void Http1::on_room() {
  if (phase_ == Phase::reading) {
    connection_.set_deadline(limits::keep_alive_time_max);
    return serve();
  }
  if (phase_ == Phase::stream || phase_ == Phase::upgraded) events_->on_writable();
}

void Http1::time_out() {
  const bool in_request =
      phase_ == Phase::reading &&
      (!reading_->input.empty() || reading_->parser.progress() == RequestParser::Progress::body);
  if (in_request) return refuse(fail(Code::timeout));
  connection_.later([this] { connection_.die(); });
}

void Http1::drain() {
  if (phase_ == Phase::reading && reading_ && reading_->input.empty())
    connection_.later([this] { connection_.die(); });
}

void Http1::on_dead() {
  if (reading_) reading_->held.shrink_to(0);
  (void)keep(0);
  if (StreamEvents* events = std::exchange(events_, nullptr)) events->on_closed();
}

}  // namespace belfry::net
