#include "net/http2.h"

#include <algorithm>
#include <exception>

#include "net/connection.h"
#include "net/http2_stream.h"

namespace belfry::net {

namespace {

constexpr std::size_t kBurstBytes = 32 * 1024;  // given to the socket at once
constexpr std::chrono::seconds kTick{1};
constexpr int kFirstUnknownType = 0x0a;
constexpr std::size_t kFrameBytesMax = 16'384;  // SETTINGS_MAX_FRAME_SIZE, which we leave as it is
constexpr std::size_t kSkippedMax = 16;         // ranges of stream ids; clients that skip are rare
constexpr std::int32_t kConnectionWindow = 1024 * 1024;

// RFC 9113 section 7, of what nghttp2 could not go on after.
std::uint32_t code_of(int error) {
  if (error == NGHTTP2_ERR_BAD_CLIENT_MAGIC) return NGHTTP2_PROTOCOL_ERROR;
  return error == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR;
}

}  // namespace

bool Budget::spend(Instant now) {
  const auto elapsed = static_cast<std::uint64_t>((now - last_).count());
  const std::uint64_t gained = elapsed * rate_ / 1000;
  if (gained > 0) {
    left_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(burst_, left_ + gained));
    last_ = now;
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

// nghttp2 is C: nothing may be thrown through it.
struct Http2Callbacks {
  template <class Function>
  static int guard(void* user, Function function) {
    auto& self = *static_cast<Http2*>(user);
    try {
      function(self);
      return 0;
    } catch (const std::exception& exception) {
      log_error("connection", {{"exception", exception.what()}});
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return guard(user, [&](Http2& self) { self.open(frame->hd.stream_id); });
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    return guard(user, [&](Http2& self) {
      if (Http2Stream* stream = self.find(frame->hd.stream_id))
        stream->take_header({reinterpret_cast<const char*>(name), name_size},
                            {reinterpret_cast<const char*>(value), value_size});
    });
  }
  // Left to itself nghttp2 would leave the field out and go on.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t,
                               const std::uint8_t*, std::size_t, std::uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    return guard(user, [&](Http2& self) { self.on_frame_head(*head); });
  }
  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guard(user, [&](Http2& self) { self.on_frame(*frame); });
  }
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    return guard(user, [](Http2& self) {
      if (!self.resets_.spend(self.connection_.owner().now())) self.failed_ = true;
    });
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                     std::size_t size, void* user) {
    return guard(user, [&](Http2& self) {
      if (Http2Stream* stream = self.find(id))
        stream->take_data({reinterpret_cast<const char*>(bytes), size});
    });
  }
  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return guard(user, [&](Http2& self) { self.on_sent(*frame); });
  }
  // A new initial window is none for a stream that is closed.
  static int before_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool of_window = frame->hd.type == NGHTTP2_RST_STREAM &&
                           frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR;
    if (!of_window) return 0;
    const bool known = static_cast<Http2*>(user)->find(frame->hd.stream_id) != nullptr;
    return known ? 0 : NGHTTP2_ERR_CANCEL;
  }
  // Frames of types that RFC 9113 does not know are ignored, but not for nothing.
  static int on_unknown(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) {
    return NGHTTP2_ERR_CANCEL;
  }
  static int on_stream_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    return guard(user, [&](Http2& self) {
      if (Http2Stream* stream = self.find(id)) self.close(*stream);
    });
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* made = nullptr;
    CHECK(nghttp2_session_callbacks_new(&made) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_send);
    nghttp2_session_callbacks_set_before_frame_send_callback(made, before_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session_callbacks_set_unpack_extension_callback(made, on_unknown);
    return made;
  }

  // Bounds that nghttp2 keeps by itself. The newest closed streams stay known to it, as many as may be open,
  // and so do priorities: by them it knows the frames that RFC 9113 section 5.1 and RFC 7540 section 5.3.1
  // forbid.
  static nghttp2_option* make_options() {
    nghttp2_option* made = nullptr;
    CHECK(nghttp2_option_new(&made) == 0);
    nghttp2_option_set_max_outbound_ack(made, limits::http2_acks_max);
    nghttp2_option_set_max_continuations(made, limits::http2_continuations_max);
    // Ours comes first, and says why.
    nghttp2_option_set_stream_reset_rate_limit(made, 2 * limits::http2_resets_burst,
                                               2 * limits::http2_resets_per_second);
    nghttp2_option_set_max_deflate_dynamic_table_size(made, 0);  // heads are few and small
    for (int type = kFirstUnknownType; type < 256; ++type)
      nghttp2_option_set_user_recv_extension_type(made, static_cast<std::uint8_t>(type));
    return made;
  }
};

Http2::Http2(Connection& connection)
    : connection_(connection),
      requests_(connection.owner().options().budget, ConnectionBudget::Bytes::requests),
      held_(connection.owner().options().budget, ConnectionBudget::Bytes::answers),
      resets_(limits::http2_resets_burst, limits::http2_resets_per_second),
      controls_(limits::http2_controls_burst, limits::http2_controls_per_second),
      updates_(limits::http2_updates_burst, limits::http2_updates_per_second) {
  // Made once, never changed, the same for all.
  static const nghttp2_session_callbacks* const callbacks = Http2Callbacks::make();
  static const nghttp2_option* const options = Http2Callbacks::make_options();
  CHECK(nghttp2_session_server_new2(&session_, callbacks, this, options) == 0);
}

Http2::~Http2() {
  on_dead();
  nghttp2_session_del(session_);
}

void Http2::start() {
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits::http2_streams_max},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits::header_bytes_max)}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  connection_.limit_backlog();
  connection_.set_deadline(limits::header_time_max);
  schedule_flush();
}

Http2Stream* Http2::find(std::int32_t id) const {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

void Http2::open(std::int32_t id) {
  auto stream = std::make_unique<Http2Stream>(*this, id);
  stream->place_ = static_cast<std::uint32_t>(streams_.size());
  nghttp2_session_set_stream_user_data(session_, id, stream.get());
  streams_.push_back(std::move(stream));
}

void Http2::close(Http2Stream& stream) {
  release_input(stream);
  body_bytes_ -= stream.gathered();
  unread_ -= stream.pending();
  const std::uint32_t place = stream.place_;
  closed_.push_back(std::move(streams_[place]));
  if (place + 1 != streams_.size()) {
    streams_[place] = std::move(streams_.back());
    streams_[place]->place_ = place;
  }
  streams_.pop_back();
}

void Http2::bury() {
  for (const auto& stream : std::exchange(closed_, {}))
    if (StreamEvents* events = std::exchange(stream->events_, nullptr)) events->on_closed();
}

// What nghttp2 takes without a word, although RFC 9113 does not: too large a CONTINUATION (section 4.2), and
// a request on a stream that was passed over and so never was (section 5.1.1).
void Http2::check_frame(const nghttp2_frame_hd& head) {
  if (head.type == NGHTTP2_CONTINUATION && head.length > kFrameBytesMax)
    return end_session(NGHTTP2_FRAME_SIZE_ERROR);
  const std::int32_t id = head.stream_id;
  if (head.type != NGHTTP2_HEADERS || id % 2 == 0) return;
  if (id > newest_) {
    if (id > newest_ + 2) skipped_.emplace_back(newest_ + 2, id - 2);
    if (skipped_.size() > kSkippedMax) skipped_.erase(skipped_.begin());
    newest_ = id;
    return;
  }
  for (const auto& [first, last] : skipped_)
    if (first <= id && id <= last) return end_session(NGHTTP2_PROTOCOL_ERROR);
}

// A connection error (RFC 9113 section 5.4.1): the GOAWAY goes out, and nothing more is taken.
void Http2::end_session(std::uint32_t error) { nghttp2_session_terminate_session(session_, error); }

void Http2::on_frame_head(const nghttp2_frame_hd& head) {
  check_frame(head);
  const Instant now = connection_.owner().now();
  const bool empty_data = head.type == NGHTTP2_DATA && head.length == 0;
  const bool request = head.type == NGHTTP2_HEADERS || head.type == NGHTTP2_CONTINUATION;
  bool within = true;
  if (head.type == NGHTTP2_WINDOW_UPDATE) {
    within = updates_.spend(now);
  } else if (head.type == NGHTTP2_RST_STREAM) {
    within = resets_.spend(now);
  } else if (!request &&
             (head.type != NGHTTP2_DATA || (empty_data && !(head.flags & NGHTTP2_FLAG_END_STREAM)))) {
    within = controls_.spend(now);
  }
  if (!within) failed_ = true;
}

void Http2::on_frame(const nghttp2_frame& frame) {
  heard_ = true;
  Http2Stream* stream = find(frame.hd.stream_id);
  if (stream == nullptr) return;
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const bool trailers = frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat != NGHTTP2_HCAT_REQUEST;
  if (trailers && stream->tunnel_) {
    // RFC 9113 section 8.5: a tunnel has no trailers.
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  if (frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream->head_is_done(end);
  } else if (end && (frame.hd.type == NGHTTP2_DATA || frame.hd.type == NGHTTP2_HEADERS)) {
    stream->peer_is_done();
  }
}

void Http2::on_sent(const nghttp2_frame& frame) {
  // MadeYouReset (CVE-2025-8671): resets that the client makes us send count like its own.
  if (frame.hd.type == NGHTTP2_RST_STREAM && frame.rst_stream.error_code != NGHTTP2_NO_ERROR &&
      !resets_.spend(connection_.owner().now()))
    failed_ = true;
  // RFC 9113 section 6.9.2: a new initial window that is too much for a stream is a connection error.
  // nghttp2 resets the stream, as it does after a WINDOW_UPDATE, where section 6.9.1 leaves the choice.
  if (frame.hd.type == NGHTTP2_RST_STREAM && frame.rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR)
    end_session(NGHTTP2_FLOW_CONTROL_ERROR);
  const bool last = (frame.hd.type == NGHTTP2_DATA || frame.hd.type == NGHTTP2_HEADERS) &&
                    (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const Http2Stream* stream = last ? find(frame.hd.stream_id) : nullptr;
  // RFC 9113 section 8.1: answered before all of the request has come; the rest is not wanted.
  if (stream != nullptr && !stream->peer_done_)
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR);
}

void Http2::take(std::string_view bytes) {
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  bury();
  if (taken < 0) {
    const int error = static_cast<int>(taken);
    return fail_connection(nghttp2_strerror(error), code_of(error));
  }
  if (failed_) return fail_connection("too many frames that bring nothing");
  dispatch();
  flush();
}

// Requests wait for their turn in the order in which they became whole. Bytes of a tunnel do not wait: they
// are in memory already, and their owner has bounds of its own.
void Http2::dispatch() {
  for (const std::int32_t id : std::exchange(arrived_, {})) {
    Http2Stream* stream = find(id);
    if (stream == nullptr) continue;
    // What is refused already has a small answer.
    if (!stream->reading() || stream->incoming_->refused) {
      stream->deliver();
    } else if (!std::exchange(stream->queued_, true)) {
      waiting_.push_back(id);
    }
  }
  serve();
}

bool Http2::can_serve() const {
  return !waiting_.empty() && unread_ + connection_.unread() <= limits::unread_bytes_max;
}

// As long as the client takes what it is given; not too many in one turn. The flush that follows sees to
// what is left over.
void Http2::serve() {
  if (serve_posted_ || connection_.ended()) return;
  for (std::size_t served = 0; served < limits::requests_turn_max && can_serve(); ++served) {
    Http2Stream* stream = find(waiting_.front());
    waiting_.erase(waiting_.begin());
    if (stream != nullptr) stream->deliver();
  }
}

void Http2::serve_later() {
  if (std::exchange(serve_posted_, true)) return;
  connection_.later([this] {
    serve_posted_ = false;
    serve();
    flush();
  });
}

void Http2::release_input(Http2Stream& stream) {
  if (!std::exchange(stream.input_held_, false) || --holding_ > 0) return;
  connection_.later([this] {
    if (!connection_.ended() && wants_more()) connection_.wait_read();
  });
}

void Http2::refuse(Http2Stream& stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_ENHANCE_YOUR_CALM);
  schedule_flush();
}

void Http2::fail_connection(std::string_view why, std::uint32_t error) {
  log_debug("an HTTP/2 connection was ended", {{"peer", connection_.peer()}, {"reason", std::string(why)}});
  end_session(error);
  const std::uint8_t* bytes = nullptr;
  const ssize_t size = nghttp2_session_mem_send(session_, &bytes);  // the GOAWAY, if nothing is before it
  if (size > 0) connection_.send({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  on_dead();
  connection_.finish();
}

bool Http2::wants_more() const { return !connection_.blocked() && holding_ == 0; }

void Http2::schedule_flush() {
  if (!std::exchange(flush_posted_, true)) connection_.flush_later();
}

void Http2::on_flush() {
  flush_posted_ = false;
  flush();
}

// As much as windows and socket take, many streams in one write.
void Http2::flush() {
  if (connection_.ended()) return;
  std::string& frames = connection_.owner().buffers().frames;
  while (!connection_.blocked() && !connection_.ended()) {
    frames.clear();
    while (frames.size() < kBurstBytes) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size <= 0) break;
      frames.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    if (frames.empty()) break;
    connection_.send(frames);
  }
  bury();
  if (failed_ && !connection_.ended()) return fail_connection("it made us reset too many streams");
  for (const std::int32_t id : std::exchange(roomy_, {}))
    if (Http2Stream* stream = find(id); stream != nullptr && stream->events_ != nullptr)
      stream->events_->on_writable();
  if (!held_.set(unread_)) return fail_connection("it does not take its answers");
  if (can_serve()) serve_later();
  const bool over = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
  if (over || (draining_ && streams_.empty())) return connection_.finish();
  update_deadline();
}

// Streams that are open go on; half a request will never be whole.
void Http2::on_input_closed() {
  draining_ = true;
  for (const auto& stream : streams_)
    if (stream->reading() && !stream->peer_done_)
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_CANCEL);
  flush();
}

void Http2::on_room() {
  ticking_ = idle_ = false;  // the deadline was that of the write
  flush();
}

// An idle connection without streams has its time; one with nothing but quiet streams needs no clock. A tick
// that is set comes, whatever the client sends meanwhile.
void Http2::update_deadline() {
  if (streams_.empty()) {
    // Bytes that make no frame put nothing off (RFC 9113 section 3.4: nor does half a preface).
    if (std::exchange(heard_, false) || !std::exchange(idle_, true))
      connection_.set_deadline(limits::keep_alive_time_max);
    ticking_ = false;
    return;
  }
  idle_ = false;
  const bool watch = std::any_of(streams_.begin(), streams_.end(),
                                 [](const auto& stream) { return stream->awaited(); });
  if (watch && ticking_) return;
  ticking_ = watch;
  watch ? connection_.set_deadline(kTick) : connection_.clear_deadline();
}

void Http2::time_out() {
  ticking_ = false;
  if (streams_.empty()) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    return flush();
  }
  const Instant now = connection_.owner().now();
  for (const auto& stream : streams_) {
    std::chrono::seconds most = limits::window_stall_time_max;
    if (stream->reading())
      most = stream->incoming_->head_done ? limits::body_time_max : limits::header_time_max;
    if (stream->awaited() && now - stream->since_ >= most)
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_CANCEL);
  }
  flush();
}

// RFC 9113 section 6.8: streams that are open go on, new ones are to be opened elsewhere.
void Http2::drain() {
  draining_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  schedule_flush();
}

// Nothing may find a stream afterwards: what was posted for them still comes.
void Http2::on_dead() {
  for (auto& stream : streams_) {
    stream->input_held_ = false;
    nghttp2_session_set_stream_user_data(session_, stream->id_, nullptr);
    closed_.push_back(std::move(stream));
  }
  streams_.clear();
  arrived_.clear();
  waiting_.clear();
  roomy_.clear();
  unread_ = body_bytes_ = 0;
  holding_ = 0;
  (void)held_.set(0);
  bury();
}

}  // namespace belfry::net
