// Search: a list that many people look at. Kept by refresh events: a thin event says "stale", and the page
// GETs.
import { useRefresh } from '@belfry/react';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from './api.js';
import { money, tomorrow } from './format.js';

export function Rooms() {
  const [arrival, setArrival] = useState(tomorrow);
  const [nights, setNights] = useState(2);
  const queryClient = useQueryClient();
  // cut: rooms
  // Somebody books: the server publishes {type: 'refresh', keys: [['rooms']]} to `rooms`. The provider
  // invalidates what lies under these keys, spread over time, so that a hundred pages do not ask at once.
  useRefresh('rooms');
  const rooms = useQuery({
    queryKey: ['rooms', arrival, nights],
    queryFn: () => api.rooms(arrival, nights),
    placeholderData: keepPreviousData,
  });
  // end
  const book = useMutation({
    mutationFn: (room) => api.book({ room, arrival, nights }),
    onSuccess: () => {
      queryClient.invalidateQueries({ queryKey: ['bookings'] });
      location.hash = '#/bookings';
    },
  });
  return (
    <section>
      <h1>Find a room</h1>
      <div className="row">
        <label>
          Arrival <input type="date" value={arrival} onChange={(event) => setArrival(event.target.value)} />
        </label>
        <label>
          Nights{' '}
          <input
            type="number"
            min="1"
            max="30"
            value={nights}
            onChange={(event) => setNights(Number(event.target.value))}
          />
        </label>
      </div>
      <p role="alert">{(rooms.error ?? book.error)?.message}</p>
      <ul className="cards">
        {rooms.data?.map((room) => (
          <li key={room.id} className={room.free ? '' : 'taken'}>
            <h2>{room.name}</h2>
            <p>{money(room.price)} a night</p>
            <button disabled={!room.free || book.isPending} onClick={() => book.mutate(room.id)}>
              {room.free ? 'Book' : 'Taken'}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
