-- The guest house's data, and what is told of them. The application only inserts and updates: what Belfry
-- is to be told is said here, by triggers, in the transaction of what happened.

CREATE TABLE IF NOT EXISTS rooms(id integer PRIMARY KEY, name text NOT NULL, price integer NOT NULL);
INSERT INTO rooms VALUES (1, 'Garden room', 24000), (2, 'Room with a sea view', 38000), (3, 'Attic', 18000),
  (4, 'Family suite', 52000) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS bookings(
  id text PRIMARY KEY, username text NOT NULL, room integer NOT NULL REFERENCES rooms, arrival date NOT NULL,
  nights integer NOT NULL, status text NOT NULL DEFAULT 'awaiting payment', version integer NOT NULL DEFAULT 1,
  -- A room is one guest's on a day, however many ask at once.
  EXCLUDE USING gist (int4range(room, room, '[]') WITH &&, daterange(arrival, arrival + nights) WITH &&)
    WHERE (status <> 'cancelled'));

CREATE TABLE IF NOT EXISTS payments(
  id text PRIMARY KEY, booking text NOT NULL REFERENCES bookings, username text NOT NULL,
  txid text NOT NULL UNIQUE, amount integer NOT NULL, code text NOT NULL, status text NOT NULL DEFAULT 'pending',
  expires timestamptz NOT NULL, end_to_end text UNIQUE, idempotency_key text UNIQUE,
  made bigint GENERATED ALWAYS AS IDENTITY);

CREATE TABLE IF NOT EXISTS echoes(username text NOT NULL, at bigint NOT NULL);

-- cut: triggers
-- Thin events: "what you hold under these keys is stale". For who looks at rooms, and for the guest.
CREATE OR REPLACE FUNCTION tell_booking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM belfry.refresh('rooms', '[["rooms"]]', spread_ms => 500);
  PERFORM belfry.refresh('users/' || NEW.username || '/bookings',
    jsonb_build_array(jsonb_build_array('bookings'), jsonb_build_array('booking', NEW.id)),
    version => NEW.id || '-' || NEW.version);
  IF NEW.status = 'cancelled' THEN
    PERFORM belfry.publish('users/' || NEW.username, 'booking.cancelled', jsonb_build_object('id', NEW.id),
      notification => jsonb_build_object('title', 'Booking cancelled', 'url', '#/bookings', 'body',
        (SELECT name FROM rooms WHERE id = NEW.room) || ', ' || NEW.arrival));
  END IF;
  RETURN NEW;
END $$;

-- Events with data: the page need not ask. And a notification, for the bell.
CREATE OR REPLACE FUNCTION tell_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM belfry.publish('users/' || NEW.username || '/payments/' || NEW.id, 'payment.' || NEW.status,
    jsonb_build_object('id', NEW.id, 'endToEndId', NEW.end_to_end));
  PERFORM belfry.publish('users/' || NEW.username, 'payment.' || NEW.status, jsonb_build_object('id', NEW.id),
    notification => CASE NEW.status
      WHEN 'confirmed' THEN jsonb_build_object('title', 'Payment confirmed', 'url', '#/pay/' || NEW.id,
        'body', 'R$ ' || translate(to_char(NEW.amount / 100.0, 'FM999,990.00'), ',.', '.,') || ' by Pix')
      ELSE jsonb_build_object('title', 'Payment came too late', 'url', '#/pay/' || NEW.id,
        'body', 'It will be given back.') END);
  RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER tell AFTER INSERT OR UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION tell_booking();
CREATE OR REPLACE TRIGGER tell AFTER UPDATE OF status ON payments FOR EACH ROW
  WHEN (NEW.status IN ('confirmed', 'refund_required') AND NEW.status <> OLD.status)
  EXECUTE FUNCTION tell_payment();
-- end

-- For the panel that shows how long an event takes.
CREATE OR REPLACE FUNCTION tell_echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM belfry.publish('users/' || NEW.username || '/echo', 'echo', jsonb_build_object('at', NEW.at));
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER tell AFTER INSERT ON echoes FOR EACH ROW EXECUTE FUNCTION tell_echo();
