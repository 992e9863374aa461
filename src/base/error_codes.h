#pragma once
// The closed catalogue of everything that can go wrong and be told to somebody outside.
//
// One line per code: X(name, HTTP status, WebSocket close code, retry advice, message, hint).
// protocol/errors.json is the same list for other languages; base_test compares the two.
// Retry advice: `never` (the caller must change something), `token` (get a new token first), `later` (try
// again).

namespace belfry {

#define BELFRY_CODES(X)                                                                                    \
  X(bad_request, 400, 4400, never, "The request is malformed.",                                            \
    "Compare it with the examples under /docs.")                                                           \
  X(bad_parameter, 400, 4400, never, "A parameter has a value that is not allowed.",                       \
    "The field names the parameter.")                                                                      \
  X(bad_json, 400, 4400, never, "The body is not valid JSON.",                                             \
    "Check quotes, commas and brackets; numbers must be JSON numbers.")                                    \
  X(too_deep, 400, 4400, never, "The JSON is nested too deeply.", "At most 32 levels are accepted.")       \
  X(bad_utf8, 400, 4400, never, "The text is not valid UTF-8.", "Encode the body as UTF-8.")               \
  X(unknown_field, 400, 4400, never, "A field is not known here.", "Put your own fields under \"data\".")  \
  X(missing_field, 400, 4400, never, "A required field is missing.", "The field is named.")                \
  X(wrong_type, 400, 4400, never, "A field has the wrong JSON type.", "The field is named.")               \
  X(bad_topic, 400, 4400, never, "The topic is not well formed.",                                          \
    "1 to 8 segments of [A-Za-z0-9._~@:%-] joined by '/', at most 255 bytes; percent-encode other text.")  \
  X(bad_pattern, 400, 4400, never, "The topic pattern is not well formed.",                                \
    "A topic in which '+' may stand for one segment and '#', at the end, for the rest.")                   \
  X(bad_type, 400, 4400, never, "The event type is not well formed.",                                      \
    "1 to 64 characters of [A-Za-z0-9._-]; open, error, reset, heartbeat and connected are reserved.")     \
  X(bad_cursor, 400, 4400, never, "The cursor is not well formed.",                                        \
    "Send back the exact text the server gave, or 'now' or 'earliest'.")                                   \
  X(batch_empty, 400, 4400, never, "The batch holds no event.", "Send at least one event.")                \
  X(batch_too_large, 413, 4400, never, "The batch holds too many events.",                                 \
    "At most 1000 events a request.")                                                                      \
  X(body_too_large, 413, 1009, never, "The body is too large.",                                            \
    "Split the batch, or send a link to the data.")                                                        \
  X(event_too_large, 413, 4400, never, "The event is too large.",                                          \
    "An event may have at most 64 KiB; send a link to larger data, or a refresh event.")                   \
  X(header_too_large, 431, 4400, never, "The request head is too large.", "At most 16 KiB in 100 fields.") \
  X(too_many_topics, 400, 4400, never, "The request asks for too many topics.",                            \
    "At most 128 topics and 32 types a stream; use patterns.")                                             \
  X(too_many_follows, 409, 4400, never, "The user follows too many topics.",                               \
    "At most 1000; let broad groups be one topic.")                                                        \
  X(too_many_marks, 409, 4400, never, "The read state of this feed has too many gaps.",                    \
    "Mark older notifications with 'upto'.")                                                               \
  X(unauthenticated, 401, 4401, token, "No credentials were given.",                                       \
    "Send 'Authorization: Bearer <token>'; on WebSocket, the token in the first message.")                 \
  X(token_invalid, 401, 4401, token, "The token is not valid.",                                            \
    "It must be a JWT signed with a key that this server knows, or a backend key of this server.")         \
  X(token_expired, 401, 4401, token, "The token has expired.", "Get a new token and connect again.")       \
  X(token_revoked, 401, 4410, never, "The token was revoked.", "Sign in again.")                           \
  X(forbidden, 403, 4403, never, "The token does not grant this.",                                         \
    "Grant the topic in the token's belfry.subscribe or belfry.publish claim.")                            \
  X(origin_not_allowed, 403, 4403, never, "This web origin is not allowed.",                               \
    "Add it to http.allowed_origins in the configuration.")                                                \
  X(not_found, 404, 4400, never, "There is nothing at this address.", "The API lives under /v1.")          \
  X(unknown_notification, 404, 4400, never, "None of these notifications is in the feed.",                 \
    "It may have expired or been taken back; load the feed again.")                                        \
  X(unknown_event, 404, 4400, never, "There is no such event.",                                            \
    "It may have expired, been trimmed or taken back already.")                                            \
  X(replaced, 409, 4409, never, "The stream was opened again elsewhere.",                                  \
    "A ticket opens one stream at a time.")                                                                \
  X(method_not_allowed, 405, 4400, never, "This address does not accept that method.",                     \
    "The Allow header lists the methods.")                                                                 \
  X(not_acceptable, 406, 4400, never, "None of the accepted media types can be served.",                   \
    "Accept text/event-stream, application/x-ndjson or application/json.")                                 \
  X(timeout, 408, 4408, later, "The client took too long.",                                                \
    "Send the request, or the first message, sooner.")                                                     \
  X(cursor_lost, 410, 4410, never, "The cursor no longer marks a place in the log.",                       \
    "Load the current state, then go on from the cursor in this answer.")                                  \
  X(unsupported_media_type, 415, 4400, never, "The body has a media type that is not understood.",         \
    "Send application/json, application/x-ndjson or CloudEvents, without Content-Encoding.")               \
  X(idempotency_mismatch, 422, 4400, never, "This Idempotency-Key was used with another body.",            \
    "Use a new key for a new event.")                                                                      \
  X(too_many_streams, 429, 1013, later, "There are too many streams.",                                     \
    "Share one stream among the tabs of a browser; close those that are not needed.")                      \
  X(upgrade_required, 426, 4400, never, "The WebSocket version is not supported.",                         \
    "Use version 13 of RFC 6455.")                                                                         \
  X(protocol_error, 400, 1002, never, "The WebSocket framing is broken.", "See RFC 6455 section 5.")       \
  X(internal, 500, 1011, later, "The server failed.", "It is logged; try again.")                          \
  X(overloaded, 503, 1013, later, "The server has no room for this now.", "Try again after Retry-After.")  \
  X(shutting_down, 503, 1012, later, "The server is restarting.", "Connect again with the last cursor.")   \
  X(store_failed, 503, 1011, later, "The store failed; whether the event was kept is unknown.",            \
    "Repeat the publish with the same Idempotency-Key.")                                                   \
  X(store_full, 507, 1013, later, "The disk is full; nothing was stored.",                                 \
    "Free space; publishing resumes by itself.")                                                           \
  X(connection_failed, 502, 1011, later, "The server could not be reached.",                               \
    "Is it running at this address?")                                                                      \
  X(signature_invalid, 403, 4403, never, "The signature of the webhook is not valid.",                     \
    "Compare the secret and the scheme of the source with those of the sender.")                           \
  X(source_failed, 502, 1011, later, "The source could not be read.",                                      \
    "It is tried again by itself; 'belfry source status' shows since when.")                               \
  X(source_gap, 409, 4409, never, "Records of the source are gone that were not read.",                    \
    "Bring the clients to load their state anew, then 'belfry source reset NAME'.")                        \
  X(source_ahead, 409, 4409, never, "The source was read further than it goes: it was restored.",          \
    "See what is missing there, then 'belfry source reset NAME'.")                                         \
  X(config_invalid, 500, 1011, never, "The configuration is not valid.", "See belfry config check.")

enum class Code {
#define BELFRY_CODE_NAME(name, http, close, retry, message, hint) name,
  BELFRY_CODES(BELFRY_CODE_NAME)
#undef BELFRY_CODE_NAME
};

}  // namespace belfry
