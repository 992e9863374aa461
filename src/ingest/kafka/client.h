#pragma once
// A consumer of librdkafka, and its memory, held by values. Private to kafka/.
//
// Owner: the driver. Thread: the source's; librdkafka has threads of its own and calls back on this one
// only, from poll().

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include "ingest/source.h"

namespace belfry::ingest::kafka {

struct Destroy {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
  void operator()(rd_kafka_t* client) const;
};
using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy>;
using Client = std::unique_ptr<rd_kafka_t, Destroy>;

// Code::source_failed with what librdkafka says.
Error wrong(rd_kafka_resp_err_t error, const std::string& doing);

// The settings of a source, all of librdkafka's that it names included. Code::config_invalid names the
// property that librdkafka refuses.
Result<Conf> make_conf(const SourceConfig& config);

}  // namespace belfry::ingest::kafka
