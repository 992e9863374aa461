#include "net/http_connection.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <exception>

#include "net/websocket.h"

namespace belfry::net {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kLingerTime{2};
constexpr std::size_t kAheadMax =
    64 * 1024;  // bytes a client may send while its last request is being answered

}  // namespace

HttpConnection::HttpConnection(ConnectionOwner& owner, Socket socket, std::uint32_t slot)
    : owner_(owner), socket_(std::move(socket)), slot_(slot) {}

void HttpConnection::start() {
  reading_ = std::make_unique<Reading>();
  update_deadline(limits::header_time_max);
  wait_read();
}

void HttpConnection::update_deadline(Duration from_now) {
  owner_.set_deadline(slot_, owner_.now() + from_now);
}

// Runs the function from the loop, unless the connection has died meanwhile.
template <class Function>
void HttpConnection::later(Function function) {
  ++operations_;
  asio::post(socket_.get_executor(), [this, function] {
    if (!dead_) function();
    done_with_operation();
  });
}

void HttpConnection::done_with_operation() {
  if (--operations_ == 0 && dead_) owner_.remove(slot_);  // deletes this
}

void HttpConnection::wait_read() {
  if (read_waiting_ || dead_) return;
  read_waiting_ = true;
  ++operations_;
  socket_.async_wait(Socket::wait_read, [this](boost::system::error_code failed) {
    read_waiting_ = false;
    if (failed) {
      die();
    } else if (!dead_) {
      try {
        on_readable();
      } catch (const std::exception& exception) {
        log_error("connection", {{"exception", exception.what()}});
        die();
      }
    }
    done_with_operation();
  });
}

void HttpConnection::on_readable() {
  std::string& buffer = owner_.read_buffer();
  const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return wait_read();
  if (got <= 0) return die();
  take_bytes({buffer.data(), static_cast<std::size_t>(got)});
  const bool ahead = phase_ == Phase::answering && reading_->input.size() > kAheadMax;
  if (!dead_ && !ahead) wait_read();
}

void HttpConnection::take_bytes(std::string_view bytes) {
  switch (phase_) {
    case Phase::reading:
    case Phase::answering:
      reading_->input += bytes;
      return serve();
    case Phase::upgraded:
      return events_->on_bytes(bytes);
    case Phase::stream:
    case Phase::closing:
      return;  // nothing that comes now means anything
  }
}

// Answers one request after the other as long as answers come at once.
void HttpConnection::serve() {
  if (serving_) return;
  serving_ = true;
  while (!dead_ && phase_ == Phase::reading) {
    auto ready = parse_one();
    if (!ready) {
      refuse(ready.error());
      break;
    }
    if (!ready.value()) break;
    phase_ = Phase::answering;
    owner_.set_deadline(slot_, Instant::never());
    owner_.request_ready(*this);
  }
  serving_ = false;
}

Result<bool> HttpConnection::parse_one() {
  Reading& reading = *reading_;
  if (reading.input.empty()) return false;
  const auto before = reading.parser.progress();
  std::size_t used = TRY(reading.parser.feed(reading.input));
  reading.input.erase(0, used);
  const auto progress = reading.parser.progress();
  if (before == RequestParser::Progress::head && progress == RequestParser::Progress::body)
    update_deadline(limits::body_time_max);
  if (progress == RequestParser::Progress::body && reading.parser.expects_continue() &&
      !reading.continue_sent) {
    reading.continue_sent = true;
    send_or_hold("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (progress != RequestParser::Progress::done) {
    // The head has come in one read, the body of a small request often in the next part of the same buffer.
    if (used > 0 && !reading.input.empty()) return parse_one();
    return false;
  }
  reading.keep_alive = reading.parser.keep_alive() && owner_.accepting();
  reading.answered = false;
  reading.request = TRY(reading.parser.take());
  reading.head_only = reading.request.method == "HEAD";
  boost::system::error_code failed;
  reading.request.peer = socket_.remote_endpoint(failed).address().to_string();
  return true;
}

// A request that cannot be read is answered, and nothing after it is.
void HttpConnection::refuse(const Error& error) {
  phase_ = Phase::answering;
  reading_->keep_alive = false;
  respond(error_response(error));
}

const Request& HttpConnection::request() const { return reading_->request; }

std::string HttpConnection::head_text(int status, const std::vector<Field>& headers) {
  const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\nServer: belfry\r\nDate: {}\r\nX-Content-Type-Options: nosniff\r\n",
                  status, std::string_view(reason.data(), reason.size()), owner_.date());
  for (const auto& [name, value] : headers) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  return out;
}

void HttpConnection::respond(Response response) {
  events_ = nullptr;
  Reading& reading = *reading_;
  std::string text = head_text(response.status, response.headers);
  if (response.status != 304 && response.status != 204)
    text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += reading.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  if (!reading.head_only) text += response.body;
  reading.request = {};
  reading.continue_sent = false;
  if (reading.keep_alive) {
    reading.parser = RequestParser();
    phase_ = Phase::reading;
    update_deadline(limits::keep_alive_time_max);
  } else {
    phase_ = Phase::closing;
    update_deadline(limits::write_stall_time_max);
  }
  send_or_hold(std::move(text));
  if (phase_ == Phase::closing) return blocked_ ? void() : linger();
  if (!reading.input.empty() && !serving_) later([this] { serve(); });
  wait_read();
}

void HttpConnection::become(Phase phase, StreamEvents& events) {
  phase_ = phase;
  events_ = &events;
  std::string ahead = std::move(reading_->input);
  // The handler may still be looking at the request; it goes when the handler has returned.
  later([this, ahead = std::move(ahead)] {
    reading_.reset();
    if (phase_ == Phase::upgraded && !ahead.empty()) events_->on_bytes(ahead);
  });
  if (!blocked_) owner_.set_deadline(slot_, Instant::never());
  int bytes = limits::notsent_lowat_bytes;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

void HttpConnection::begin(int status, const std::vector<Field>& headers, StreamEvents& events) {
  // Ended by closing, not chunked: every client of a stream is sent the very same bytes.
  send_or_hold(head_text(status, headers) + "Connection: close\r\n\r\n");
  become(Phase::stream, events);
}

void HttpConnection::upgrade(const std::vector<Field>& headers, StreamEvents& events) {
  std::string text = head_text(101, headers);
  text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  text += websocket_accept(reading_->request.header("sec-websocket-key").value_or(""));
  send_or_hold(text + "\r\n\r\n");
  become(Phase::upgraded, events);
}

ssize_t HttpConnection::send_now(std::span<const std::string_view> pieces) {
  const ssize_t sent = pieces.size() == 1 ? ::send(socket_.native_handle(), pieces[0].data(),
                                                   pieces[0].size(), MSG_NOSIGNAL | MSG_DONTWAIT)
                                          : send_gathered(pieces);
  if (sent >= 0) {
    owner_.count_sent(static_cast<std::size_t>(sent));
    return sent;
  }
  if (errno == EAGAIN || errno == EINTR) return 0;
  later([this] { die(); });
  return -1;
}

ssize_t HttpConnection::send_gathered(std::span<const std::string_view> pieces) {
  iovec parts[limits::write_events_max];
  const std::size_t count = std::min(pieces.size(), limits::write_events_max);
  for (std::size_t i = 0; i < count; ++i)
    parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

Taken HttpConnection::write(std::span<const std::string_view> pieces) {
  if (dead_ || blocked_ || phase_ == Phase::closing) return {0, true};
  const ssize_t sent = send_now(pieces);
  auto left = sent < 0 ? std::size_t{0} : static_cast<std::size_t>(sent);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (left >= pieces[i].size()) {
      left -= pieces[i].size();
      continue;
    }
    block();
    if (left == 0) return {i, true};
    rest_ = pieces[i].substr(left);
    return {i + 1, true};
  }
  return {pieces.size(), false};
}

bool HttpConnection::write_control(std::string_view bytes) {
  if (dead_ || phase_ == Phase::closing) return false;
  if (blocked_) {
    if (control_held_ + bytes.size() > limits::control_bytes_max) return false;
    control_held_ += static_cast<std::uint32_t>(bytes.size());
    rest_ += bytes;
    return true;
  }
  send_or_hold(std::string(bytes));
  return true;
}

void HttpConnection::send_or_hold(std::string bytes) {
  if (dead_) return;
  if (blocked_) {
    rest_ += bytes;
    return;
  }
  const std::string_view piece = bytes;
  const ssize_t sent = send_now({&piece, 1});
  if (sent < 0 || static_cast<std::size_t>(sent) == bytes.size()) return;
  rest_ = bytes.substr(static_cast<std::size_t>(sent));
  block();
}

void HttpConnection::block() {
  blocked_ = true;
  update_deadline(limits::write_stall_time_max);
  wait_write();
}

void HttpConnection::wait_write() {
  if (write_waiting_ || dead_) return;
  write_waiting_ = true;
  ++operations_;
  socket_.async_wait(Socket::wait_write, [this](boost::system::error_code failed) {
    write_waiting_ = false;
    if (failed) {
      die();
    } else if (!dead_) {
      try {
        on_flushed();
      } catch (const std::exception& exception) {
        log_error("connection", {{"exception", exception.what()}});
        die();
      }
    }
    done_with_operation();
  });
}

void HttpConnection::on_flushed() {
  if (!rest_.empty()) {
    const std::string_view piece = rest_;
    const ssize_t sent = send_now({&piece, 1});
    if (sent < 0) return;
    if (sent > 0) update_deadline(limits::write_stall_time_max);
    rest_.erase(0, static_cast<std::size_t>(sent));
    if (!rest_.empty()) return wait_write();
    rest_.shrink_to_fit();
  }
  blocked_ = false;
  control_held_ = 0;
  if (phase_ == Phase::closing) return linger();
  if (phase_ == Phase::stream || phase_ == Phase::upgraded) {
    owner_.set_deadline(slot_, Instant::never());
    events_->on_writable();
  }
}

void HttpConnection::close() {
  if (dead_ || phase_ == Phase::closing) return;
  phase_ = Phase::closing;
  if (!blocked_) linger();
}

// Says that no more comes, and gives the peer a moment to read what was sent before the socket goes.
void HttpConnection::linger() {
  ::shutdown(socket_.native_handle(), SHUT_WR);
  update_deadline(kLingerTime);
  wait_read();
}

void HttpConnection::time_out() {
  if (dead_) return;
  if (phase_ == Phase::reading && !reading_->input.empty()) return refuse(fail(Code::timeout));
  if (phase_ == Phase::reading && reading_->parser.progress() == RequestParser::Progress::body)
    return refuse(fail(Code::timeout));
  later([this] { die(); });
}

void HttpConnection::close_if_idle() {
  if (phase_ == Phase::reading && reading_ && reading_->input.empty()) later([this] { die(); });
}

void HttpConnection::die() {
  if (dead_) return;
  dead_ = true;
  owner_.set_deadline(slot_, Instant::never());
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (StreamEvents* events = std::exchange(events_, nullptr)) events->on_closed();
}

}  // namespace belfry::net
