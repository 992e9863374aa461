#pragma once
// Every bound of the system, with its unit, in one place. Where a bound can be met from outside, the
// comment says what happens then.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace belfry::limits {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a client may send. Past a bound: the code of the catalogue that is named.
inline constexpr std::size_t topic_bytes_max = 255;                    // bad_topic
inline constexpr std::size_t topic_segments_max = 8;                   // bad_topic
inline constexpr std::size_t type_bytes_max = 64;                      // bad_type
inline constexpr std::size_t cursor_bytes_max = 128;                   // bad_cursor
inline constexpr std::size_t key_bytes_max = 128;                      // bad_parameter (`key`, `version`)
inline constexpr std::size_t idempotency_key_bytes_max = 255;          // bad_parameter
inline constexpr std::size_t event_bytes_max = 64 * 1024;              // event_too_large
inline constexpr std::size_t batch_events_max = 1000;                  // batch_too_large
inline constexpr std::size_t body_bytes_max = 1024 * 1024;             // body_too_large
inline constexpr std::size_t json_depth_max = 32;                      // too_deep
inline constexpr std::size_t header_bytes_max = 16 * 1024;             // header_too_large
inline constexpr std::size_t header_fields_max = 100;                  // header_too_large
inline constexpr std::size_t chunk_framing_bytes = header_bytes_max;   // bad_request; of a chunked body, and
inline constexpr std::size_t chunk_framing_ratio = 16;                 // so many for each byte of the body
inline constexpr std::size_t token_bytes_max = 8 * 1024;               // token_invalid
inline constexpr std::size_t kid_bytes_max = 128;                      // token_invalid
inline constexpr std::size_t stream_topics_max = 128;                  // too_many_topics
inline constexpr std::size_t stream_types_max = 32;                    // too_many_topics
inline constexpr std::size_t websocket_message_bytes_max = 64 * 1024;  // close 1009
inline constexpr std::size_t websocket_fragments_max = 256;            // close 1008
inline constexpr std::size_t websocket_requests_max = 256;  // overloaded; not answered yet, of one
inline constexpr std::size_t keys_max = 32;                 // bad_parameter (query keys of a refresh event)
inline constexpr std::uint32_t spread_ms_max = 600'000;     // bad_parameter

// The feed.
inline constexpr std::size_t follows_max = 1000;             // too_many_follows; of one user, at a time
inline constexpr std::size_t read_steps_max = 10'000;        // too_many_marks; of one user's read state
inline constexpr std::size_t mark_ids_max = 1000;            // bad_parameter
inline constexpr std::size_t mutes_max = 64;                 // bad_parameter; topics, and as many types
inline constexpr std::size_t feed_items_max = 100;           // `limit` is cut to this
inline constexpr std::size_t feed_bytes_max = 96 * 1024;     // of a page, which then ends earlier
inline constexpr std::chrono::hours schedule_max{24 * 366};  // bad_parameter; how far ahead an event is
inline constexpr std::size_t user_bytes_max = 200;  // bad_parameter; encoded into one topic segment

// How long a client may take. Past a bound the connection is closed.
inline constexpr seconds header_time_max{10};
inline constexpr seconds body_time_max{30};
inline constexpr seconds tls_time_max{5};  // the handshake
inline constexpr seconds keep_alive_time_max{75};
inline constexpr seconds window_stall_time_max{
    20};  // HTTP/2: the client's window stays shut; the stream is reset
inline constexpr seconds first_message_time_max{10};  // WebSocket: the token
inline constexpr seconds write_stall_time_max{60};    // no byte taken by the peer
inline constexpr seconds long_poll_wait_max{60};      // `wait` is cut to this

// HTTP/2. Past a bound the connection is ended with ENHANCE_YOUR_CALM, unless something else is said.
inline constexpr std::uint32_t http2_streams_max = 100;    // refused, as RFC 9113 section 5.1.2 says
inline constexpr std::size_t http2_continuations_max = 8;  // of one head
inline constexpr std::size_t http2_acks_max = 64;          // of SETTINGS and PING, not sent yet
inline constexpr std::uint32_t http2_resets_burst = 200;   // of streams by the client, or through its fault
inline constexpr std::uint32_t http2_resets_per_second = 20;
inline constexpr std::uint32_t http2_controls_burst = 200;  // PING, SETTINGS, PRIORITY, empty DATA
inline constexpr std::uint32_t http2_controls_per_second = 100;
inline constexpr std::uint32_t http2_updates_burst = 4000;  // WINDOW_UPDATE
inline constexpr std::uint32_t http2_updates_per_second = 2000;
inline constexpr std::size_t http2_held_bytes = 16 * 1024;              // of a stream; then it is blocked
inline constexpr std::size_t http2_bodies_bytes_max = 4 * 1024 * 1024;  // of one connection: body_too_large
inline constexpr std::size_t tunnel_ahead_bytes_max = 64 * 1024;  // of a WebSocket: its stream is reset
inline constexpr std::size_t proxy_header_bytes_max = 2048;

// Keys that others publish (JWKS).
inline constexpr std::chrono::minutes jwks_refresh{10};  // how often they are fetched anew
inline constexpr seconds jwks_pause{30};                 // between two fetches of one issuer, at least
inline constexpr std::chrono::hours jwks_stale_max{24};  // without a good answer they are used this long
inline constexpr std::size_t jwks_bytes_max = 256 * 1024;
inline constexpr std::size_t jwks_keys_tried_max = 4;  // by a token without kid

// How far a token may be dated ahead of the clock.
inline constexpr seconds token_skew{60};

// Tokens that live longer than this are not kept out by a revocation.
inline constexpr std::chrono::hours revocation_kept{24 * 400};

// Of backend keys that were revoked the newest so many are remembered.
inline constexpr std::size_t revoked_keys_max = 10'000;

// Presence.
inline constexpr seconds presence_grace{5};   // who comes back within it never left
inline constexpr seconds presence_lease{30};  // of a shard, renewed three times in between
inline constexpr seconds presence_renew{10};
inline constexpr std::size_t presence_words_max = 256;    // of a shard in one command; the next follows
inline constexpr std::size_t presence_leaves_max = 4096;  // told in a second
inline constexpr std::size_t presence_leaving_max = 4096;  // topics of a user whose grace runs

// Tickets. A ticket that was used counts until its token's expiry, at most ticket_time_max; of one user
// the newest so many.
inline constexpr seconds ticket_first_use{30};
inline constexpr std::chrono::hours ticket_time_max{24 * 7};
inline constexpr std::size_t tickets_per_user_max = 256;
inline constexpr std::size_t tickets_max = 262'144;  // of all; a backend's are counted here alone

// Streams.
inline constexpr seconds heartbeat_interval{20};
inline constexpr milliseconds tick_interval{250};  // expiry and heartbeats are looked at this often
inline constexpr milliseconds retry_min{500};      // SSE `retry:` is random in [retry_min, retry_max]
inline constexpr milliseconds retry_max{5000};
inline constexpr milliseconds retry_far{120'000};     // where very many are expected
inline constexpr std::uint32_t poll_after_ms = 5000;  // the server's advice to short polls

// One write, one page, one turn.
inline constexpr std::size_t cache_line_bytes = 64;
inline constexpr std::size_t write_events_max = 256;  // pieces of one gathered write (IOV_MAX is 1024)
inline constexpr std::size_t frame_run_bytes_max = 64 * 1024;  // frames put side by side for many sessions
inline constexpr std::size_t write_bytes_max = 64 * 1024;      // also the most a slow session holds back
inline constexpr std::size_t page_events_max = 256;
inline constexpr std::size_t page_bytes_max = 64 * 1024;
inline constexpr std::size_t page_scan_rows_max = 4096;     // rows a page may pass over with a filter
inline constexpr std::size_t page_work_max = 65'536;        // comparisons of a name with a pattern in a page
inline constexpr std::size_t page_work_bytes = 64;          // of an event that is read: as a comparison
inline constexpr std::size_t page_topics_max = 256;         // topics a pattern is resolved to, else a scan
inline constexpr std::size_t poll_events_max = 256;         // events of one poll answer
inline constexpr std::size_t control_bytes_max = 64 * 1024;  // answers of a WebSocket waiting for room
inline constexpr std::size_t requests_turn_max = 16;         // of one connection, then others have theirs
inline constexpr std::size_t flushes_turn_max = 256;         // HTTP/2 connections written to in one turn
// Messages of one WebSocket in a turn, by their work: one for each message, KiB of its text, topic and type,
// and eight ids of a mark; 16 for a token. The message that reaches it is the last one.
inline constexpr std::size_t messages_turn_work_max = 64;
// Answers that a client has not taken. Over the first, nothing more of that connection is served, and what
// would make more to send is not read; a connection that would hold more than the second is ended.
inline constexpr std::size_t unread_bytes_max = 256 * 1024;
inline constexpr std::size_t unread_bytes_hard = 16 * 1024 * 1024;
inline constexpr int notsent_lowat_bytes = 16 * 1024;       // TCP_NOTSENT_LOWAT of streams

// For how long a shard's loop may be held, in comparisons of a name with a pattern, about 30 ns each. It is
// looked at after each row of a slice and after each session of a turn. What is left over goes on in a later
// turn, behind the others.
inline constexpr std::size_t slice_work_max = 16'384;  // of one session's look into the tail
inline constexpr std::size_t turn_work_max = 65'536;   // of all that catch up in one turn
inline constexpr std::size_t turn_news_max = 512 * 1024;  // new events and their deliveries, in one turn;
inline constexpr std::size_t news_work = 8;    // as many comparisons, or looks at a session, cost as one
inline constexpr std::size_t pump_work = 192;          // a write or a question costs as much as so many,
inline constexpr std::size_t entry_work = 4;           // and each entry of a write as these

// The log.
// A group has room until one of these is reached; it takes at least one request, whole.
inline constexpr std::size_t commit_rows_max = 256;
inline constexpr std::size_t group_bytes_max = 4 * 1024 * 1024;
inline constexpr std::uint64_t group_work_max = 25'000;            // of planning, as FeedRows::work counts
inline constexpr std::size_t housekeeping_rows_min = 64;           // of one slice between two groups
inline constexpr std::size_t housekeeping_rows_max = 1280;
inline constexpr std::size_t tail_bytes_max = 64 * 1024 * 1024;    // default of log.tail_bytes
inline constexpr std::size_t index_batch_rows = 1024;              // rows indexed together
inline constexpr std::size_t index_batch_bytes = 4 * 1024 * 1024;  // of their events, likewise
inline constexpr std::chrono::hours idempotency_time{24};
// How far the log's time may run ahead of the clock. Beyond it the log's time steps back.
inline constexpr seconds clock_ahead_max{10};
inline constexpr std::chrono::minutes clock_settles{10};  // a jump ahead takes nothing out before
inline constexpr std::size_t time_steps_max = 1024;  // of which the log knows, the largest
inline constexpr milliseconds clock_earliest{1'767'225'600'000};  // 2026: a clock that is earlier is wrong
// How long a topic is known that has no events any more; a cursor that is older gets a reset (horizon).
inline constexpr std::chrono::hours remains_kept{24 * 30};

// What brings events in.
inline constexpr std::size_t dead_letters_max = 10'000;             // older ones are forgotten
inline constexpr std::size_t source_batch_records = 1000;           // mapped and committed together
inline constexpr std::size_t source_batch_bytes = 4 * 1024 * 1024;  // likewise
inline constexpr std::size_t source_rules_max = 64;                 // config_invalid; of one source
inline constexpr std::size_t source_relations_max = 10'000;         // tables whose columns are remembered
inline constexpr milliseconds source_pause_min{250};                // after a failure, doubled each time
inline constexpr milliseconds source_pause_max{30'000};
inline constexpr seconds source_poll{1};              // what a lost wake-up costs at most
inline constexpr seconds source_answer_time_max{30};  // of a source's server

// Threads.
// One owner fills half of it at most. Full: overloaded (503).
inline constexpr std::size_t mailbox_publishes_max = 16'384;
inline constexpr std::size_t mailbox_publish_bytes_max = 64 * 1024 * 1024;
inline constexpr std::size_t mailbox_page_bytes_max = 64 * 1024 * 1024;
inline constexpr std::size_t mailbox_pages_max = 65'536;  // likewise; pages are asked again at the next tick
inline constexpr std::size_t accept_batch_max = 64;
inline constexpr std::size_t reactor_events_max = 256;  // in one look of a loop
inline constexpr std::size_t descriptors_reserved = 256;

static_assert(write_bytes_max >= event_bytes_max, "one event must fit into one write");
static_assert(feed_bytes_max >= page_bytes_max);
static_assert(slice_work_max < turn_work_max, "a turn serves several");
static_assert(unread_bytes_hard >= http2_streams_max * (feed_bytes_max + event_bytes_max),
              "a page for each stream of a client that reads");
static_assert(body_bytes_max >= event_bytes_max, "one event must fit into one body");
static_assert(2 * index_batch_bytes < tail_bytes_max, "the tail has room for what is not indexed");
static_assert(write_events_max <= 1024, "IOV_MAX");

}  // namespace belfry::limits
