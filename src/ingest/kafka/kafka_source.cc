// Kafka. The group only shares out the partitions; how far each was read is kept here, with its events, so
// a record counts once. The offsets are committed to the group as well, afterwards, for those who watch it.
//
// Positions: part "topic/partition", value the next offset.

#include <charconv>
#include <map>

#include "ingest/kafka/client.h"
#include "ingest/kafka_record.h"
#include "ingest/module.h"

namespace belfry::ingest::kafka {
namespace {

constexpr int kPollMs = 100;
constexpr int kQueryMs = 10'000;
constexpr Duration kLagInterval{1'000};

std::string part_of(const char* topic, std::int32_t partition) {
  return std::string(topic) + "/" + std::to_string(partition);
}

class Reader {
 public:
  explicit Reader(SourceContext& context) : context_(context) {}

  Result<void> start();
  Result<void> run();

 private:
  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t event,
                           rd_kafka_topic_partition_list_t* partitions, void* self);
  static void on_error(rd_kafka_t*, int error, const char* reason, void* self);
  void assign(rd_kafka_topic_partition_list_t* partitions);
  Result<std::int64_t> first_offset(const char* topic, std::int32_t partition);
  bool is_known_topic(std::string_view topic) const;
  Result<void> take(const rd_kafka_message_t& message);
  Result<void> flush();
  void tell_group();
  void tell_lag();

  SourceContext& context_;
  Client client_;
  std::map<std::string, std::int64_t> next_;  // of the partitions that are ours
  Partitions assigned_;
  SourceBatch batch_;
  std::optional<Error> failure_;  // of a callback
  Instant told_;
  bool troubled_ = false;  // no broker answered
};

void Reader::on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t event,
                          rd_kafka_topic_partition_list_t* partitions, void* self) {
  auto& reader = *static_cast<Reader*>(self);
  if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) return reader.assign(partitions);
  // What was read of them is kept before somebody else reads on.
  if (auto flushed = reader.flush(); !flushed) reader.failure_ = flushed.error();
  reader.next_.clear();
  reader.assigned_.reset();
  rd_kafka_assign(reader.client_.get(), nullptr);
}

void Reader::on_error(rd_kafka_t*, int error, const char* reason, void* self) {
  auto& reader = *static_cast<Reader*>(self);
  // librdkafka goes on trying by itself; one broker of several that is away is not told.
  if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && error != RD_KAFKA_RESP_ERR__AUTHENTICATION) return;
  reader.troubled_ = true;
  reader.context_.set_state(
      SourceState::waiting,
      fail(Code::source_failed, std::string(rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error))) +
                                    ": " + without_credentials(reason)));
}

bool Reader::is_known_topic(std::string_view topic) const {
  for (const Position& one : context_.status().positions)
    if (one.part.starts_with(std::string(topic) + "/")) return true;
  return false;
}

Result<std::int64_t> Reader::first_offset(const char* topic, std::int32_t partition) {
  std::int64_t low = 0, high = 0;
  const auto error =
      rd_kafka_query_watermark_offsets(client_.get(), topic, partition, &low, &high, kQueryMs);
  const std::string part = part_of(topic, partition);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return wrong(error, "asking how far " + part + " goes");
  const std::string stored = context_.position(part);
  if (stored.empty()) {
    // A partition that is new to a topic we read is read whole.
    const bool now = context_.config().text("begin") == "now" && !is_known_topic(topic);
    batch_.positions.emplace_back(part, std::to_string(now ? high : low));
    return now ? high : low;
  }
  std::int64_t next = 0;
  (void)std::from_chars(stored.data(), stored.data() + stored.size(), next);
  if (next > high)
    return fail(Code::source_ahead,
                part + " goes up to " + std::to_string(high) + ", " + std::to_string(next) + " were read.");
  if (next < low) {
    context_.alarm(fail(Code::source_gap, std::to_string(low - next) + " records of " + part +
                                              " were removed before they were read."));
    return low;
  }
  return next;
}

void Reader::assign(rd_kafka_topic_partition_list_t* partitions) {
  for (int i = 0; i < partitions->cnt; ++i) {
    auto& one = partitions->elems[i];
    const auto first = first_offset(one.topic, one.partition);
    if (!first) {
      failure_ = first.error();
      return;
    }
    one.offset = first.value();
    next_[part_of(one.topic, one.partition)] = one.offset;
  }
  assigned_.reset(rd_kafka_topic_partition_list_copy(partitions));
  if (const auto error = rd_kafka_assign(client_.get(), partitions); error != RD_KAFKA_RESP_ERR_NO_ERROR)
    failure_ = wrong(error, "taking partitions");
  // Where it begins is kept before the first record comes.
  if (auto flushed = flush(); !flushed) failure_ = flushed.error();
  context_.running();
}

Result<void> Reader::start() {
  Conf conf = TRY(make_conf(context_.config()));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_rebalance_cb(conf.get(), on_rebalance);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  char reason[512];
  client_.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), reason, sizeof reason));
  if (!client_) return fail(Code::config_invalid, without_credentials(reason), "properties");
  (void)conf.release();  // it is the client's now
  rd_kafka_poll_set_consumer(client_.get());
  Partitions topics(rd_kafka_topic_partition_list_new(4));
  for (const std::string& topic : context_.config().list("topics"))
    rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  const auto error = rd_kafka_subscribe(client_.get(), topics.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return wrong(error, "subscribing");
  return {};
}

Result<void> Reader::run() {
  told_ = context_.clock().now();
  while (!context_.stopping()) {
    int wait_ms = kPollMs;
    while (!batch_.full()) {
      const Message message(rd_kafka_consumer_poll(client_.get(), wait_ms));
      if (failure_) return *failure_;
      if (!message) break;
      TRY(take(*message));
      wait_ms = 0;
    }
    TRY(flush());
    if (context_.clock().now() - told_ >= kLagInterval) tell_lag();
  }
  return {};
}

Result<void> Reader::take(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return {};
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return wrong(message.err, message.rkt == nullptr
                                  ? "reading"
                                  : "reading " + std::string(rd_kafka_topic_name(message.rkt)));
  const char* topic = rd_kafka_topic_name(message.rkt);
  const std::string part = part_of(topic, message.partition);
  const auto next = next_.find(part);
  if (next == next_.end() || message.offset < next->second) return {};  // of an earlier assignment
  KafkaRecord record;
  record.topic = topic;
  record.partition = message.partition;
  record.offset = message.offset;
  record.timestamp_ms = rd_kafka_message_timestamp(&message, nullptr);
  if (message.key != nullptr) record.key.emplace(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr)
    record.value.emplace(static_cast<const char*>(message.payload), message.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
      record.headers.emplace_back(
          name, std::string(static_cast<const char*>(value), value == nullptr ? 0 : size));
  }
  const std::string position = part + "@" + std::to_string(message.offset);
  const auto made = kafka_record(context_.config().text("format"), record);
  if (!made) {
    context_.bury(batch_, record.value.value_or(""), position, made.error());
  } else if (made.value()) {
    context_.map(batch_, *made.value(), position);
  } else {
    ++batch_.records;
  }
  next->second = message.offset + 1;
  return {};
}

// Commits what was read, then tells the group.
Result<void> Reader::flush() {
  if (batch_.records == 0 && batch_.positions.empty()) return {};
  for (const auto& [part, next] : next_)
    if (const std::string value = std::to_string(next); context_.position(part) != value)
      batch_.positions.emplace_back(part, value);
  TRY(context_.commit(std::exchange(batch_, {})));
  context_.running();
  tell_group();
  return {};
}

void Reader::tell_group() {
  if (!assigned_) return;
  for (int i = 0; i < assigned_->cnt; ++i) {
    auto& one = assigned_->elems[i];
    const auto next = next_.find(part_of(one.topic, one.partition));
    if (next != next_.end()) one.offset = next->second;
  }
  rd_kafka_commit(client_.get(), assigned_.get(), 1);
}

void Reader::tell_lag() {
  told_ = context_.clock().now();
  std::int64_t lag = 0;
  for (int i = 0; assigned_ && i < assigned_->cnt; ++i) {
    const auto& one = assigned_->elems[i];
    std::int64_t low = 0, high = 0;
    const auto next = next_.find(part_of(one.topic, one.partition));
    if (next != next_.end() && rd_kafka_get_watermark_offsets(client_.get(), one.topic, one.partition, &low,
                                                              &high) == RD_KAFKA_RESP_ERR_NO_ERROR)
      lag += std::max<std::int64_t>(high - next->second, 0);
  }
  context_.set_lag(static_cast<std::uint64_t>(lag), "records");
  if (!troubled_ || !assigned_ || assigned_->cnt == 0) return;
  std::int64_t low = 0, high = 0;
  const auto& first = assigned_->elems[0];
  if (rd_kafka_query_watermark_offsets(client_.get(), first.topic, first.partition, &low, &high,
                                       kPollMs * 5) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  troubled_ = false;
  context_.running();
}

Result<void> run(SourceContext& context) {
  Reader reader(context);
  TRY(reader.start());
  return reader.run();
}

}  // namespace
}  // namespace belfry::ingest::kafka

const belfry::ingest::SourceModule* belfry_source_module() {
  static const belfry::ingest::SourceModule module{belfry::ingest::module_interface, BELFRY_VERSION,
                                                   belfry::ingest::kafka::run, nullptr};
  return &module;
}
