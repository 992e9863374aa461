import json, os, urllib.request, uuid

event = {"topic": "users/ana", "type": "booking.confirmed", "data": {"booking": 7}}
request = urllib.request.Request(
    os.environ["BELFRY_URL"] + "/v1/events",
    json.dumps(event).encode(),
    {
        "Authorization": "Bearer " + os.environ["BELFRY_KEY"],
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid.uuid4()),  # keep it for a retry: the same key is the same event
    },
)
print(urllib.request.urlopen(request, timeout=5).read().decode())
