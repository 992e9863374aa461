// My bookings: modify, cancel, pay. While a form is open, refresh events wait, so nothing is replaced under
// the hand.
import { useBelfry, useHold, useRefresh } from '@belfry/react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from './api.js';
import { money } from './format.js';

export function Bookings() {
  const client = useBelfry();
  const queryClient = useQueryClient();
  const [editing, setEditing] = useState(null);
  // cut: hold
  useRefresh(`users/${encodeURIComponent(client.user ?? '')}/bookings`);
  useHold(editing !== null);
  // end
  const bookings = useQuery({ queryKey: ['bookings'], queryFn: api.bookings });
  const done = (booking) => {
    // What this tab shows is that version already: its refresh event is not for this tab.
    client.seen(`${booking.id}-${booking.version}`);
    setEditing(null);
    return queryClient.invalidateQueries({ queryKey: ['bookings'] });
  };
  const modify = useMutation({
    mutationFn: ({ id, ...change }) => api.modify(id, change),
    onSuccess: done,
  });
  const cancel = useMutation({ mutationFn: api.cancel, onSuccess: done });
  const pay = useMutation({ mutationFn: api.pay, onSuccess: ({ id }) => (location.hash = `#/pay/${id}`) });
  const save = (event, id) => {
    event.preventDefault();
    const form = new FormData(event.target);
    modify.mutate({ id, arrival: form.get('arrival'), nights: Number(form.get('nights')) });
  };
  if (bookings.isPending)
    return (
      <section>
        <p>Loading…</p>
      </section>
    );
  return (
    <section>
      <h1>My bookings</h1>
      <p role="alert">{(bookings.error ?? modify.error ?? cancel.error ?? pay.error)?.message}</p>
      {bookings.data?.length === 0 && (
        <p>
          None yet. <a href="#/rooms">Find a room</a>
        </p>
      )}
      <ul className="cards">
        {bookings.data?.map((one) => (
          <li key={one.id} data-id={one.id}>
            <h2>{one.name}</h2>
            {editing === one.id ? (
              <form className="row" onSubmit={(event) => save(event, one.id)}>
                <label>
                  Arrival <input type="date" name="arrival" defaultValue={one.arrival} />
                </label>
                <label>
                  Nights <input type="number" name="nights" min="1" max="30" defaultValue={one.nights} />
                </label>
                <button>Save</button>
                <button type="button" className="quiet" onClick={() => setEditing(null)}>
                  Leave as it is
                </button>
              </form>
            ) : (
              <p>
                {one.arrival}, {one.nights} {one.nights === 1 ? 'night' : 'nights'} · {money(one.amount)}
              </p>
            )}
            <p>
              <span className={`tag ${one.status.replace(' ', '-')}`}>{one.status}</span>
            </p>
            {one.status === 'awaiting payment' && editing !== one.id && (
              <p className="row">
                <button onClick={() => pay.mutate(one.id)}>Pay with Pix</button>
                <button className="quiet" onClick={() => setEditing(one.id)}>
                  Change
                </button>
                <button className="quiet" onClick={() => cancel.mutate(one.id)}>
                  Cancel
                </button>
              </p>
            )}
            {one.status === 'confirmed' && (
              <button className="quiet" onClick={() => cancel.mutate(one.id)}>
                Cancel
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
