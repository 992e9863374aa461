// MQTT 5 and 3.1.1. The broker keeps a session for us: what comes while Belfry is away waits there.
//
// A message of QoS 1 is confirmed after its event is committed. libmosquitto queues the PUBACK when it
// hands the message over; as it is told that its socket is ours (mosquitto_threaded_set), nothing goes out
// before mosquitto_loop_write, and that is called after the commit.
//
// If it ends in between, the broker sends the message again under the same packet id (MQTT 5 section 4.4);
// a confirmation that was on its way may be lost too. So the position holds the last messages that were
// committed, each as packet id and hash: what comes again at the beginning of a resumed session and is among
// them, is passed over. It holds those of which it is not known that the broker has read the confirmation,
// and kWindow at least. A broker answers in order: an answer to an UNSUBSCRIBE from nothing, sent behind
// confirmations, tells that they were read.

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>

#include "base/tcp.h"
#include "ingest/broker_address.h"
#include "ingest/module.h"
#include "ingest/read_json.h"

namespace belfry::ingest::mqtt {
namespace json = boost::json;

namespace {

constexpr int kKeepAliveS = 30;
constexpr int kSendRetainNew =
    0x10;  // MQTT 5 section 3.8.3.1: retained messages for new subscriptions only
constexpr Duration kLook{1'000};
constexpr int kPackets = 200;
constexpr std::size_t kWindow = 500;
constexpr std::size_t kWindowMax = 4'096;  // where the broker does not answer; in the store some 60 KB
constexpr const char* kNothing = "belfry/nothing";  // nobody subscribes to it
// Under way at a time. A Mosquitto that is started again gives what goes beyond its max_inflight_messages,
// 20 by default, new packet ids; then a repeat could not be told.
constexpr int kUnderWay = 20;

struct Seen {
  int id = 0;
  std::uint32_t hash = 0;
  bool operator==(const Seen&) const = default;
};

Error wrong(int code, const std::string& doing) {
  return fail(Code::source_failed, doing + ": " + mosquitto_strerror(code));
}

class Reader {
 public:
  explicit Reader(SourceContext& context) : context_(context) {}

  Result<void> start();
  Result<void> run();

 private:
  static void on_connect(mosquitto*, void* self, int code, int flags, const mosquitto_property*);
  static void on_message(mosquitto*, void* self, const mosquitto_message* message,
                         const mosquitto_property* properties);
  static void on_subscribe(mosquitto*, void* self, int id, int count, const int* granted,
                           const mosquitto_property*);
  static void on_unsubscribe(mosquitto*, void* self, int id, const mosquitto_property*);
  static void on_disconnect(mosquitto*, void* self, int code, const mosquitto_property*);

  bool five() const { return context_.config().text("version") == "5"; }
  Result<void> connect();
  Result<std::string> knock(const BrokerAddress& address) const;
  Result<void> subscribe(bool resumed);
  void settle(int id, bool granted);
  void read_position();
  std::string position() const;
  void take(const mosquitto_message& message, const mosquitto_property* properties);
  bool is_repeat(const Seen& seen);
  json::value record_of(const mosquitto_message& message, const mosquitto_property* properties) const;
  Result<void> flush();
  Result<void> ask_for_word();

  struct Destroy {
    void operator()(mosquitto* client) const { mosquitto_destroy(client); }
  };
  SourceContext& context_;
  std::unique_ptr<mosquitto, Destroy> client_;
  std::vector<std::string> subscribed_;  // what the broker has granted: part of the position
  std::map<int, std::string> asked_;     // by packet id: to be subscribed, or unsubscribed
  bool changed_ = false;                 // subscribed_ is not stored yet
  std::vector<Seen> repeats_;            // committed before the connection, maybe not confirmed
  std::deque<Seen> history_;             // the last that were committed
  std::size_t unread_ = 0;               // of them, the newest whose confirmation may not have been read
  std::optional<std::pair<int, std::size_t>> word_;  // asked for: its packet id, and how many it confirms
  SourceBatch batch_;
  std::optional<int> connected_;  // code of CONNACK
  bool resumed_ = false;
  std::optional<Error> failure_;  // of a callback
};

void Reader::on_connect(mosquitto*, void* self, int code, int flags, const mosquitto_property*) {
  auto& reader = *static_cast<Reader*>(self);
  reader.connected_ = code;
  reader.resumed_ = (flags & 1) != 0;
}

void Reader::on_subscribe(mosquitto*, void* self, int id, int count, const int* granted,
                          const mosquitto_property*) {
  static_cast<Reader*>(self)->settle(id, count == 1 && granted[0] < 128);
}

void Reader::on_unsubscribe(mosquitto*, void* self, int id, const mosquitto_property*) {
  static_cast<Reader*>(self)->settle(id, true);
}

// The broker has answered: only now the position may say so. Else a subscription that was refused would
// never be asked for again in a session that goes on.
void Reader::settle(int id, bool granted) {
  if (word_ && word_->first == id) {
    unread_ -= std::min(unread_, word_->second);
    word_.reset();
    return;
  }
  auto asked = asked_.extract(id);
  if (asked.empty()) return;
  if (!granted) {
    failure_ = fail(Code::source_failed, "The broker refuses to subscribe to " + asked.mapped() + ".");
    return;
  }
  if (std::erase(subscribed_, asked.mapped()) == 0) subscribed_.push_back(asked.mapped());
  changed_ = true;
  if (asked_.empty()) context_.running();
}

void Reader::on_disconnect(mosquitto*, void* self, int code, const mosquitto_property*) {
  auto& failure = static_cast<Reader*>(self)->failure_;
  if (!failure)
    failure = fail(Code::source_failed,
                   std::string("The broker ended the connection: ") +
                       (code > 0 && code < 128 ? mosquitto_strerror(code) : mosquitto_reason_string(code)));
}

void Reader::on_message(mosquitto*, void* self, const mosquitto_message* message,
                        const mosquitto_property* properties) {
  static_cast<Reader*>(self)->take(*message, properties);
}

bool Reader::is_repeat(const Seen& seen) {
  const auto found = std::find(repeats_.begin(), repeats_.end(), seen);
  // What is sent again comes first and in order; with the first new message that is over.
  if (found == repeats_.end()) {
    repeats_.clear();
    return false;
  }
  repeats_.erase(found);
  return true;
}

json::value Reader::record_of(const mosquitto_message& message,
                              const mosquitto_property* properties) const {
  const std::string_view payload(static_cast<const char*>(message.payload),
                                 static_cast<std::size_t>(message.payloadlen));
  json::object out{{"topic", message.topic}, {"qos", message.qos}, {"retain", message.retain}};
  if (auto parsed = read_json(payload)) {
    out["payload"] = std::move(parsed).value();
  } else if (is_utf8(payload)) {
    out["payload"] = payload;
  } else {
    out["payload_base64"] = to_base64(payload);
  }
  json::object named;
  char *name = nullptr, *value = nullptr;
  bool next = false;
  for (auto* at = properties; (at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name,
                                                                        &value, next)) != nullptr;
       next = true) {
    named[name] = value;
    ::free(name);  // libmosquitto made them with malloc
    ::free(value);
  }
  out["properties"] = std::move(named);
  if (mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &value, false) != nullptr) {
    out["content_type"] = value;
    ::free(value);
  }
  return json::value(std::move(out));
}

void Reader::take(const mosquitto_message& message, const mosquitto_property* properties) {
  if (message.qos > 0) {
    const std::string text = std::string(message.topic) + '\n' +
                             std::string(static_cast<const char*>(message.payload),
                                         static_cast<std::size_t>(message.payloadlen));
    const Seen seen{message.mid, static_cast<std::uint32_t>(siphash13(text, 0, 0))};
    if (is_repeat(seen)) return;
    history_.push_back(seen);
    ++unread_;
    const std::size_t kept = std::clamp(unread_, kWindow, kWindowMax);
    while (history_.size() > kept) history_.pop_front();
  }
  context_.map(batch_, record_of(message, properties), std::string(message.topic));
}

// {"subscriptions": […], "last": "<packet id>:<hash> …"}
std::string Reader::position() const {
  json::array subscriptions;
  for (const auto& one : subscribed_) subscriptions.emplace_back(one);
  std::string last;
  for (const Seen& one : history_) {
    char text[32];
    std::snprintf(text, sizeof text, "%s%x:%x", last.empty() ? "" : " ", static_cast<unsigned>(one.id),
                  one.hash);
    last += text;
  }
  return json::serialize(json::object{{"subscriptions", subscriptions}, {"last", last}});
}

void Reader::read_position() {
  const auto value = read_json(context_.position());
  if (!value) return;
  if (const auto* all = member(value.value(), "subscriptions"); all != nullptr && all->is_array())
    for (const auto& one : all->get_array())
      if (one.is_string()) subscribed_.emplace_back(one.get_string());
  const std::string last = member_text(value.value(), "last");
  std::string_view rest = last;
  while (!rest.empty()) {
    Seen seen;
    auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), seen.id, 16);
    if (parsed.ec != std::errc{} || parsed.ptr == rest.data() + rest.size()) return;
    parsed = std::from_chars(parsed.ptr + 1, rest.data() + rest.size(), seen.hash, 16);
    history_.push_back(seen);
    rest.remove_prefix(std::min(rest.size(), static_cast<std::size_t>(parsed.ptr - rest.data()) + 1));
  }
  repeats_.assign(history_.begin(), history_.end());
  unread_ = history_.size();
}

Result<void> Reader::start() {
  static const int initialised = mosquitto_lib_init();
  if (initialised != MOSQ_ERR_SUCCESS) return wrong(initialised, "starting libmosquitto");
  const SourceConfig& config = context_.config();
  const std::string id =
      config.text("client_id").empty() ? "belfry-" + config.name : config.text("client_id");
  client_.reset(mosquitto_new(id.c_str(), false, this));
  if (!client_) return fail(Code::source_failed, "libmosquitto refuses the client_id.");
  mosquitto_int_option(client_.get(), MOSQ_OPT_PROTOCOL_VERSION,
                       five() ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_int_option(client_.get(), MOSQ_OPT_RECEIVE_MAXIMUM, kUnderWay);
  mosquitto_threaded_set(client_.get(), true);
  mosquitto_connect_v5_callback_set(client_.get(), on_connect);
  mosquitto_message_v5_callback_set(client_.get(), on_message);
  mosquitto_subscribe_v5_callback_set(client_.get(), on_subscribe);
  mosquitto_unsubscribe_v5_callback_set(client_.get(), on_unsubscribe);
  mosquitto_disconnect_v5_callback_set(client_.get(), on_disconnect);
  read_position();
  return connect();
}

// libmosquitto's connect waits for as long as the kernel tries, and hears of no stop: it is asked once
// somebody has answered there, and without TLS, which needs the name, at that very address.
Result<std::string> Reader::knock(const BrokerAddress& address) const {
  const auto writable = [this](int socket) {
    pollfd now{socket, POLLOUT, 0};
    return context_.wait(socket, true, limits::source_answer_time_max) && ::poll(&now, 1, 0) > 0;
  };
  const auto socket = connect_tcp(address.host, std::to_string(address.port), writable);
  if (!socket) return fail(Code::source_failed, "connecting to the broker: " + socket.error().detail);
  return address.tls ? address.host : peer_address(socket.value());
}

Result<void> Reader::connect() {
  const SourceConfig& config = context_.config();
  const BrokerAddress address = TRY(broker_address(config.text("url")));
  const std::string password = TRY(config.secret("password")), user = config.text("username");
  if (!user.empty())
    mosquitto_username_pw_set(client_.get(), user.c_str(), password.empty() ? nullptr : password.c_str());
  if (address.tls) {
    const std::string ca = config.text("ca_file");
    if (ca.empty()) mosquitto_int_option(client_.get(), MOSQ_OPT_TLS_USE_OS_CERTS, 1);
    const int code = mosquitto_tls_set(client_.get(), ca.empty() ? nullptr : ca.c_str(),
                                       ca.empty() ? "/etc/ssl/certs" : nullptr, nullptr, nullptr, nullptr);
    if (code != MOSQ_ERR_SUCCESS) return wrong(code, "reading ca_file");
  }
  const std::string host = TRY(knock(address));
  mosquitto_property* properties = nullptr;
  std::uint32_t expiry = 0;
  const std::string text = config.text("session_expiry_s");
  (void)std::from_chars(text.data(), text.data() + text.size(), expiry);
  if (five()) mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, expiry);
  const int code = mosquitto_connect_bind_v5(client_.get(), host.c_str(), address.port, kKeepAliveS,
                                             nullptr, properties);
  mosquitto_property_free_all(&properties);
  if (code != MOSQ_ERR_SUCCESS) return wrong(code, "connecting to the broker");
  return {};
}

Result<void> Reader::subscribe(bool resumed) {
  const auto wanted = context_.config().list("subscriptions");
  if (!resumed) {
    repeats_.clear();
    history_.clear();
    unread_ = 0;
    if (!context_.position().empty())
      context_.alarm(
          fail(Code::source_gap, "The broker no longer has the session; what it got meanwhile is lost."));
    subscribed_.clear();
    changed_ = true;
  }
  int id = 0;
  for (const std::string& old : subscribed_) {
    if (std::find(wanted.begin(), wanted.end(), old) != wanted.end()) continue;
    const int code = mosquitto_unsubscribe(client_.get(), &id, old.c_str());
    if (code != MOSQ_ERR_SUCCESS) return wrong(code, "unsubscribing from " + old);
    asked_[id] = old;
  }
  const int qos = context_.config().text("qos") == "0" ? 0 : 1;
  for (const std::string& filter : wanted) {
    // In 3.1.1 subscribing again would bring the retained messages again.
    if (std::find(subscribed_.begin(), subscribed_.end(), filter) != subscribed_.end()) continue;
    const int code = mosquitto_subscribe_v5(client_.get(), &id, filter.c_str(), qos,
                                            five() ? kSendRetainNew : 0, nullptr);
    if (code != MOSQ_ERR_SUCCESS) return wrong(code, "subscribing to " + filter);
    asked_[id] = filter;
  }
  context_.set_lag(0, "messages");
  if (asked_.empty()) context_.running();
  return flush();
}

// Commits what came, then lets the confirmations go.
Result<void> Reader::flush() {
  if (batch_.records > 0 || std::exchange(changed_, false)) batch_.positions.emplace_back("", position());
  if (!batch_.empty()) TRY(context_.commit(std::exchange(batch_, {})));
  TRY(ask_for_word());
  const int code = mosquitto_loop_write(client_.get(), kPackets);
  if (code != MOSQ_ERR_SUCCESS) return wrong(code, "writing to the broker");
  return {};
}

// REQUIRES: what came is committed, so its confirmations go out before this. While repeats may come, what
// was confirmed over the connection before may have been lost with it.
Result<void> Reader::ask_for_word() {
  if (word_ || !repeats_.empty() || unread_ < kWindow / 2) return {};
  int id = 0;
  const int code = mosquitto_unsubscribe(client_.get(), &id, kNothing);
  if (code != MOSQ_ERR_SUCCESS) return wrong(code, "asking the broker how far it has read");
  word_.emplace(id, unread_);
  return {};
}

Result<void> Reader::run() {
  TRY(flush());
  Instant looked = context_.clock().now();
  const Instant until = looked + limits::source_answer_time_max;
  bool answered = false;
  while (!context_.stopping()) {
    if (!context_.wait(mosquitto_socket(client_.get()), false, kLook)) break;
    int code = mosquitto_loop_read(client_.get(), kPackets);
    if (code == MOSQ_ERR_SUCCESS && context_.clock().now() - looked >= kLook) {
      looked = context_.clock().now();
      code = mosquitto_loop_misc(client_.get());
    }
    if (connected_ && *connected_ != 0)
      return fail(Code::source_failed,
                  std::string("The broker refuses: ") + (five() ? mosquitto_reason_string(*connected_)
                                                                : mosquitto_connack_string(*connected_)));
    if (connected_) {
      connected_.reset();
      answered = true;
      TRY(subscribe(resumed_));
    }
    if (failure_) {
      if (changed_) (void)flush();  // what was granted is not asked for again
      return *failure_;
    }
    if (!answered && context_.clock().now() > until)
      return fail(Code::source_failed, "The broker does not answer.");
    if (code != MOSQ_ERR_SUCCESS) return wrong(code, "reading from the broker");
    TRY(flush());
  }
  return {};
}

Result<void> run(SourceContext& context) {
  Reader reader(context);
  TRY(reader.start());
  return reader.run();
}

}  // namespace
}  // namespace belfry::ingest::mqtt

const belfry::ingest::SourceModule* belfry_source_module() {
  static const belfry::ingest::SourceModule module{belfry::ingest::module_interface, BELFRY_VERSION,
                                                   belfry::ingest::mqtt::run, nullptr};
  return &module;
}
