#pragma once
// Sockets and HTTP. This room knows bytes, not events.

#include "net/certificate.h"
#include "net/exchange.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/websocket.h"
