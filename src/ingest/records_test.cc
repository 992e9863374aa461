// Records as they come over the wire: pgoutput, Kafka, credentials in texts.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "ingest/broker_address.h"
#include "ingest/kafka_record.h"
#include "ingest/pg_output.h"
#include "ingest/source.h"

namespace belfry::ingest {
namespace {

namespace json = boost::json;

std::string number(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
std::string zero(std::string_view text) { return std::string(text) + '\0'; }
std::string text_column(std::string_view text) { return "t" + number(text.size(), 4) + std::string(text); }

// Table public.bookings(id int4 primary key, guest text, more jsonb).
std::string relation(char identity = 'd') {
  const char key = identity == 'f' ? 1 : 0;
  return "R" + number(5, 4) + zero("public") + zero("bookings") + identity + number(3, 2) + number(1, 1) +
         zero("id") + number(23, 4) + number(0, 4) + key + zero("guest") + number(25, 4) + number(0, 4) +
         key + zero("more") + number(3802, 4) + number(0, 4);
}

PgChange changed(PgOutput& output, const std::string& message) {
  auto item = output.decode(message);
  EXPECT_TRUE(item) << item.error().text();
  EXPECT_TRUE(item && std::holds_alternative<PgChange>(item.value()));
  return item ? std::get<PgChange>(std::move(item).value()) : PgChange{};
}

TEST(PgOutputTest, ReadsChangesWithTheirTypes) {
  PgOutput output;
  ASSERT_TRUE(output.decode(relation()));
  const std::string row =
      number(3, 2) + text_column("7") + text_column("ana") + text_column(R"({"a":[1]})");
  const PgChange insert = changed(output, "I" + number(5, 4) + "N" + row);
  EXPECT_EQ(insert.operation, "insert");
  EXPECT_EQ(insert.table, "bookings");
  EXPECT_EQ(insert.id, "7");
  EXPECT_EQ(json::serialize(*insert.after), R"({"id":7,"guest":"ana","more":{"a":[1]}})");
  EXPECT_FALSE(insert.before);
  // An update whose large column did not change; the key is told because it did.
  const PgChange update = changed(output, "U" + number(5, 4) + "K" + number(3, 2) + text_column("7") +
                                              "nn" + "N" + number(3, 2) + text_column("8") + "nu");
  EXPECT_EQ(json::serialize(*update.before), R"({"id":7})");
  EXPECT_EQ(json::serialize(*update.after), R"({"id":8,"guest":null})");
  EXPECT_EQ(update.id, "8");
  const PgChange gone = changed(output, "D" + number(5, 4) + "K" + number(3, 2) + text_column("8") + "nn");
  EXPECT_EQ(gone.operation, "delete");
  EXPECT_EQ(gone.id, "8");
}

TEST(PgOutputTest, WithFullIdentityWhatDidNotChangeIsKnown) {
  PgOutput output;
  ASSERT_TRUE(output.decode(relation('f')));
  const std::string old = number(3, 2) + text_column("7") + text_column("ana") + text_column("[2]");
  const PgChange update = changed(output, "U" + number(5, 4) + "O" + old + "N" + number(3, 2) +
                                              text_column("7") + text_column("eve") + "u");
  EXPECT_EQ(json::serialize(*update.after), R"({"id":7,"guest":"eve","more":[2]})");
  EXPECT_EQ(update.id, "7");
}

TEST(PgOutputTest, ReadsTransactionsAndMessages) {
  PgOutput output;
  const auto begin = output.decode("B" + number(0x100000002, 8) + number(0, 8) + number(77, 4));
  EXPECT_EQ(format_lsn(std::get<PgBegin>(begin.value()).commit), "1/2");
  EXPECT_EQ(format_rfc3339(std::get<PgBegin>(begin.value()).time), "2000-01-01T00:00:00.000Z");
  const auto commit = output.decode("C" + number(0, 1) + number(5, 8) + number(9, 8) + number(0, 8));
  EXPECT_EQ(std::get<PgCommit>(commit.value()).end, 9u);
  const auto message =
      output.decode("M" + number(1, 1) + number(3, 8) + zero("belfry") + number(2, 4) + "{}");
  EXPECT_EQ(std::get<PgMessage>(message.value()).prefix, "belfry");
  EXPECT_EQ(std::get<PgMessage>(message.value()).content, "{}");
  EXPECT_EQ(parse_lsn("1/2"), Lsn{0x100000002});
  EXPECT_FALSE(parse_lsn("12") || parse_lsn("/") || parse_lsn("1/zz") || parse_lsn("123456789/0"));
}

TEST(PgOutputTest, DoesNotBelieveLengths) {
  const std::string insert =
      "I" + number(5, 4) + "N" + number(3, 2) + text_column("7") + text_column("ana") + "n";
  for (std::size_t cut = 1; cut < insert.size(); ++cut) {
    PgOutput output;
    ASSERT_TRUE(output.decode(relation()));
    EXPECT_FALSE(output.decode(insert.substr(0, cut))) << cut;
  }
  const std::string whole = relation();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    PgOutput output;
    EXPECT_FALSE(output.decode(whole.substr(0, cut))) << cut;
  }
  PgOutput output;
  EXPECT_FALSE(output.decode(insert)) << "of a table that was not told";
  EXPECT_FALSE(output.decode("I" + number(5, 4) + "N" + number(3, 2) + "t" + number(0xffffffff, 4) + "x"));
}

TEST(PgOutputTest, NumericStaysExact) {
  EXPECT_EQ(json::serialize(column_value(1700, "12345678901234567.89")), R"("12345678901234567.89")");
  EXPECT_EQ(json::serialize(column_value(20, "9223372036854775807")), "9223372036854775807");
  EXPECT_EQ(json::serialize(column_value(16, "t")), "true");
  EXPECT_EQ(json::serialize(column_value(701, "NaN")), R"("NaN")");
  EXPECT_EQ(json::serialize(column_value(3802, "{broken")), R"("{broken")");
  EXPECT_EQ(json::serialize(column_value(25, "\xff")), R"("hex:ff")");
}

TEST(KafkaRecordTest, ATombstoneAndAHeartbeatTellNothing) {
  KafkaRecord record;
  record.topic = "t";
  EXPECT_FALSE(kafka_record("json", record).value());
  record.value = R"({"ts_ms": 1})";
  EXPECT_FALSE(kafka_record("debezium", record).value());
  record.value = R"({"op": "x"})";
  EXPECT_EQ(kafka_record("debezium", record).error().code, Code::missing_field);
  record.value = R"({"op": "u", "after": {"id": 3}, "ts_ms": 99999999999999999})";
  EXPECT_EQ(kafka_record("debezium", record).value()->at("id").as_string(), "3");
  record.value = "\xff";
  EXPECT_EQ(kafka_record("text", record).error().code, Code::bad_utf8);
  EXPECT_EQ(kafka_record("cloudevents", record).error().code, Code::missing_field);
}

TEST(BrokerAddressTest, IsAHostAndAPort) {
  const auto plain = broker_address("mqtt://broker.internal");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain.value().host, "broker.internal");
  EXPECT_EQ(plain.value().port, 1883);
  EXPECT_FALSE(plain.value().tls);
  const auto secure = broker_address("mqtts://[::1]:9000/");
  ASSERT_TRUE(secure);
  EXPECT_EQ(secure.value().host, "::1");
  EXPECT_EQ(secure.value().port, 9000);
  EXPECT_TRUE(secure.value().tls);
  EXPECT_EQ(broker_address("mqtts://h").value().port, 8883);
  for (const char* wrong : {"", "mqtt://", "mqtt://h:0", "mqtt://h:70000", "mqtt://h:1x", "mqtt://u:p@h",
                            "mqtt://h/path", "mqtt://h?x=1", "tcp://h", "h:1883"})
    EXPECT_FALSE(broker_address(wrong)) << wrong;
}

TEST(CredentialsTest, AreTakenOutOfTexts) {
  EXPECT_EQ(without_credentials("cannot reach postgres://app:se@cret@host/db now"),
            "cannot reach postgres://***@host/db now");
  EXPECT_EQ(without_credentials("host=x password=secret user=y"), "host=x password=*** user=y");
  EXPECT_EQ(without_credentials("at postgres://app:a/b@c@host/db now"), "at postgres://***@host/db now");
  EXPECT_EQ(without_credentials("mqtt://host:1883"), "mqtt://host:1883");
  EXPECT_EQ(without_credentials("mail a@b and amqp://u:p@h/x"), "mail a@b and amqp://***@h/x");
}

}  // namespace
}  // namespace belfry::ingest
