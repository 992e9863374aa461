#pragma once
// Tells the service manager how it goes (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names.

#include <string>

#include "base/base.h"

namespace belfry {

// "READY=1", "STOPPING=1", "STATUS=…"; several lines at once. Nothing happens where nobody listens. Any
// thread.
void notify_manager(const std::string& text);
// "RELOADING=1" with the time that systemd asks for.
void notify_reloading(Instant now);

}  // namespace belfry
