#include "net/http2_stream.h"

#include <algorithm>

#include "net/connection.h"
#include "net/http_parser.h"

namespace belfry::net {

namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2

// Fields that HTTP/2 does not know (RFC 9113 section 8.2.2), and those that say how long the body is.
bool is_forbidden(std::string_view name) {
  return name == "connection" || name == "content-length" || name == "transfer-encoding";
}

nghttp2_nv field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

Http2Stream::Http2Stream(Http2& session, std::int32_t id)
    : session_(session),
      incoming_(std::make_unique<Incoming>(session.requests_)),
      kept_(session.requests_),
      id_(id) {
  progress();
}

void Http2Stream::progress() { since_ = session_.connection_.owner().now(); }

void Http2Stream::take_header(std::string_view name, std::string_view value) {
  if (!incoming_ || incoming_->head_done) return;  // trailers
  Incoming& in = *incoming_;
  in.header_bytes += name.size() + value.size() + kFieldOverhead;
  if (++in.header_fields > limits::header_fields_max || in.header_bytes > limits::header_bytes_max)
    in.refused = Code::header_too_large;
  if (in.refused) return;
  if (name == ":method") {
    in.request.method = value;
  } else if (name == ":path") {
    in.target = value;
  } else if (name == ":authority") {
    in.authority = value;
  } else if (name == ":protocol") {
    in.protocol = value;
  } else if (name == "cookie") {
    // RFC 9113 section 8.2.3: crumbs are one header.
    auto& headers = in.request.headers;
    const auto found =
        std::find_if(headers.begin(), headers.end(), [](const Field& f) { return f.first == "cookie"; });
    if (found == headers.end()) {
      headers.emplace_back("cookie", value);
    } else {
      found->second += "; ";
      found->second += value;
    }
  } else if (!name.starts_with(':')) {
    in.request.headers.emplace_back(name, value);
  }
}

void Http2Stream::head_is_done(bool end_of_stream) {
  if (!incoming_) return;
  incoming_->head_done = true;
  if (!incoming_->refused && !incoming_->held.grow(incoming_->header_bytes))
    incoming_->refused = Code::overloaded;
  progress();
  head_only_ = incoming_->request.method == "HEAD";
  tunnel_ = !incoming_->protocol.empty();
  if (end_of_stream) return peer_is_done();
  // A tunnel has no end to wait for; what cannot be taken need not be waited for.
  if (tunnel_ || incoming_->refused) {
    session_.arrived_.push_back(id_);
  } else if (incoming_->request.header("expect") == "100-continue") {
    const nghttp2_nv status = field(":status", "100");
    nghttp2_submit_headers(session_.session_, NGHTTP2_FLAG_NONE, id_, nullptr, &status, 1, nullptr);
  }
}

// For bytes of a tunnel; those that come before its turn count like a body.
bool Http2Stream::has_room_ahead(std::size_t bytes) {
  if (inbox_.size() + bytes > limits::tunnel_ahead_bytes_max) return false;
  if (!reading()) return true;
  return session_.body_bytes_ + bytes <= limits::http2_bodies_bytes_max && incoming_->held.grow(bytes);
}

void Http2Stream::take_data(std::string_view bytes) {
  if (tunnel_) {
    if (end_) return;
    if (!has_room_ahead(bytes.size())) return session_.refuse(*this);
    if (inbox_.empty()) session_.arrived_.push_back(id_);
    inbox_ += bytes;
    if (reading()) session_.body_bytes_ += bytes.size();
    return;
  }
  if (!reading() || incoming_->refused) return;
  const std::size_t body = incoming_->request.body.size();
  if (body + bytes.size() > limits::body_bytes_max ||
      session_.body_bytes_ + bytes.size() > limits::http2_bodies_bytes_max) {
    incoming_->refused = Code::body_too_large;
  } else if (!incoming_->held.grow(bytes.size())) {
    incoming_->refused = Code::overloaded;
  }
  if (incoming_->refused) {
    session_.body_bytes_ -= body;
    std::string().swap(incoming_->request.body);
    incoming_->held.shrink_to(incoming_->header_bytes);
    session_.arrived_.push_back(id_);
    return;
  }
  session_.body_bytes_ += bytes.size();
  incoming_->request.body += bytes;
}

void Http2Stream::peer_is_done() {
  peer_done_ = true;
  session_.arrived_.push_back(id_);
}

void Http2Stream::deliver() {
  if (tunnel_ && answered_) {
    const std::string bytes = std::exchange(inbox_, {});
    if (!bytes.empty() && events_ != nullptr) events_->on_bytes(bytes);
    if (peer_done_ && !input_held_) close();  // RFC 8441 section 5: END_STREAM is the TCP FIN
    return;
  }
  if (delivered_) return;
  session_.body_bytes_ -= gathered();
  delivered_ = true;
  if (auto good = finish_request(); !good) {
    respond(error_response(good.error()));
  } else {
    session_.connection_.owner().request_ready(*this);
  }
  incoming_.reset();                                       // the handler has looked at it
  if (tunnel_ && answered_ && !inbox_.empty()) deliver();  // it has bytes already
}

Result<void> Http2Stream::finish_request() {
  Incoming& in = *incoming_;
  Request& request = in.request;
  if (in.refused) return fail(*in.refused);
  const auto host = request.header("host");
  if (in.authority.empty() && !host)
    return fail(Code::bad_request, "Neither :authority nor Host is there.");
  if (host && !in.authority.empty() && lower_case(*host) != lower_case(in.authority))
    return fail(Code::bad_request, "Host differs from :authority.");
  if (!host) request.headers.emplace_back("host", in.authority);
  if (tunnel_) {
    if (in.protocol != "websocket")
      return fail(Code::bad_request, "The only protocol of CONNECT is websocket.");
    request.tunnel = true;
    request.method = "GET";  // as the same request is on HTTP/1.1
  }
  TRY(check_content(request));
  TRY(parse_target(in.target, request));
  session_.connection_.tell_client(request);
  return {};
}

const Request& Http2Stream::request() const { return incoming_->request; }

void Http2Stream::submit(int status, const std::vector<Field>& headers, bool with_body) {
  answered_ = true;
  const std::string code = std::to_string(status);
  ConnectionOwner& owner = session_.connection_.owner();
  std::vector<nghttp2_nv> fields{field(":status", code), field("server", "belfry"),
                                 field("date", owner.date())};
  std::vector<std::string> names;
  names.reserve(headers.size() + owner.options().headers.size());  // the views must stay
  for (const auto* list : {&headers, &owner.options().headers}) {
    for (const auto& [name, value] : *list) {
      names.push_back(lower_case(name));
      if (!is_forbidden(names.back())) fields.push_back(field(names.back(), value));
    }
  }
  nghttp2_data_provider provider{};
  provider.source.ptr = this;
  provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t size,
                              std::uint32_t* flags, nghttp2_data_source* source, void*) {
    return static_cast<Http2Stream*>(source->ptr)->pull(into, size, flags);
  };
  nghttp2_submit_response(session_.session_, id_, fields.data(), fields.size(),
                          with_body ? &provider : nullptr);
  session_.schedule_flush();
}

void Http2Stream::respond(Response response) {
  events_ = nullptr;
  end_ = true;
  const bool bodiless = head_only_ || response.status == 204 || response.status == 304;
  if (!bodiless && !session_.has_room_for(response.body.size())) return session_.refuse(*this);
  if (!bodiless) put(response.body);
  progress();
  submit(response.status, response.headers, !bodiless && !out_.empty());
}

void Http2Stream::put(std::string_view bytes) {
  out_.append(bytes);
  session_.unread_ += bytes.size();
}

void Http2Stream::begin(int status, const std::vector<Field>& headers, StreamEvents& events) {
  events_ = &events;
  submit(status, headers, true);
}

void Http2Stream::upgrade(const std::vector<Field>& headers, StreamEvents& events) {
  events_ = &events;
  submit(200, headers, true);  // RFC 8441 section 5
}

ssize_t Http2Stream::pull(std::uint8_t* into, std::size_t size, std::uint32_t* flags) {
  const std::size_t count = std::min(size, pending());
  if (count == 0 && !end_) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  out_.view().copy(reinterpret_cast<char*>(into), count);
  out_.drop(count);
  session_.unread_ -= count;
  if (count > 0) progress();
  if (out_.empty()) {
    out_.clear();
    control_held_ = 0;
    if (end_) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (std::exchange(blocked_, false)) session_.roomy_.push_back(id_);
  }
  return static_cast<ssize_t>(count);
}

void Http2Stream::resume() {
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(session_.session_, id_);
  session_.schedule_flush();
}

Taken Http2Stream::write(std::span<const std::string_view> pieces) {
  if (blocked_ || end_) return {0, true};
  if (pending() == 0) progress();
  std::size_t taken = 0;
  while (taken < pieces.size() && pending() < limits::http2_held_bytes) put(pieces[taken++]);
  blocked_ = pending() >= limits::http2_held_bytes;
  resume();
  return {taken, blocked_};
}

bool Http2Stream::write_control(std::string_view bytes) {
  if (end_) return false;
  if (pending() >= limits::http2_held_bytes) {
    blocked_ = true;  // so that on_writable comes, whether it was taken or not
    if (control_held_ + bytes.size() > limits::control_bytes_max) return false;
    control_held_ = static_cast<std::uint32_t>(control_held_ + bytes.size());
  }
  if (pending() == 0) progress();
  put(bytes);
  resume();
  return true;
}

void Http2Stream::hold_input() {
  if (!end_ && !std::exchange(input_held_, true)) ++session_.holding_;
}

void Http2Stream::take_input() {
  session_.release_input(*this);
  if (peer_done_) close();
}

void Http2Stream::close() {
  session_.release_input(*this);
  if (std::exchange(end_, true)) return;
  resume();
}

}  // namespace belfry::net
