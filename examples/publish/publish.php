<?php
$event = ['topic' => 'users/ana', 'type' => 'booking.confirmed', 'data' => ['booking' => 7]];
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'timeout' => 5,
    'ignore_errors' => true,
    'header' => [
        'Authorization: Bearer ' . getenv('BELFRY_KEY'),
        'Content-Type: application/json',
        'Idempotency-Key: ' . bin2hex(random_bytes(16)), // keep it for a retry: the same key is the same event
    ],
    'content' => json_encode($event),
]]);
$answer = file_get_contents(getenv('BELFRY_URL') . '/v1/events', false, $context);
if (!str_contains($http_response_header[0] ?? '', '201')) exit("not published: $answer\n");
echo $answer, "\n";
