#include "net/connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <exception>

#include "net/client_address.h"
#include "net/http2.h"

namespace belfry::net {

namespace {

constexpr std::chrono::seconds kLingerTime{2};
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 section 3.4
constexpr std::size_t kRecordBytes = 16 * 1024;                            // RFC 8446 section 5.1

// The pieces as one, if each begins where the one before ends; else nothing.
std::string_view joined(std::span<const std::string_view> pieces) {
  if (pieces.empty()) return {};
  const char* end = pieces[0].data();
  for (const std::string_view piece : pieces) {
    if (piece.data() != end) return {};
    end += piece.size();
  }
  return {pieces[0].data(), static_cast<std::size_t>(end - pieces[0].data())};
}

}  // namespace

Connection::Connection(ConnectionOwner& owner, int descriptor, std::uint32_t slot)
    : descriptor_(descriptor), slot_(slot), owner_(owner), http1_(*this), protocol_(&http1_) {}

// Streams that are still open when the server goes are told so.
Connection::~Connection() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  protocol_->on_dead();
}

Connection::More& Connection::more() {
  if (!more_) more_ = std::make_unique<More>();
  return *more_;
}

void Connection::start(const TlsContext& tls) {
  if (tls) more().tls = std::make_unique<Tls>(tls, owner_.buffers());
  stage_ = tls ? Stage::handshake : Stage::preface;
  if (owner_.options().proxy_protocol) stage_ = Stage::proxy_header;
  http1_.start();
  if (tls) set_deadline(limits::tls_time_max);
  wait_read();
  if (!owner_.reactor().watch(descriptor_, *this)) die();
}

void Connection::set_deadline(Duration from_now) {
  if (!blocked_ && !finishing_) owner_.set_deadline(slot_, owner_.now() + from_now);
}

void Connection::clear_deadline() {
  if (!blocked_ && !finishing_) owner_.set_deadline(slot_, Instant::never());
}

std::string Connection::peer() const {
  if (more_ && !more_->announced.empty()) return more_->announced;
  boost::asio::ip::tcp::endpoint peer;
  auto size = static_cast<socklen_t>(peer.capacity());
  if (::getpeername(descriptor_, peer.data(), &size) != 0) return {};
  peer.resize(size);
  return peer.address().to_string();
}

void Connection::tell_client(Request& request) const {
  const HttpServerOptions& options = owner_.options();
  request.secure = tls() != nullptr;
  request.peer = peer();
  request.peer = client_address(request, options.trusted_proxies, options.forwarded);
}

void Connection::limit_backlog() {
  int bytes = limits::notsent_lowat_bytes;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

void Connection::flush_later() {
  ++operations_;
  owner_.flush_later(*this);
}

void Connection::flush() {
  guarded([this] { more_->http2->on_flush(); });
  done_with_operation();
}

void Connection::done_with_operation() {
  if (--operations_ == 0 && dead_) owner_.remove(slot_);  // deletes this
}

void Connection::on_events(Reactor::Events events) {
  if (dead_) return;
  readable_ |= events.readable || events.ended;
  peer_ended_ |= events.ended;
  if (readable_) read_now();
  if (!write_waiting_ || dead_ || !(events.writable || events.ended)) return;
  write_waiting_ = false;
  guarded([this] { on_flushed(); });
}

void Connection::read_now() {
  if (!read_waiting_) return;
  read_waiting_ = false;
  guarded([this] { on_readable(); });
}

void Connection::wait_read() {
  if (read_waiting_ || dead_) return;
  read_waiting_ = true;
  if (readable_) later([this] { read_now(); });  // its edge will not come again
}

void Connection::wait_write() {
  if (write_waiting_ || dead_) return;
  write_waiting_ = true;
  owner_.reactor().tell_again(descriptor_, *this);  // it may have become writable just now
}

void Connection::on_readable() {
  std::string& buffer = owner_.buffers().read;
  const ssize_t got = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  // A stream that gives less than is asked for is empty; the next byte is an edge, the end was one.
  if (got < static_cast<ssize_t>(buffer.size()) && !peer_ended_) readable_ = false;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    readable_ = errno == EINTR;
    peer_ended_ = false;
    return wait_read();
  }
  if (got <= 0) return die();
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (finishing_) {
    // Read only so that the peer gets what was sent before the socket goes.
  } else if (stage_ == Stage::proxy_header || stage_ == Stage::preface) {
    open(bytes);
  } else if (tls() != nullptr) {
    take_encrypted(bytes);
  } else {
    take(bytes);
  }
  read_on();
}

// A client that takes nothing is not read from, as soon as what it is to take is too much.
void Connection::read_on() {
  if (finishing_ || (protocol_->wants_more() && unread() <= limits::unread_bytes_max)) wait_read();
}

void Connection::take(std::string_view bytes) {
  if (!finishing_ && !dead_) protocol_->take(bytes);
}

// Until it is known who speaks, and what.
void Connection::open(std::string_view bytes) {
  std::string joined;
  if (more_ && !more_->early.empty()) {
    joined = std::exchange(more_->early, {});
    joined += bytes;
    bytes = joined;
  }
  // The PROXY header comes before TLS, which chooses the protocol by ALPN.
  if (stage_ == Stage::proxy_header && !open_proxy(bytes)) return;
  if (stage_ == Stage::handshake) return take_encrypted(bytes);
  if (bytes.size() < kPreface.size() && kPreface.starts_with(bytes)) {
    more().early = bytes;
    return;
  }
  bytes.starts_with(kPreface) ? speak_http2() : speak_http1();
  take(bytes);
}

// Takes the header off; false: it is not whole yet, or the connection is over.
bool Connection::open_proxy(std::string_view& bytes) {
  auto header = parse_proxy_header(bytes);
  if (!header || !owner_.options().trusted_proxies.contains(peer())) {
    log_warn("a connection without a PROXY header, or not from a trusted proxy, was closed",
             {{"peer", peer()}});
    die();
    return false;
  }
  if (!header.value()) {
    more().early = bytes;
    return false;
  }
  stage_ = tls() != nullptr ? Stage::handshake : Stage::preface;
  if (!header.value()->address.empty()) more().announced = std::move(header.value()->address);
  bytes.remove_prefix(header.value()->size);
  return true;
}

void Connection::take_encrypted(std::string_view bytes) {
  Tls& mine = *tls();
  const bool was_open = mine.input() == Tls::Input::open;
  mine.feed(bytes);
  if (stage_ == Stage::handshake && !shake_hands()) return;
  while (!ended()) {
    const std::string_view plaintext = mine.read();
    // What OpenSSL has to say by itself goes out before anybody else uses the loop's buffer.
    send_encrypted();
    if (plaintext.empty()) break;
    take(plaintext);
  }
  mine.feed({});  // the bytes belong to the loop
  if (ended()) return;
  if (mine.input() == Tls::Input::failed) return die();
  if (was_open && mine.input() == Tls::Input::closed) protocol_->on_input_closed();
}

// False: more is needed, or it failed.
bool Connection::shake_hands() {
  tls()->shake_hands();
  send_encrypted();
  if (tls()->input() == Tls::Input::failed) die();
  if (tls()->handshake() != Tls::Handshake::done || dead_) return false;
  tls()->chose_http2() ? speak_http2() : speak_http1();
  return true;
}

void Connection::speak_http1() {
  CHECK(stage_ != Stage::speaking);
  stage_ = Stage::speaking;
  if (tls() != nullptr) set_deadline(limits::header_time_max);
}

void Connection::speak_http2() {
  CHECK(stage_ != Stage::speaking);
  stage_ = Stage::speaking;
  more().http2 = std::make_unique<Http2>(*this);
  protocol_ = more_->http2.get();
  more_->http2->start();
}

Taken Connection::write(std::span<const std::string_view> pieces) {
  if (dead_ || blocked_ || finishing_) return {0, true};
  return tls() != nullptr ? write_encrypted(pieces) : write_plain(pieces);
}

Taken Connection::write_plain(std::span<const std::string_view> pieces) {
  const ssize_t sent = send_now(pieces);
  auto left = sent < 0 ? std::size_t{0} : static_cast<std::size_t>(sent);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (left >= pieces[i].size()) {
      left -= pieces[i].size();
      continue;
    }
    block();
    if (left == 0) return {i, true};
    hold(pieces[i].substr(left));
    return {i + 1, true};
  }
  return {pieces.size(), false};
}

// Record by record, so that no more than one is held back.
Taken Connection::write_encrypted(std::span<const std::string_view> pieces) {
  std::string& gathered = owner_.buffers().gathered;
  std::size_t taken = 0;
  while (taken < pieces.size() && !blocked_ && !dead_) {
    gathered.assign(pieces[taken++]);
    while (taken < pieces.size() && gathered.size() + pieces[taken].size() <= kRecordBytes)
      gathered += pieces[taken++];
    tls()->write(gathered);
    send_encrypted();
  }
  return {taken, blocked_ || dead_};
}

void Connection::send_encrypted() {
  std::string& ciphertext = owner_.buffers().ciphertext;
  send_or_hold(ciphertext);
  ciphertext.clear();
}

void Connection::send(std::string_view bytes) {
  if (dead_ || finishing_) return;
  if (tls() == nullptr) return send_or_hold(bytes);
  tls()->write(bytes);
  send_encrypted();
}

bool Connection::send_control(std::string_view bytes) {
  if (ended()) return false;
  if (blocked_) {
    if (control_held_ + bytes.size() > limits::control_bytes_max) return false;
    control_held_ += static_cast<std::uint32_t>(bytes.size());
  }
  send(bytes);
  return true;
}

void Connection::send_or_hold(std::string_view bytes) {
  if (dead_ || bytes.empty()) return;
  if (blocked_) return hold(bytes);
  const ssize_t sent = send_now({&bytes, 1});
  if (sent < 0 || static_cast<std::size_t>(sent) == bytes.size()) return;
  hold(bytes.substr(static_cast<std::size_t>(sent)));
  block();
}

void Connection::hold(std::string_view bytes) {
  if (!rest_) rest_ = std::make_unique<Rest>(owner_.options().budget);
  rest_->bytes.append(bytes);
  if (!rest_->held.set(rest_->bytes.size())) later([this] { let_go(); });
}

std::size_t Connection::holds_too_much() const {
  return dead_ ? 0 : std::max(rest_ ? rest_->held.too_much() : 0, protocol_->holds_too_much());
}

void Connection::let_go() {
  guarded([this] {
    log_warn("a client that holds more than its share was let go", {{"peer", peer()}});
    die();
    if (rest_) (void)rest_->held.set(0);
  });
}

ssize_t Connection::send_now(std::span<const std::string_view> pieces) {
  const std::string_view adjacent = joined(pieces);
  const ssize_t sent = adjacent.empty() ? send_gathered(pieces) : send_bytes(adjacent);
  if (sent >= 0) {
    owner_.count_sent(static_cast<std::size_t>(sent));
    return sent;
  }
  if (errno == EAGAIN || errno == EINTR) return 0;
  later([this] { die(); });
  return -1;
}

// By the system call itself: send() of the C library is a point of cancellation, which costs two atomic
// operations.
ssize_t Connection::send_bytes(std::string_view bytes) {
  return ::syscall(SYS_sendto, descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                   nullptr, 0);
}

ssize_t Connection::send_gathered(std::span<const std::string_view> pieces) {
  iovec parts[limits::write_events_max];
  const std::size_t count = std::min(pieces.size(), limits::write_events_max);
  for (std::size_t i = 0; i < count; ++i)
    parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  return ::sendmsg(descriptor_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Connection::block() {
  owner_.set_deadline(slot_, owner_.now() + limits::write_stall_time_max);
  blocked_ = true;
  wait_write();
}

void Connection::on_flushed() {
  if (rest_) {
    const std::string_view piece = rest_->bytes.view();
    const ssize_t sent = send_now({&piece, 1});
    if (sent < 0) return;
    if (sent > 0) owner_.set_deadline(slot_, owner_.now() + limits::write_stall_time_max);
    rest_->bytes.drop(static_cast<std::size_t>(sent));
    (void)rest_->held.set(rest_->bytes.size());
    if (!rest_->bytes.empty()) return wait_write();
    rest_.reset();
  }
  blocked_ = false;
  control_held_ = 0;
  if (finishing_) return linger();
  clear_deadline();
  protocol_->on_room();
  if (!dead_) read_on();
}

void Connection::finish() {
  if (dead_ || finishing_) return;
  if (tls() != nullptr) {
    tls()->close();
    send_encrypted();
  }
  finishing_ = true;
  if (!blocked_) linger();
}

// Says that no more comes, and gives the peer a moment to read what was sent before the socket goes.
void Connection::linger() {
  ::shutdown(descriptor_, SHUT_WR);
  owner_.set_deadline(slot_, owner_.now() + kLingerTime);
  wait_read();
}

void Connection::time_out() {
  if (dead_) return;
  if (blocked_ || finishing_ || stage_ == Stage::handshake) return later([this] { die(); });
  guarded([this] { protocol_->time_out(); });
}

void Connection::drain() {
  if (!dead_) guarded([this] { protocol_->drain(); });
}

void Connection::die() {
  if (dead_) return;
  dead_ = true;
  owner_.set_deadline(slot_, Instant::never());
  ::close(std::exchange(descriptor_, -1));  // the reactor forgets it by that
  later([] {});                             // deletes this, when nothing holds it any more
  protocol_->on_dead();
}

}  // namespace belfry::net
