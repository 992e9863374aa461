#pragma once
// What an event, a topic and a cursor are: values and rules, without I/O, clocks or randomness.

#include "model/cursor.h"
#include "model/event.h"
#include "model/feed.h"
#include "model/pattern_set.h"
#include "model/read_state.h"
#include "model/rights.h"
#include "model/topic.h"
