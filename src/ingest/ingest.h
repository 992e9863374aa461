#pragma once
// What brings events in: the application's own database transaction, its tables, Kafka, MQTT, webhooks.
//
// Route:  an origin -> a driver or api -> a record -> Mapping -> a batch -> log-writer's mailbox -> log.
// Owner:  server. Threads: one for each source; webhooks on the shards' threads.
// Bound:  a batch: limits::source_batch_records and source_batch_bytes; one batch at a time of a source.
// Always: a source's position is committed with the events it brought; its origin is told only after that.
//         A record that cannot be mapped is kept as a dead letter and stops nothing.

#include "ingest/kinds.h"
#include "ingest/mapping.h"
#include "ingest/module.h"
#include "ingest/runner.h"
#include "ingest/sample.h"
#include "ingest/source.h"
#include "ingest/webhook.h"
