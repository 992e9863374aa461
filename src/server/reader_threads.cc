#include <pthread.h>

#include "server/threads.h"

namespace belfry {
namespace {

constexpr std::chrono::seconds kTailPatience{1};
constexpr std::uint64_t kWorkPerRow = 16;  // FeedRows::work: about what looking at a row takes

}  // namespace

StoreReaders::StoreReaders(std::vector<std::unique_ptr<StoreReader>> readers, FairMailbox<ReadJob>& mailbox,
                           const Tail& tail, const Clock& clock, Metrics& metrics, Callbacks callbacks)
    : readers_(std::move(readers)),
      mailbox_(mailbox),
      tail_(tail),
      clock_(clock),
      rows_read_(
          metrics.counter("belfry_store_rows_read_total", "Rows and index entries looked at for pages.")),
      callbacks_(std::move(callbacks)) {
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    threads_.emplace_back([this, i] { run(*readers_[i]); });
    pthread_setname_np(threads_.back().native_handle(), ("store-reader-" + std::to_string(i)).c_str());
  }
}

StoreReaders::~StoreReaders() {
  mailbox_.close();
  for (auto& thread : threads_) thread.join();
}

void StoreReaders::run(StoreReader& reader) {
  while (auto popped = mailbox_.wait_pop()) {
    const ReadJob& job = popped->item;
    if (const auto* feed = std::get_if<FeedJob>(&job.question)) {
      std::uint64_t cost = 0;
      auto reply = read_feed_of(reader, *feed, cost);
      mailbox_.charge(*popped, cost);
      callbacks_.feed(job.shard, job.ticket, std::move(reply));
      continue;
    }
    const auto& question = std::get<PageQuestion>(job.question);
    auto page = reader.read(question.request);
    const std::uint64_t rows = page ? page.value().rows_read : 1;
    add(rows_read_, static_cast<double>(rows));
    mailbox_.charge(*popped, rows);
    callbacks_.page(job.shard, {question.session, question.number, std::move(page)});
  }
}

Result<FeedReply> StoreReaders::read_feed_of(StoreReader& reader, const FeedJob& job, std::uint64_t& cost) {
  FeedReply reply;
  const auto ask = [&](FeedRows& rows) -> Result<void> {
    const std::uint64_t before = rows.work();
    if (job.user_only) {
      reply.user = TRY(rows.user(job.question.user));
    } else {
      reply.answer = TRY(read_feed(rows, job.question, clock_.wall()));
    }
    cost = (rows.work() - before) / kWorkPerRow;
    return {};
  };
  TRY(reader.snapshot(ask));
  // The store may show a commit a moment before the tail does; a stream that begins at this page's cursor
  // must not be told that its place does not exist.
  const Instant until = clock_.now() + kTailPatience;
  while (tail_.head() < reply.answer.head && clock_.now() < until) std::this_thread::yield();
  return reply;
}

}  // namespace belfry
