#pragma once
// Listens on one address and speaks HTTP/1.1 or HTTP/2, over TLS or not, with whoever connects.
//
// Owner:  server, one per shard; several listen on one port by SO_REUSEPORT. Thread: the loop's.
// Bound:  the budget; beyond it connections are closed at accept. Heads, bodies and waiting times:
// base/limits.h. Always: every connection has a read pending, so a peer that leaves is noticed; an
// exception never leaves a
//         connection; a connection is deleted only when no operation of it is pending.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "net/client_address.h"
#include "net/exchange.h"
#include "net/loop.h"
#include "net/tls.h"

namespace belfry::net {

// How many connections a process may hold; its servers share one budget, because the kernel does not spread
// connections evenly over them. Any thread.
class ConnectionBudget {
 public:
  ConnectionBudget(std::size_t max, std::uint64_t per_address) : max_(max), per_address_(per_address) {}
  // The slot under which the address is counted, 0 if it is empty; nothing if there is no room for it.
  std::optional<std::uint32_t> take(std::string_view address) {
    const std::lock_guard lock(mutex_);
    if (count_ >= max_) return std::nullopt;
    const auto slot = addresses_.take(address, per_address_);
    if (slot) ++count_;
    return slot;
  }
  void give_back(std::uint32_t slot) {
    const std::lock_guard lock(mutex_);
    addresses_.give_back(slot);
    --count_;
  }
  // Bytes of requests that are not answered yet, of all connections together.
  bool take_bytes(std::size_t count) {
    if (bytes_.fetch_add(count, std::memory_order_relaxed) + count <=
        bytes_max_.load(std::memory_order_relaxed))
      return true;
    give_back_bytes(count);
    return false;
  }
  void give_back_bytes(std::size_t count) { bytes_.fetch_sub(count, std::memory_order_relaxed); }
  void set_bytes_max(std::size_t max) { bytes_max_.store(max, std::memory_order_relaxed); }
  void set_per_address(std::uint64_t max) {
    const std::lock_guard lock(mutex_);
    per_address_ = max;
  }

 private:
  std::mutex mutex_;  // taken once a connection
  const std::size_t max_;
  std::uint64_t per_address_;
  std::size_t count_ = 0;
  CountTable addresses_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> bytes_max_{~std::size_t{0}};
};

// Bytes of the budget that one request holds; given back with it. Without a budget there is no bound.
class BytesLease {
 public:
  explicit BytesLease(ConnectionBudget* budget) : budget_(budget) {}
  ~BytesLease() { clear(); }
  BytesLease(const BytesLease&) = delete;
  BytesLease& operator=(const BytesLease&) = delete;
  bool grow(std::size_t count) {
    if (budget_ != nullptr && !budget_->take_bytes(count)) return false;
    held_ += count;
    return true;
  }
  void clear() {
    if (budget_ != nullptr) budget_->give_back_bytes(std::exchange(held_, 0));
  }

 private:
  ConnectionBudget* budget_;
  std::size_t held_ = 0;
};

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;              // 0: the kernel chooses; see port()
  ConnectionBudget* budget = nullptr;  // null: no bound but the descriptors; outlives the server
  TlsContext tls{};                    // none: plain text
  std::vector<Field> headers{};        // of every answer
  Networks trusted_proxies{};          // whose word about the client counts
  Networks free_addresses{};           // which the budget does not count by address
  bool proxy_protocol = false;         // every connection comes from one of them and begins with its header
  Duration look_around{1000};          // how often deadlines are looked at
  ForwardedHeader forwarded = ForwardedHeader::x_forwarded_for;
};

struct HttpServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // beyond the budget, or no descriptor
  std::uint64_t requests = 0;
  std::uint64_t bytes_sent = 0;
};

class HttpServer {
 public:
  // Code::connection_failed with the reason if the address cannot be bound.
  static Result<std::unique_ptr<HttpServer>> listen(Loop& loop, const Clock& clock,
                                                    HttpServerOptions options, Handler& handler);
  // Whether nobody else listens there. Needed, because servers that share a port by SO_REUSEPORT do so
  // without a word.
  static Result<void> check_free(const std::string& address, std::uint16_t port);
  virtual ~HttpServer() = default;

  virtual std::uint16_t port() const = 0;
  virtual std::size_t connections() const = 0;
  virtual const HttpServerCounts& counts() const = 0;
  // Connections that begin from now on use it. The loop's thread.
  virtual void set_tls(TlsContext tls) = 0;
  // Connections wait in the kernel's queue meanwhile; each call with `true` lets in one batch.
  virtual void pause_accepting(bool pause) = 0;
  // No new connections; those that wait between requests are closed.
  virtual void stop_accepting() = 0;
};

}  // namespace belfry::net
