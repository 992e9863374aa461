// A real TLS handshake by OpenSSL's client, and then what no decent client would do, in any order:
// records by hand, alerts, renegotiation, new keys, an early close_notify, half-closed sockets, bytes after
// the end; HTTP/1.1 and HTTP/2 inside.
#include "connection_harness.h"
#include "net/http2_by_hand.h"
#include "net/tls_peer.h"

namespace belfry::fuzz {
namespace {

const net::TlsContext& server_context() {
  static const net::TlsContext made = [] {
    const auto pair = net::make_certificate({"localhost"}, SystemClock().wall(), 2).value();
    return net::TlsContext::from_pem(pair.certificate, pair.key).value();
  }();
  return made;
}

std::string_view alpn(std::size_t choice) {
  static constexpr std::string_view kChoices[] = {
      {}, {"\x02h2", 3}, {"\x08http/1.1", 9}, {"\x02h2\x08http/1.1", 12}, {"\x03spd", 4}};
  return kChoices[choice % std::size(kChoices)];
}

struct Client {
  Conversation with{server_context()};
  net::TlsPeer tls;

  Client(std::string_view protocols, int version) : tls(protocols, version) {}

  // What each side has for the other.
  void carry() {
    tls.take(std::exchange(with.heard, {}));
    const std::string out = tls.give();
    if (!out.empty()) with.send(out);
  }
  void say(std::string_view plaintext) {
    tls.write(plaintext);
    carry();
  }
  void write_a_stream(bool end) {
    net::Exchange* stream = with.owner.handler.stream;
    if (stream == nullptr || !with.owner.connection) return;
    const std::string_view piece = "data: x\n\n";
    stream->write({&piece, 1});
    if (end) stream->close();
    with.run();
  }
  void step(Input& input) {
    switch (input.below(14)) {
      case 0: return carry();
      case 1: return say(net::by_hand::hello());
      case 2: return say(net::by_hand::get("/s", 1 + 2 * static_cast<std::uint32_t>(input.below(8))));
      case 3: return say(net::by_hand::get("/d", 1 + 2 * static_cast<std::uint32_t>(input.below(8))));
      case 4: return say(http2_frames(input.line()));
      case 5: return say("GET /s HTTP/1.1\r\nHost: h\r\n\r\n");
      case 6: return say("GET /x HTTP/1.1\r\nHost: h\r\n\r\nPOST /d HTTP/1.1\r\nHost: h\r\n");
      case 7: return tls.close_notify(), carry();
      case 8: return void(with.send(input.line()));
      case 9: {
        const char type = static_cast<char>(20 + input.below(5));
        const std::string_view body = input.line();
        return void(with.send(std::string{type, 3, 3, '\0', static_cast<char>(body.size())} += body));
      }
      case 10: return (input.below(2) ? tls.renegotiate() : tls.update_keys()), carry();
      case 11: return with.half_close();
      case 12: return write_a_stream(input.below(4) == 0);
      default: with.listening = !with.listening;
    }
  }
};

}  // namespace
}  // namespace belfry::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace belfry;
  fuzz::Input input(data, size);
  const auto protocols = fuzz::alpn(input.byte());
  fuzz::Client client(protocols, input.below(2) == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
  const std::size_t before = input.below(4);  // steps in the midst of the handshake
  for (std::size_t i = 0; i < before && !input.empty(); ++i) client.step(input);
  for (int i = 0; i < 4; ++i) client.carry();
  for (int i = 0; i < 64 && !input.empty() && client.with.owner.connection; ++i) {
    client.step(input);
    if (client.with.owner.connection && input.below(16) == 15) client.with.owner.connection->time_out();
  }
  return 0;
}
