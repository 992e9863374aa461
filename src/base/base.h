#pragma once
// Words every room may use: how things fail, every bound, time, threads' mailboxes, hashing, log lines,
// metrics.
//
// Admission: every room could need it, it needs no room, and it is not about notifications. The closed list
// of error codes lives here because `net` answers with them and may see nothing above base
// (docs/decisions/0001).

#include "base/check.h"
#include "base/clock.h"
#include "base/count_table.h"
#include "base/encoding.h"
#include "base/error.h"
#include "base/fair_mailbox.h"
#include "base/fair_queue.h"
#include "base/hash.h"
#include "base/hmac.h"
#include "base/limits.h"
#include "base/log_line.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/settled_clock.h"
