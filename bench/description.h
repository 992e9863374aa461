#pragma once
// How a server is started and spoken to, as a file says it (bench/servers/NAME.json). Nothing else in this
// program knows one server from another.
//
// In all texts {port}, {port2}, {folder} (of this run), {root} (of the project), {peers} (where peers are
// installed), {topic}, {since}, {token} and {key} are replaced.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace belfry::bench {

enum class Transport { sse, websocket, http2, poll };

using Words = std::map<std::string, std::string, std::less<>>;
std::string filled(std::string_view text, const Words& words);

struct Description {
  // How a session is opened.
  struct Channel {
    std::string get;                   // target of the request; empty: the server has not got it
    std::vector<std::string> headers;  // beside those of the transport
    std::vector<std::string> hello;    // WebSocket: texts to send after the upgrade
    std::string ready;                 // what the server says when it is subscribed; empty: its head
    std::vector<std::string> resume;   // to go on after {since}: headers; of WebSocket, in place of `hello`
    // Long poll: a target that is answered at once with where to begin; empty: `get` waits from the start.
    std::string first;
    // Long poll: words for the next request, by what stands before them in an answer, up to a '"' or the
    // line's end.
    std::map<std::string, std::string> keep;
    std::string port;  // the word of another port; empty: {port}
  };
  std::string name, title;
  std::map<std::string, std::string> files;  // of {folder}: name and content
  std::vector<std::string> command;          // empty: not started here
  std::vector<std::string> environment;      // NAME=value
  std::string credentials;                   // "belfry": made from what it writes to {folder}/data
  Channel sse, websocket, http2, poll;
  std::string needs;         // a file without which it is not installed; empty: the command's
  std::string post;          // target of a publish
  std::string publish_port;  // as Channel::port
  std::vector<std::string> headers;
  std::string body;  // {data} is a JSON object, {escaped} the same as the inside of a JSON string
  bool durable = false;

  const Channel& channel(Transport transport) const {
    switch (transport) {
      case Transport::sse:
        return sse;
      case Transport::websocket:
        return websocket;
      case Transport::http2:
        return http2;
      case Transport::poll:
        return poll;
    }
    return sse;
  }
};

// Ends the program with a message if the file is missing or wrong.
Description read_description(const std::string& file);

}  // namespace belfry::bench
