#pragma once
// One stream of HTTP/2: a request and its answer. Private to net.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/byte_queue.h"
#include "net/http2.h"
#include "net/http_server.h"

namespace belfry::net {

class Http2Stream final : public Exchange {
 public:
  Http2Stream(Http2& session, std::int32_t id);

  const Request& request() const override;
  void respond(Response response) override;
  void defer(StreamEvents& events) override { events_ = &events; }
  void begin(int status, const std::vector<Field>& headers, StreamEvents& events) override;
  void upgrade(const std::vector<Field>& headers, StreamEvents& events) override;
  Taken write(std::span<const std::string_view> pieces) override;
  bool write_control(std::string_view bytes) override;
  void hold_input() override;
  void take_input() override;
  bool keep(std::size_t bytes) override { return kept_.set(bytes); }
  void close() override;

 private:
  friend class Http2;
  friend struct Http2Callbacks;

  // What exists only until the request is answered.
  struct Incoming {
    explicit Incoming(BytesLease& lease) : held(lease) {}
    Request request;
    LeasePart held;  // of all of it
    std::string authority;
    std::string protocol;  // of an extended CONNECT
    std::string target;
    std::size_t header_bytes = 0;
    std::size_t header_fields = 0;
    std::optional<Code> refused;  // for what was seen of it so far; the rest is not kept
    bool head_done = false;
  };

  void take_header(std::string_view name, std::string_view value);
  void take_data(std::string_view bytes);
  bool has_room_ahead(std::size_t bytes);
  void head_is_done(bool end_of_stream);
  void peer_is_done();
  // Gives the request to the handler, or the bytes to the tunnel.
  void deliver();
  Result<void> finish_request();
  void submit(int status, const std::vector<Field>& headers, bool with_body);
  // Copies what goes into one DATA frame; the answer of nghttp2's data source.
  ssize_t pull(std::uint8_t* into, std::size_t size, std::uint32_t* flags);
  void resume();
  void progress();
  // Behind what is waiting; counted for the session too.
  void put(std::string_view bytes);
  std::size_t pending() const { return out_.size(); }
  bool reading() const { return incoming_ && !delivered_; }
  // What came for it before its turn; counted for the session too.
  std::size_t gathered() const { return reading() ? incoming_->request.body.size() + inbox_.size() : 0; }
  // Whether the client is to send something, or to take something: it has its time for that.
  bool awaited() const { return (reading() && !queued_) || pending() > 0; }

  Http2& session_;
  StreamEvents* events_ = nullptr;
  std::unique_ptr<Incoming> incoming_;
  LeasePart kept_;  // as keep() was told
  ByteQueue out_;  // taken, and not yet pulled
  std::string inbox_;  // of a tunnel
  Instant since_;      // of the last progress: a byte in or out, while one is awaited
  const std::int32_t id_;
  std::uint32_t place_ = 0;         // among the session's streams
  std::uint32_t control_held_ = 0;  // bytes in out_ that were taken beyond the bound
  bool deferred_ = false;           // nghttp2 waits for resume()
  bool blocked_ = false;
  bool end_ = false;  // out_ is the last of it
  bool answered_ = false;
  bool delivered_ = false;
  bool tunnel_ = false;
  bool input_held_ = false;  // counted by the session
  bool queued_ = false;  // a whole request that waits to be served
  bool head_only_ = false;
  bool peer_done_ = false;
};

}  // namespace belfry::net
