#!/bin/sh
# The README's examples, run as they stand. Needs URL, KEY, TOKEN and belfry in PATH.
set -eu
# publish
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -H 'Idempotency-Key: booking-7-confirmed' \
  -d '{"topic": "users/ana", "type": "booking.confirmed", "data": {"booking": 7}}' \
  $URL/v1/events
# end
echo
# refresh
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -d '{"topic": "bookings/7", "type": "refresh", "keys": [["bookings"], ["booking", "7"]]}' \
  $URL/v1/events
# end
echo
# feed
belfry follow ana teams/ops
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -d '{"topic": "teams/ops", "notification": {"title": "Maintenance tonight", "priority": "high"}}' \
  $URL/v1/events
curl -H "Authorization: Bearer $TOKEN" "$URL/v1/feed?status=unread"
belfry mark ana read --all
# end
echo
# The stream has no end of its own.
curl() { command curl --max-time 1 "$@" || test $? -eq 28; }
# listen
curl -N -H 'Accept: text/event-stream' -H "Authorization: Bearer $TOKEN" \
  "$URL/v1/events?topic=users/ana&since=earliest"
# end
# commands
belfry publish users/ana --type booking.confirmed --data '{"booking": 7}'
belfry token --user ana --subscribe users/ana --subscribe 'bookings/+' --ttl 1h
belfry config show
# end
