#pragma once
// The protocol in code: the only room that knows JSON names and event framing.

#include "wire/client_message.h"
#include "wire/cloud_event.h"
#include "wire/event_frame.h"
#include "wire/feed_text.h"
#include "wire/publish_answer.h"
#include "wire/publish_body.h"
