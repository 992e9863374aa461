CREATE TABLE bookings(id int, status text);
INSERT INTO bookings VALUES (7, 'new');
-- cut: publish
BEGIN;
UPDATE bookings SET status = 'confirmed' WHERE id = 7;
SELECT belfry.publish('users/ana', 'booking.confirmed', '{"booking": 7}',
  notification => '{"title": "Your booking is confirmed"}');
COMMIT;
-- end
