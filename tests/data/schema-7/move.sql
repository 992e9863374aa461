UPDATE idempotency SET time = time + :by;
UPDATE scheduled SET deliver_at = deliver_at + :by - 60000;
UPDATE tickets SET until = until + :by;
UPDATE revocations SET forget = forget + :by;
UPDATE events SET expires = expires + :by WHERE expires IS NOT NULL;
UPDATE expiry SET expires = expires + :by;
UPDATE topics SET empty_since = empty_since + :by WHERE empty_since IS NOT NULL;
UPDATE follows SET empty_since = empty_since + :by WHERE empty_since IS NOT NULL;
