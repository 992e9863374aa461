// For the tests of the Kafka source: librdkafka's mock cluster, and a producer.
//
//   kafka_tool mock TOPIC PARTITIONS   starts a cluster, prints its address, then takes lines
//   kafka_tool produce BROKERS         takes lines
//
// A line is {"create": TOPIC, "partitions": N}, {"topic", "partition"?, "key"?, "value"?, "headers"?} or
// {"topic", "bulk": N, "from"?: M}: N records {"topic": "t/<n mod 100>", "type": "made", "data": n}. After
// each line's records are acknowledged it prints "done". Ends with its input.

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <iostream>
#include <string>

namespace json = boost::json;

namespace {

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

void send(rd_kafka_t* producer, const json::object& line, const std::string* value,
          std::int32_t partition) {
  const std::string topic = text_of(line.at("topic"));
  const std::string key = line.contains("key") ? text_of(line.at("key")) : std::string();
  rd_kafka_headers_t* headers = rd_kafka_headers_new(4);
  if (const auto* all = line.if_contains("headers"); all != nullptr)
    for (const auto& one : all->get_object()) {
      const std::string name(one.key()), text = text_of(one.value());
      rd_kafka_header_add(headers, name.c_str(), -1, text.data(), static_cast<ssize_t>(text.size()));
    }
  const void* key_bytes = line.contains("key") ? key.data() : nullptr;
  void* bytes = value == nullptr ? nullptr : const_cast<char*>(value->data());
  const std::size_t key_size = key.size(), size = value == nullptr ? 0 : value->size();
  const auto error =
      rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                        RD_KAFKA_V_KEY(key_bytes, key_size), RD_KAFKA_V_VALUE(bytes, size),
                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
                        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) std::fprintf(stderr, "%s\n", rd_kafka_err2str(error));
  rd_kafka_poll(producer, 0);
}

void create(rd_kafka_t* client, const json::object& line) {
  char reason[512];
  auto* topic = rd_kafka_NewTopic_new(text_of(line.at("create")).c_str(),
                                      line.at("partitions").to_number<int>(), 1, reason, sizeof reason);
  auto* queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &topic, 1, nullptr, queue);
  rd_kafka_event_destroy(rd_kafka_queue_poll(queue, 30'000));
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(topic);
}

void take(rd_kafka_t* producer, const std::string& text) {
  const json::object line = json::parse(text).as_object();
  if (line.contains("create")) {
    create(producer, line);
    std::printf("done\n");
    std::fflush(stdout);
    return;
  }
  const auto partition =
      line.contains("partition") ? line.at("partition").to_number<std::int32_t>() : RD_KAFKA_PARTITION_UA;
  if (const auto* bulk = line.if_contains("bulk")) {
    const auto from = line.contains("from") ? line.at("from").to_number<std::int64_t>() : 1;
    for (std::int64_t n = from; n < from + bulk->to_number<std::int64_t>(); ++n) {
      const std::string value = json::serialize(
          json::object{{"topic", "t/" + std::to_string(n % 100)}, {"type", "made"}, {"data", n}});
      send(producer, line, &value, partition);
    }
  } else {
    const auto* value = line.if_contains("value");
    const std::string body = value == nullptr ? std::string() : text_of(*value);
    send(producer, line, value == nullptr ? nullptr : &body, partition);
  }
  rd_kafka_flush(producer, 60'000);
  std::printf("done\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const bool mock = std::string(argv[1]) == "mock";
  char reason[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_t* host = nullptr;
  rd_kafka_mock_cluster_t* cluster = nullptr;
  std::string brokers = argv[2];
  if (mock) {
    host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof reason);
    cluster = rd_kafka_mock_cluster_new(host, 1);
    rd_kafka_mock_topic_create(cluster, argv[2], argc > 3 ? std::stoi(argv[3]) : 1, 1);
    brokers = rd_kafka_mock_cluster_bootstraps(cluster);
  }
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), reason, sizeof reason);
  rd_kafka_conf_set(conf, "linger.ms", "5", reason, sizeof reason);
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
  if (mock) std::printf("%s\n", brokers.c_str());
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line))
    if (!line.empty()) take(producer, line);
  rd_kafka_destroy(producer);
  if (cluster != nullptr) rd_kafka_mock_cluster_destroy(cluster);
  if (host != nullptr) rd_kafka_destroy(host);
  return 0;
}
